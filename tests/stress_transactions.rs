//! Many threads with transactions on one store, on real files, with tables so small that rotation,
//! sealing and merging never stop.

use std::collections::{BTreeMap, BTreeSet, HashMap};
#[cfg(not(tsan))]
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use firstseen::testing::ManualClock;
use firstseen::{Builder, Durability, Error, Refusal, Store, Timestamp, Verdict};

mod support;
#[cfg(tsan)]
#[allow(dead_code)] // The store needs more of it.
#[path = "../src/sync/told.rs"]
mod told;

use support::{Rng, id, ids, scale};
#[cfg(tsan)]
use told::Mutex;

const THREADS: u64 = 5;

fn builder(durability: Durability) -> Builder {
    Store::builder().durability(durability).active_ids(300).memory_budget(32 << 20)
}

fn durabilities() -> [Durability; 2] {
    [Durability::Buffered, Durability::Interval(Duration::from_millis(5))]
}

fn number(bytes: Option<Vec<u8>>) -> u64 {
    bytes.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
}

/// Lets the other threads end when one has failed.
struct OnPanic<'a>(&'a AtomicU64);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(0, SeqCst);
        }
    }
}

/// Who was told that an id is new: by an insertion, or by a commit that returned.
#[derive(Default)]
struct Winners(Mutex<HashMap<u64, String>>);

impl Winners {
    fn won(&self, n: u64, how: &str) {
        let before = self.0.lock().unwrap().insert(n, how.to_owned());
        assert_eq!(before, None, "id {n} is new again, by {how}");
    }
}

/// A claim of some of a few ids, ended in one of all ways; a commit counts itself in the state.
fn one_round(store: &Store, rng: &mut Rng, base: u64, winners: &Winners, commits: &AtomicU64) {
    let numbers: BTreeSet<u64> = (0..rng.below(12)).map(|_| base + rng.below(60)).collect();
    let numbers: Vec<u64> = numbers.into_iter().collect();
    if rng.one_in(4) {
        let verdicts = store.check_and_insert(&ids(&numbers)).unwrap();
        for (&n, verdict) in numbers.iter().zip(verdicts) {
            if verdict.is_new() {
                winners.won(n, "insertion");
            }
        }
        return;
    }
    let mut claim = store.claim();
    if rng.one_in(2) {
        claim = claim.lease(Duration::from_micros(rng.below(1_500)));
    }
    let mut tx = claim.begin(&ids(&numbers)).unwrap();
    let mut fresh: Vec<usize> = tx.fresh().collect();
    if !fresh.is_empty() && rng.one_in(5) {
        tx.release(fresh.remove(0));
    }
    if rng.one_in(6) {
        return drop(tx);
    }
    let before = number(tx.state("commits").unwrap());
    tx.put_state("commits", (before + 1).to_le_bytes());
    for &i in &fresh {
        tx.set_outcome(i, numbers[i].to_le_bytes());
    }
    let token = tx.token();
    let done = match rng.below(5) {
        0 => tx.prepare(token.to_le_bytes()).and_then(|prepared| match rng.one_in(3) {
            true => prepared.abort().map(|()| false),
            false => prepared.commit().map(|()| true),
        }),
        _ => tx.commit().map(|()| true),
    };
    match done {
        Ok(true) => {
            commits.fetch_add(1, SeqCst);
            fresh.iter().for_each(|&i| winners.won(numbers[i], &format!("claim {token}")));
        }
        Ok(false)
        | Err(Error::LeaseEnded { .. })
        | Err(Error::Refused(Refusal::Conflict { .. } | Refusal::Locked { .. })) => {}
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn each_id_has_one_winner_and_no_commit_is_lost() {
    for durability in durabilities() {
        let dir = tempfile::tempdir().unwrap();
        let store = builder(durability).open(dir.path()).unwrap();
        let (winners, commits) = (Winners::default(), AtomicU64::new(0));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(SeqCst) {
                    let said = store.state("commits").unwrap();
                    let now = number(said);
                    assert!(now >= last, "{now} commits after {last}");
                    last = now;
                }
            });
            let run = |thread: u64| {
                let (store, winners, commits) = (&store, &winners, &commits);
                scope.spawn(move || {
                    let mut rng = Rng::new(thread);
                    for round in 0..400 * scale() {
                        one_round(store, &mut rng, round * 20, winners, commits);
                    }
                })
            };
            let threads: Vec<_> = (0..THREADS).map(run).collect();
            let ended: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
            done.store(true, SeqCst);
            ended.into_iter().for_each(|ended| ended.unwrap());
        });
        let check = |store: &Store| {
            assert_eq!(number(store.state("commits").unwrap()), commits.load(SeqCst));
            assert!(store.in_doubt().is_empty());
            assert_eq!(store.stats().claimed, 0);
            for (&n, how) in winners.0.lock().unwrap().iter() {
                assert!(store.contains(&[id(n)]).unwrap()[0], "id {n}, by {how}");
                let outcome = how.starts_with("claim").then(|| n.to_le_bytes().to_vec());
                assert_eq!(store.outcome(id(n)).unwrap(), outcome, "id {n}, by {how}");
            }
        };
        assert!(commits.load(SeqCst) > 50);
        check(&store);
        assert!(store.stats().sealed > 5, "{:?}", store.stats());
        store.close().unwrap();
        check(&builder(durability).open(dir.path()).unwrap());
    }
}

