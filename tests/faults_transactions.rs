//! Transactions with a fault at every storage operation: an error, the end of the process, the end
//! of the machine. Ids, progress, state and outcomes always agree; what was acknowledged is there, what
//! was refused is not, and what is not known is there in whole or not at all.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{Durability, Error, ReadMode, Result, Store, Timestamp};

mod support;

use support::disk::DIR;
use support::scale;

const SOURCE: &str = "s";
const COUNT: &str = "count";

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Commits so many records: their ids, the progress, a count in the state, an outcome for each.
    Commit(u64),
    /// The same, prepared.
    Prepare(u64),
    /// Settles what is in doubt: commits it, or gives it up.
    Settle(bool),
    Seal,
    Compact,
    Pass(u64),
    Reopen,
}

use Step::{Commit, Compact, Pass, Prepare, Reopen, Seal, Settle};

const WORKLOADS: [&[Step]; 4] = [
    &[Commit(3), Commit(2), Seal, Commit(4), Reopen, Commit(1)],
    &[Commit(2), Prepare(3), Settle(true), Prepare(2), Settle(false), Commit(2), Reopen],
    &[Prepare(2), Seal, Reopen, Settle(true), Commit(1), Seal, Prepare(2), Reopen, Settle(false)],
    &[Commit(60), Commit(60), Commit(60), Pass(20), Commit(2), Compact, Prepare(90), Settle(true)],
];

/// How much is committed, and how much of what follows is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    committed: u64,
    prepared: u64,
}

fn id(n: u64) -> Vec<u8> {
    n.to_be_bytes().repeat(2)
}

fn records(from: u64, count: u64) -> Vec<(u64, Vec<u8>)> {
    (from..from + count).map(|n| (n, id(n))).collect()
}

/// What a store holds. All that was committed together must agree on it. An error only if it cannot
/// be read.
fn try_observe(store: &Store) -> Result<Moment> {
    let committed = store.progress(SOURCE)?.unwrap_or(0);
    let counted = store.state(COUNT)?;
    let counted = counted.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    assert_eq!(counted, committed, "state and progress");
    let in_doubt = store.in_doubt();
    assert!(in_doubt.len() <= 1, "{in_doubt:?}");
    let prepared: Vec<Vec<u8>> = in_doubt.iter().flat_map(firstseen::Prepared::ids).collect();
    let end = committed + prepared.len() as u64;
    assert_eq!(prepared, (committed..end).map(id).collect::<Vec<_>>(), "prepared ids");
    let all: Vec<_> = (0..end + 100).map(id).collect();
    let mut verdicts = Vec::new();
    store.check(&all, &mut verdicts)?;
    for (n, verdict) in (0..).zip(verdicts) {
        assert_eq!(verdict.is_duplicate(), n < committed, "id {n} of {committed}: {verdict:?}");
        assert_eq!(verdict.is_in_flight(), (committed..end).contains(&n), "id {n}: {verdict:?}");
    }
    for n in (0..committed + 2).filter(|n| n % 7 == 0 || n + 3 >= committed) {
        let outcome = store.outcome(id(n))?;
        assert_eq!(outcome, (n < committed).then(|| n.to_le_bytes().to_vec()), "outcome of {n}");
    }
    Ok(Moment { committed, prepared: prepared.len() as u64 })
}

fn observe(store: &Store) -> Moment {
    try_observe(store).unwrap()
}

/// A store under a workload.
struct Run {
    disk: MemoryDisk,
    clock: ManualClock,
    durability: Durability,
    store: Option<Store>,
    /// What may hold now: more than one only after an outcome that is unknown.
    possible: Vec<Moment>,
    /// What held since the last sync.
    past: Vec<Moment>,
    unknown: u64,
    refused: u64,
    /// Whether a sync may fail and others go on.
    lossy: bool,
}

impl Run {
    fn new(durability: Durability) -> Run {
        let empty = vec![Moment { committed: 0, prepared: 0 }];
        Run {
            disk: MemoryDisk::new(),
            clock: ManualClock::new(Timestamp::from_secs(1_700_000_000)),
            durability,
            store: None,
            possible: empty.clone(),
            past: empty,
            unknown: 0,
            refused: 0,
            lossy: false,
        }
    }

