//! Standard workloads with a fault at every storage operation: the end of the process, the end of
//! the machine, an error. What was acknowledged is known afterwards, what was refused is not, and
//! the store always opens.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{Durability, Error, ReadMode, Result, Store, Timestamp, Verdict};

mod support;

use support::disk::DIR;
use support::{ids, scale};

const WINDOW: Duration = Duration::from_secs(80);
/// Recovery is interrupted after one in so many operations.
const RECOVERY_SHARE: u64 = 9;
/// No workload presents an id from here on.
const NEVER: u64 = 1 << 40;

#[derive(Debug, Clone, Copy)]
enum Step {
    Insert(u64, u64),
    Forget(u64, u64),
    Seal,
    Compact,
    Sync,
    /// So many seconds pass.
    Pass(u64),
    Reopen,
}

use Step::{Compact, Forget, Insert, Pass, Reopen, Seal, Sync};

const WORKLOADS: [&[Step]; 5] = [
    &[Insert(0, 40), Insert(20, 60), Insert(60, 90), Reopen, Insert(0, 100)],
    &[Insert(0, 40), Seal, Insert(20, 80), Seal, Pass(20), Insert(80, 90), Compact, Reopen],
    &[Insert(0, 40), Pass(20), Insert(40, 60), Compact, Pass(90), Insert(100, 120), Compact],
    &[Insert(0, 9), Forget(0, 5), Insert(3, 6), Seal, Forget(4, 8), Sync, Insert(0, 5), Reopen],
    &[Insert(0, 150), Insert(150, 300), Insert(200, 450), Reopen, Insert(0, 460)],
];

/// What is known of every id that was presented. One that is in no set must be new.
#[derive(Debug, Default, Clone)]
struct Ledger {
    known: BTreeSet<u64>,
    /// The outcome of their call was not seen.
    doubtful: BTreeSet<u64>,
    /// Their call was refused; they were unknown before.
    refused: BTreeSet<u64>,
}

impl Ledger {
    fn inserted(&mut self, from: u64, to: u64, verdicts: Option<&[Verdict]>) {
        match verdicts {
            Some(verdicts) => {
                for (id, verdict) in (from..to).zip(verdicts) {
                    let doubtful = self.doubtful.remove(&id);
                    self.refused.remove(&id);
                    let new = self.known.insert(id);
                    assert!(doubtful || verdict.is_new() == new, "id {id}: {verdict:?}");
                }
            }
            None => {
                let unknown = |id: &u64| !self.known.contains(id) && !self.doubtful.contains(id);
                self.refused.extend((from..to).filter(unknown));
            }
        }
    }

    fn forgot(&mut self, from: u64, to: u64, done: bool) {
        for id in from..to {
            let was_known = self.known.remove(&id);
            if done {
                self.doubtful.remove(&id);
            } else if was_known {
                self.doubtful.insert(id);
            }
        }
    }

    /// Everything that was refused may be known after all: the medium did not obey any more.
    fn doubt_refused(mut self) -> Ledger {
        self.doubtful.append(&mut self.refused);
        self
    }

    fn assert_holds(&self, store: &Store) {
        let numbers: Vec<u64> = (0..500).chain(NEVER..NEVER + 5).collect();
        let all = ids(&numbers);
        let found = store.contains(&all).unwrap();
        let inserted = store.check_and_insert(&all).unwrap();
        for ((id, found), verdict) in numbers.iter().zip(found).zip(&inserted) {
            if !self.doubtful.contains(id) {
                assert_eq!(found, self.known.contains(id), "id {id} of {self:?}");
            }
            assert_eq!(verdict.is_duplicate(), found, "id {id}: contains, then insert");
        }
        assert!(store.contains(&all).unwrap().iter().all(|&known| known));
    }

    /// What is answered once is answered again, also when the power fails right behind the answer.
    fn assert_holds_twice(&self, run: &Run, disk: &MemoryDisk) {
        let store = run.left(disk);
        let all = ids(&(0..500).collect::<Vec<_>>());
        let first = store.contains(&all).unwrap();
        let second = run.left(&disk.crash());
        assert_eq!(second.contains(&all).unwrap(), first, "after {self:?}");
        self.assert_holds(&second);
    }
}

/// A store under a workload.
struct Run {
    disk: MemoryDisk,
    clock: ManualClock,
    durability: Durability,
    store: Option<Store>,
    ledger: Ledger,
}

impl Run {
    fn new(durability: Durability) -> Run {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let (disk, ledger) = (MemoryDisk::new(), Ledger::default());
        Run { disk, clock, durability, store: None, ledger }
    }

    fn open(&self, disk: &MemoryDisk, active_ids: usize) -> Result<Store> {
        let builder = Store::builder()
            .storage(Arc::new(disk.clone()))
            .clock(Arc::new(self.clock.clone()))
            .background(false)
            .memory_budget(32 << 20)
            .window(WINDOW)
            .active_ids(active_ids)
            .durability(self.durability)
            .read_mode(ReadMode::Positioned);
        builder.open(DIR)
    }

    /// Goes through a workload as far as the storage lets it. What was refused for lack of room is
    /// asked for once more.
    fn go(mut self, workload: &[Step]) -> Run {
        for &step in [Reopen].iter().chain(workload) {
            if self.step(step) {
                self.step(step);
            }
        }
        self
    }