/// One source, read in order and worked on by several threads at once; what fails comes again in
/// other batches.
#[test]
fn progress_never_passes_a_record_that_is_not_settled() {
    let records = 6_000 * scale();
    let dir = tempfile::tempdir().unwrap();
    let store = builder(Durability::Buffered).open(dir.path()).unwrap();
    // From where to read, and what came back, first position to one past the last.
    let reader = Mutex::new((0_u64, BTreeMap::<u64, u64>::new()));
    let worked = Mutex::new(BTreeSet::new());
    let left = AtomicU64::new(records);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, reader, worked, left) = (&store, &reader, &worked, &left);
            scope.spawn(move || {
                let (mut rng, _on_panic) = (Rng::new(thread), OnPanic(left));
                while left.load(SeqCst) > 0 {
                    // What lies before a record is presented before it.
                    let (from, to, tx) = {
                        let mut reader = reader.lock().unwrap();
                        let some = 1 + rng.below(40);
                        let again = reader.1.pop_first();
                        let (from, to) = match again {
                            Some((from, to)) => {
                                let end = to.min(from + some);
                                if end < to {
                                    reader.1.insert(end, to);
                                }
                                (from, end)
                            }
                            None if reader.0 == records => {
                                drop(reader);
                                thread::yield_now();
                                continue;
                            }
                            None => {
                                let from = reader.0;
                                reader.0 = records.min(from + some);
                                (from, reader.0)
                            }
                        };
                        let batch: Vec<_> = (from..to).map(|n| (n, id(n))).collect();
                        (from, to, store.begin_from("s", &batch).unwrap())
                    };
                    assert!(
                        tx.verdicts().iter().all(Verdict::is_new),
                        "{from}: {:?}",
                        tx.verdicts()
                    );
                    let done = match rng.below(6) {
                        0 => {
                            tx.abort();
                            false
                        }
                        1 => match tx.prepare(from.to_le_bytes()) {
                            Ok(prepared) if rng.one_in(2) => {
                                prepared.abort().map(|()| false).unwrap()
                            }
                            Ok(prepared) => prepared.commit().map(|()| true).unwrap(),
                            Err(Error::Refused(Refusal::SourceLocked { .. })) => false,
                            Err(other) => panic!("{other}"),
                        },
                        _ => match tx.commit() {
                            Ok(()) => true,
                            Err(Error::Refused(Refusal::SourceLocked { .. })) => false,
                            Err(other) => panic!("{other}"),
                        },
                    };
                    if done {
                        worked.lock().unwrap().extend(from..to);
                        let _ = left.fetch_update(SeqCst, SeqCst, |left| {
                            Some(left.saturating_sub(to - from))
                        });
                    } else {
                        reader.lock().unwrap().1.insert(from, to);
                    }
                    // Read first: what is settled meanwhile is in the set by then.
                    let progress = store.progress("s").unwrap().unwrap_or(0);
                    let all: Vec<_> = (progress.saturating_sub(50)..progress).map(id).collect();
                    assert!(store.contains(&all).unwrap().iter().all(|&known| known), "{progress}");
                }
            });
        }
    });
    assert_eq!(*worked.lock().unwrap(), (0..records).collect());
    // The last that was prepared may have had less to say.
    store.begin_from("s", &[(records, id(records))]).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(records + 1));
    assert!(store.stats().sealed > 3);
}