    fn open(&self, disk: &MemoryDisk) -> Result<Store> {
        Store::builder()
            .storage(Arc::new(disk.clone()))
            .clock(Arc::new(self.clock.clone()))
            .background(false)
            .memory_budget(16 << 20)
            .window(Duration::from_secs(80))
            .active_ids(100)
            .durability(self.durability)
            .read_mode(ReadMode::Positioned)
            .open(DIR)
    }

    /// Goes through a workload as far as the storage lets it. What was refused for lack of room is
    /// asked for once more.
    fn go(mut self, workload: &[Step]) -> Run {
        for &step in [Reopen].iter().chain(workload) {
            if self.step(step).is_err_and(|error| error.is_transient()) {
                let _ = self.step(step);
            }
        }
        self
    }

    fn step(&mut self, step: Step) -> Result<()> {
        if let Reopen = step {
            drop(self.store.take());
            let store = self.open(&self.disk)?;
            match try_observe(&store) {
                Ok(now) => {
                    assert!(self.possible.contains(&now), "{now:?} is none of {:?}", self.possible);
                    self.possible = vec![now];
                    self.past = vec![now];
                }
                // The fault was planned for this very operation.
                Err(error) => assert!(
                    matches!(
                        error,
                        Error::Io { .. } | Error::DiskFull { .. } | Error::Poisoned { .. }
                    ),
                    "{error}"
                ),
            }
            self.store = Some(store);
            return Ok(());
        }
        let Some(store) = self.store.clone() else { return Ok(()) };
        let [now] = self.possible[..] else { return Ok(()) };
        let (after, done) = match step {
            Commit(count) if now.prepared == 0 => {
                let after = Moment { committed: now.committed + count, prepared: 0 };
                (after, work(&store, now.committed, count).and_then(firstseen::Claim::commit))
            }
            Prepare(count) if now.prepared == 0 => {
                let after = Moment { prepared: count, ..now };
                let tx = work(&store, now.committed, count);
                (after, tx.and_then(|tx| tx.prepare("token")).map(drop))
            }
            Settle(commit) if now.prepared > 0 => {
                let committed = now.committed + if commit { now.prepared } else { 0 };
                let [prepared] = store.in_doubt().try_into().expect("one is prepared");
                let done = if commit { prepared.commit() } else { prepared.abort() };
                (Moment { committed, prepared: 0 }, done)
            }
            Seal => (now, store.seal()),
            Compact => (now, store.compact()),
            Pass(seconds) => {
                self.clock.advance(Duration::from_secs(seconds));
                (now, Ok(()))
            }
            _ => return Ok(()),
        };
        match &done {
            Ok(()) => self.possible = vec![after],
            Err(Error::OutcomeUnknown { .. }) => {
                self.unknown += 1;
                self.possible = vec![now, after];
            }
            Err(_) if now != after => {
                self.refused += 1;
                assert_free(&store, now, after);
            }
            Err(_) => {}
        }
        if done.is_ok() && matches!(step, Prepare(_) | Seal) {
            self.past.clear();
        }
        self.past.extend(&self.possible);
        done
    }

    /// Opens what is left, and holds it against what was acknowledged.
    fn assert_left(&self, disk: &MemoryDisk, allowed: &[Moment]) {
        let store = self.open(disk);
        let store = store.unwrap_or_else(|error| panic!("cannot open what is left: {error}"));
        let now = observe(&store);
        assert!(allowed.contains(&now), "{now:?} is none of {allowed:?}");
        // It goes on from there, and nothing that is answered once is taken back.
        for prepared in store.in_doubt() {
            prepared.commit().unwrap();
        }
        let end = now.committed + now.prepared;
        work(&store, end, 3).unwrap().commit().unwrap();
        store.sync().unwrap();
        // A sync that has failed may have lost what no later one brings to the medium.
        let again = if self.lossy { disk.kill() } else { disk.crash() };
        let again = self.open(&again).unwrap();
        assert_eq!(observe(&again), Moment { committed: end + 3, prepared: 0 });
    }
}