    /// Does a step. Returns whether it was refused and may be asked for again.
    fn step(&mut self, step: Step) -> bool {
        if let Reopen = step {
            drop(self.store.take());
            let opened = self.open(&self.disk, 100);
            let refused = opened.as_ref().is_err_and(Error::is_transient);
            self.store = opened.ok();
            return refused;
        }
        let Some(store) = &self.store else { return false };
        let range = |from, to| ids(&(from..to).collect::<Vec<_>>());
        let done = match step {
            Insert(from, to) => {
                let result = store.check_and_insert(&range(from, to));
                self.ledger.inserted(from, to, result.as_deref().ok());
                result.map(drop)
            }
            Forget(from, to) => {
                let result = store.forget(&range(from, to));
                self.ledger.forgot(from, to, result.is_ok());
                result.map(drop)
            }
            Seal => store.seal(),
            Compact => store.compact(),
            Sync => store.sync(),
            Pass(seconds) => {
                self.clock.advance(Duration::from_secs(seconds));
                if Duration::from_secs(seconds) > WINDOW {
                    self.ledger = Ledger::default();
                }
                Ok(())
            }
            Reopen => unreachable!("handled above"),
        };
        done.is_err_and(|error| error.is_transient())
    }

    /// What is left after `end`, opened.
    fn left(&self, disk: &MemoryDisk) -> Store {
        let opened = self.open(disk, 1_000);
        opened.unwrap_or_else(|error| panic!("cannot open what is left: {error}"))
    }
}

/// Does `test` for every workload and every storage operation in it.
fn at_every_operation(durability: Durability, test: impl Fn(Run, &[Step], u64)) -> u64 {
    let mut cases = 0;
    for (number, workload) in WORKLOADS.iter().enumerate() {
        let whole = Run::new(durability).go(workload);
        whole.ledger.assert_holds(whole.store.as_ref().unwrap());
        let operations = whole.disk.ops();
        for operation in 0..operations {
            let place = Place { number, operation, durability };
            test(Run::new(durability), workload, operation);
            std::mem::forget(place);
            cases += 1;
        }
    }
    cases
}

/// Says where a test failed.
struct Place {
    number: usize,
    operation: u64,
    durability: Durability,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Place { number, operation, durability } = self;
        eprintln!("failed at operation {operation} of workload {number}, {durability:?}");
    }
}

#[test]
fn a_kill_at_every_operation_loses_nothing_acknowledged() {
    let durabilities = [Durability::Buffered, Durability::Sync];
    for &durability in &durabilities[..if scale() == 1 { 1 } else { 2 }] {
        let cases = at_every_operation(durability, |run, workload, operation| {
            run.disk.fail_from(operation, ErrorKind::Other);
            let run = run.go(workload);
            let ledger = run.ledger.clone().doubt_refused();
            ledger.assert_holds_twice(&run, &run.disk.kill());
        });
        assert!(cases > 200, "{cases}");
    }
}

#[test]
fn a_power_cut_at_every_operation_loses_nothing_synced() {
    at_every_operation(Durability::Sync, |run, workload, operation| {
        run.disk.fail_from(operation, ErrorKind::Other);
        let run = run.go(workload);
        let ledger = run.ledger.clone().doubt_refused();
        ledger.assert_holds(&run.left(&run.disk.crash()));
        for pattern in 0..2 * scale() {
            ledger.assert_holds_twice(&run, &run.disk.crash_with(operation ^ pattern << 32));
        }
    });
}

#[test]
fn a_power_cut_at_every_operation_of_recovery_loses_nothing() {
    let cases = at_every_operation(Durability::Sync, |run, workload, operation| {
        if operation % RECOVERY_SHARE.div_ceil(scale()) != 0 {
            return;
        }
        run.disk.fail_from(operation, ErrorKind::Other);
        let run = run.go(workload);
        let ledger = run.ledger.clone().doubt_refused();
        let first = run.disk.crash_with(operation);
        for step in 0.. {
            let disk = first.crash();
            disk.fail_from(step, ErrorKind::Other);
            let opened = run.open(&disk, 1_000);
            let left = if step % 2 == 0 { disk.kill() } else { disk.crash_with(step) };
            ledger.assert_holds(&run.left(&left));
            if opened.is_ok() {
                break;
            }
        }
    });
    assert!(cases > 0);
}

#[test]
fn an_error_at_every_operation_refuses_cleanly() {
    for durability in [Durability::Buffered, Durability::Sync] {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            if (durability, kind) == (Durability::Sync, ErrorKind::StorageFull) && scale() == 1 {
                continue;
            }
            at_every_operation(durability, |run, workload, operation| {
                run.disk.fail_at(operation, kind);
                let mut run = run.go(workload);
                if durability == Durability::Sync {
                    let doubted = run.ledger.clone().doubt_refused();
                    doubted.assert_holds(&run.left(&run.disk.crash_with(operation)));
                }
                run.ledger.assert_holds(&run.left(&run.disk.kill()));
                drop(run.store.take());
                run.disk.heal();
                run.ledger.assert_holds(&run.left(&run.disk));
            });
        }
    }
}
