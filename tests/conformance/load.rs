//! Load of which, whatever is left of it, is seen whether something is lost or half: a worker whose
//! record at position p of its source has id (worker, p), and who commits ids, progress, state and an
//! outcome together; and one that only inserts.

use std::ops::Range;

use firstseen::{Store, Verdict};

use crate::support::{Rng, ids};

/// Where a worker's numbers begin.
const WORKER: u32 = 40;
/// Every so many batches are committed in two phases.
const PREPARED: u64 = 8;

fn numbers(worker: u64, positions: Range<u64>) -> Vec<u64> {
    positions.map(|position| worker << WORKER | position).collect()
}

fn source(worker: u64) -> String {
    format!("worker-{worker}")
}

/// How far the worker has come.
pub fn progress(store: &Store, worker: u64) -> u64 {
    store.progress(&source(worker)).unwrap().unwrap_or(0)
}

/// Settles what an earlier worker has left in doubt.
pub fn settle(store: &Store) {
    store.in_doubt().into_iter().for_each(|prepared| prepared.commit().unwrap());
}

/// Commits the batch that begins at `from`; returns where the next one does.
pub fn transact(store: &Store, worker: u64, from: u64, rng: &mut Rng) -> u64 {
    let (source, to) = (source(worker), from + 1 + rng.below(60));
    let records: Vec<_> = (from..to).zip(ids(&numbers(worker, from..to))).collect();
    drop(store.begin(&[&records[0].1]).unwrap());
    let mut tx = store.begin_from(&source, &records).unwrap();
    assert_eq!(tx.fresh().count() as u64, to - from, "{source} from {from}");
    tx.put_state(&source, to.to_le_bytes());
    tx.set_outcome(0, to.to_le_bytes());
    if rng.one_in(PREPARED) {
        tx.prepare(&source).unwrap().commit().unwrap();
    } else {
        tx.commit().unwrap();
    }
    to
}

/// Checks that the worker's batches are there up to one of them, and nothing of others; at least
/// `acknowledged`. What is in doubt is settled before.
pub fn check_transacted(store: &Store, worker: u64, acknowledged: u64) -> u64 {
    let (name, at) = (source(worker), progress(store, worker));
    assert!(at >= acknowledged, "{name} is at {at}, {acknowledged} was acknowledged");
    let state = store.state(&name).unwrap();
    assert_eq!(state.unwrap_or(vec![0; 8]), at.to_le_bytes(), "state of {name} at {at}");
    let known = store.contains(&ids(&numbers(worker, 0..at + 100))).unwrap();
    let kept = known.iter().position(|known| !known).expect("nobody came so far") as u64;
    assert_eq!(kept, at, "ids of {name}");
    assert!(known[kept as usize..].iter().all(|known| !known), "more ids of {name} than {at}");
    let mut from = 0;
    while from < at {
        let first = ids(&numbers(worker, from..from + 1));
        let outcome = store.outcome(&first[0]).unwrap().expect("each batch has an outcome");
        let to = u64::from_le_bytes(outcome.try_into().unwrap());
        assert!(from < to && to <= at, "{name} has a batch from {from} to {to} of {at}");
        from = to;
    }
    at
}

/// Inserts a batch from `from` on; returns where the next one begins.
pub fn insert(store: &Store, worker: u64, from: u64, rng: &mut Rng) -> u64 {
    let to = from + 1 + rng.below(400);
    let verdicts = store.check_and_insert(&ids(&numbers(worker, from..to))).unwrap();
    assert!(verdicts.iter().all(Verdict::is_new), "worker {worker} from {from}");
    to
}

/// Checks that what the worker was told is new is known.
pub fn check_inserted(store: &Store, worker: u64, acknowledged: Range<u64>) {
    let known = store.contains(&ids(&numbers(worker, acknowledged.clone()))).unwrap();
    let lost = known.iter().filter(|known| !**known).count();
    assert_eq!(lost, 0, "lost of {acknowledged:?} of worker {worker}");
}