/// A transaction of `count` records.
fn work(store: &Store, from: u64, count: u64) -> Result<firstseen::Claim> {
    let mut tx = store.begin_from(SOURCE, &records(from, count))?;
    assert_eq!(tx.fresh().len() as u64, count, "{:?}", tx.verdicts());
    let before = tx.state(COUNT)?;
    let before = before.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    assert_eq!(before, from);
    tx.put_state(COUNT, (before + count).to_le_bytes());
    for i in tx.fresh() {
        tx.set_outcome(i, (from + i as u64).to_le_bytes());
    }
    Ok(tx)
}

/// What a refused step would have committed can be claimed again, if the store still serves.
fn assert_free(store: &Store, now: Moment, after: Moment) {
    if now.prepared > 0 {
        assert_eq!(store.in_doubt().len(), 1, "what could not be settled is in doubt");
        return;
    }
    let count = after.committed + after.prepared - now.committed;
    let mut verdicts = Vec::new();
    let all: Vec<_> = (now.committed..now.committed + count).map(id).collect();
    if store.check(&all, &mut verdicts).is_ok() {
        assert!(verdicts.iter().all(firstseen::Verdict::is_new), "{verdicts:?}");
    }
}

/// Does `test` for every workload and every storage operation in it.
fn at_every_operation(durability: Durability, mut test: impl FnMut(Run, &[Step], u64)) -> u64 {
    let mut cases = 0;
    for (number, workload) in WORKLOADS.iter().enumerate() {
        let whole = Run::new(durability).go(workload);
        assert_eq!(vec![observe(whole.store.as_ref().unwrap())], whole.possible);
        for operation in 0..whole.disk.ops() {
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
        eprintln!("failed at operation {operation} of workload {number}, {durability}");
    }
}

#[test]
fn a_kill_at_every_operation_leaves_whole_transactions() {
    let mut unknown = 0;
    let cases = at_every_operation(Durability::Buffered, |run, workload, operation| {
        run.disk.fail_from(operation, ErrorKind::Other);
        let run = run.go(workload);
        unknown += run.unknown;
        run.assert_left(&run.disk.kill(), &run.possible);
    });
    assert!(cases > 100 && unknown > 0, "{cases} cases, {unknown} unknown outcomes");
}

#[test]
fn a_power_cut_at_every_operation_leaves_whole_transactions() {
    for durability in [Durability::Sync, Durability::Buffered] {
        at_every_operation(durability, |run, workload, operation| {
            if durability == Durability::Buffered && operation % 3 != 0 && scale() == 1 {
                return;
            }
            run.disk.fail_from(operation, ErrorKind::Other);
            let run = run.go(workload);
            let allowed = if durability == Durability::Sync { &run.possible } else { &run.past };
            run.assert_left(&run.disk.crash(), allowed);
            for pattern in 1..2 * scale() + 1 {
                run.assert_left(&run.disk.crash_with(operation ^ pattern << 32), allowed);
            }
        });
    }
}

#[test]
fn an_error_at_every_operation_keeps_all_or_nothing() {
    let (mut unknown, mut refused) = (0, 0);
    for durability in [Durability::Buffered, Durability::Sync] {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            if (durability == Durability::Sync) == (kind == ErrorKind::Other) && scale() == 1 {
                continue;
            }
            at_every_operation(durability, |mut run, workload, operation| {
                run.disk.fail_at(operation, kind);
                run.lossy = true;
                let mut run = run.go(workload);
                (unknown, refused) = (unknown + run.unknown, refused + run.refused);
                run.assert_left(&run.disk.kill(), &run.possible);
                if durability == Durability::Sync {
                    run.assert_left(&run.disk.crash_with(operation), &run.possible);
                }
                drop(run.store.take());
                run.disk.heal();
                run.assert_left(&run.disk, &run.possible);
            });
        }
    }
    assert!(unknown > 0 && refused > 0, "{unknown} unknown outcomes, {refused} refused");
}
