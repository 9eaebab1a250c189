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
use support::ids;

const WINDOW: Duration = Duration::from_secs(80);
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
    &[Insert(0, 150), Insert(150, 300), Insert(300, 450), Insert(0, 450), Reopen, Insert(0, 460)],
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
        assert!(store.check_and_insert(&all).unwrap().iter().all(Verdict::is_duplicate));
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

    fn open(&self, disk: &MemoryDisk) -> Result<Store> {
        let builder = Store::builder()
            .storage(Arc::new(disk.clone()))
            .clock(Arc::new(self.clock.clone()))
            .background(false)
            .memory_budget(32 << 20)
            .window(WINDOW)
            .active_ids(100)
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
            let opened = self.open(&self.disk);
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
        let opened = self.open(disk);
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
#[derive(Debug)]
struct Place {
    number: usize,
    operation: u64,
    durability: Durability,
}

impl Drop for Place {
    fn drop(&mut self) {
        eprintln!("failed at {self:?}");
    }
}

#[test]
fn a_kill_at_every_operation_loses_nothing_acknowledged() {
    for durability in [Durability::Buffered, Durability::Sync] {
        let cases = at_every_operation(durability, |run, workload, operation| {
            run.disk.fail_from(operation, ErrorKind::Other);
            let run = run.go(workload);
            let ledger = run.ledger.clone().doubt_refused();
            let disk = run.disk.kill();
            ledger.assert_holds(&run.left(&disk));
            ledger.assert_holds_stable(&run, &disk);
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
        for seed in 0..4 {
            ledger.assert_holds(&run.left(&run.disk.crash_with(seed)));
        }
        ledger.assert_holds_stable(&run, &run.disk.crash_with(operation));
    });
}

#[test]
fn a_power_cut_at_every_operation_of_recovery_loses_nothing() {
    let cases = at_every_operation(Durability::Sync, |run, workload, operation| {
        if operation % 3 != 0 {
            return;
        }
        run.disk.fail_from(operation, ErrorKind::Other);
        let run = run.go(workload);
        let ledger = run.ledger.clone().doubt_refused();
        let first = run.disk.crash_with(operation);
        for step in 0.. {
            let disk = first.crash();
            disk.fail_from(step, ErrorKind::Other);
            let opened = run.open(&disk);
            let cut = disk.crash_with(step);
            let died = disk.kill();
            ledger.assert_holds(&run.left(&cut));
            ledger.assert_holds(&run.left(&died));
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
            at_every_operation(durability, |run, workload, operation| {
                run.disk.fail_at(operation, kind);
                let mut run = run.go(workload);
                let disk = run.disk.kill();
                run.ledger.assert_holds(&run.left(&disk));
                let disk = run.disk.crash();
                if durability == Durability::Sync {
                    run.ledger.clone().doubt_refused().assert_holds(&run.left(&disk));
                }
                drop(run.store.take());
                run.disk.heal();
                run.ledger.assert_holds(&run.left(&run.disk));
            });
        }
    }
}

impl Ledger {
    /// What is answered once is answered again, also after a power cut right behind the first.
    fn assert_holds_stable(&self, run: &Run, disk: &MemoryDisk) {
        let store = run.left(disk);
        let all = ids(&(0..500).collect::<Vec<_>>());
        let first = store.contains(&all).unwrap();
        let second = run.left(&disk.crash());
        assert_eq!(second.contains(&all).unwrap(), first, "after {self:?}");
    }
}