/// Leases that end all the time, by a clock that one thread moves: whoever is told that it has
/// committed is the only one.
#[test]
fn leases_that_end_let_nobody_commit_twice() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let store = builder(Durability::Buffered)
        .clock(std::sync::Arc::new(clock.clone()))
        .lease(Duration::from_millis(3))
        .open(dir.path())
        .unwrap();
    let (winners, claimed) = (Winners::default(), Mutex::new(BTreeSet::new()));
    let (done, late) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                clock.advance(Duration::from_millis(1));
                thread::yield_now();
            }
        });
        let run = |thread: u64| {
            let (store, winners, claimed, late) = (&store, &winners, &claimed, &late);
            scope.spawn(move || {
                let mut rng = Rng::new(thread);
                for round in 0..600 * scale() {
                    let n = round / 3 * 4 + rng.below(4);
                    let tx = store.begin(&[id(n)]).unwrap();
                    if !tx.verdicts()[0].is_new() {
                        continue;
                    }
                    claimed.lock().unwrap().insert(n);
                    (0..rng.below(30)).for_each(|_| thread::yield_now());
                    match tx.commit() {
                        Ok(()) => winners.won(n, "claim"),
                        Err(Error::LeaseEnded { .. }) => {
                            late.fetch_add(1, SeqCst);
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        };
        let threads: Vec<_> = (0..THREADS).map(run).collect();
        let ended: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, SeqCst);
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
    let winners = std::mem::take(&mut *winners.0.lock().unwrap());
    assert!(!winners.is_empty() && late.load(SeqCst) > 0);
    for &n in claimed.lock().unwrap().iter() {
        let known = store.contains(&[id(n)]).unwrap()[0];
        assert_eq!(known, winners.contains_key(&n), "id {n}");
    }
}

/// Those who ask all the time for an id that is being committed are never let in between.
#[test]
fn whoever_asks_while_a_commit_is_made_is_not_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder(Durability::Buffered).open(dir.path()).unwrap();
    let (claimed, rounds) = (AtomicU64::new(0), 3_000 * scale());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 1..=rounds {
                    while claimed.load(SeqCst) < n {
                        std::hint::spin_loop();
                    }
                    loop {
                        match store.check_and_insert(&[id(n)]).unwrap()[0] {
                            Verdict::InFlight(_) => {}
                            Verdict::Duplicate { .. } => break,
                            other => panic!("id {n} is being committed, and is {other:?}"),
                        }
                    }
                }
            });
        }
        for n in 1..=rounds {
            let tx = store.begin(&[id(n)]).unwrap();
            claimed.store(n, SeqCst);
            if n % 8 == 0 {
                thread::yield_now();
            }
            match n % 4 {
                0 => tx.prepare(n.to_le_bytes()).unwrap().commit().unwrap(),
                _ => tx.commit().unwrap(),
            }
        }
    });
}
