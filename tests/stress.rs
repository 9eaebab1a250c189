//! Many threads on one store, on real files, with tables so small that rotation, sealing, merging
//! and expiry never stop.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use firstseen::{Builder, Durability, Error, Store, TimeSource, Timestamp, Verdict};

mod support;

use support::{Rng, id, ids, scale};

fn builder(durability: Durability) -> Builder {
    Store::builder().durability(durability).active_ids(500).memory_budget(32 << 20)
}

fn durabilities() -> [Durability; 3] {
    [Durability::Buffered, Durability::Interval(Duration::from_millis(5)), Durability::Sync]
}

/// One answer about one id: between which two ticks of a common counter, and what.
struct Answer {
    id: u64,
    asked: u64,
    answered: u64,
    verdict: Verdict,
}

/// Of each id there is one `New`, and no duplicate was told before somebody asked to insert it.
fn assert_one_winner(answers: &[Answer]) {
    let mut won: HashMap<u64, u64> = HashMap::new();
    for answer in answers.iter().filter(|answer| answer.verdict.is_new()) {
        let before = won.insert(answer.id, answer.asked);
        assert_eq!(before, None, "two were told that id {} is new", answer.id);
    }
    for answer in answers.iter().filter(|answer| answer.verdict.is_duplicate()) {
        let asked = won.get(&answer.id);
        let asked = asked.unwrap_or_else(|| panic!("id {} was never new", answer.id));
        assert!(*asked < answer.answered, "id {} was a duplicate before it was new", answer.id);
    }
}

#[test]
fn of_all_threads_one_is_told_new() {
    for durability in durabilities() {
        let dir = tempfile::tempdir().unwrap();
        let store = builder(durability).open(dir.path()).unwrap();
        let ticks = AtomicU64::new(0);
        let rounds = if durability == Durability::Sync { 60 } else { 150 } * scale();
        let answers: Vec<Answer> = thread::scope(|scope| {
            let run = |thread: u64| {
                let (store, ticks) = (store.clone(), &ticks);
                scope.spawn(move || {
                    let mut rng = Rng::new(thread);
                    let mut answers = Vec::new();
                    for round in 0..rounds {
                        // All walk the same way, at much the same pace.
                        let numbers: Vec<u64> =
                            (0..rng.below(300)).map(|_| round * 60 + rng.below(400)).collect();
                        let asked = ticks.fetch_add(1, SeqCst);
                        let verdicts = store.check_and_insert(&ids(&numbers)).unwrap();
                        let answered = ticks.fetch_add(1, SeqCst);
                        answers.extend(
                            numbers.into_iter().zip(verdicts).map(|(id, verdict)| Answer {
                                id,
                                asked,
                                answered,
                                verdict,
                            }),
                        );
                    }
                    answers
                })
            };
            let threads: Vec<_> = (0..6).map(run).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_one_winner(&answers);
        assert!(store.stats().sealed > 5, "{:?}", store.stats());
        store.close().unwrap();
        let store = builder(durability).open(dir.path()).unwrap();
        let mut seen: Vec<u64> = answers.iter().map(|answer| answer.id).collect();
        seen.dedup();
        assert!(store.contains(&ids(&seen)).unwrap().into_iter().all(|known| known));
    }
}

/// An event has one time. Whoever brings a copy, however late: one is new, all others are duplicates
/// or late.
#[test]
fn an_event_is_new_once_however_far_its_copies_lag() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder(Durability::Buffered)
        .time(TimeSource::Event)
        .window(Duration::from_secs(40))
        .generations(8)
        .open(dir.path())
        .unwrap();
    let start = Timestamp::now() - Duration::from_secs(1_000_000);
    let head = AtomicU64::new(0);
    let events = 60_000 * scale();
    let new: Vec<u64> = thread::scope(|scope| {
        let run = |thread: u64| {
            let (store, head) = (&store, &head);
            scope.spawn(move || {
                let (mut rng, mut new, mut verdicts) = (Rng::new(thread), Vec::new(), Vec::new());
                loop {
                    let at = head.fetch_add(rng.below(30), Relaxed);
                    if at >= events {
                        return new;
                    }
                    // Two events a second of event time; copies lag by up to twice the window.
                    let from = at.saturating_sub(rng.below(160));
                    let events: Vec<u64> = (from..from + 20).collect();
                    let times: Vec<Timestamp> =
                        events.iter().map(|&e| start + Duration::from_millis(e * 500)).collect();
                    store
                        .check_and_insert_timed_into(&ids(&events), &times, &mut verdicts)
                        .unwrap();
                    let news = events.iter().zip(&verdicts).filter(|(_, v)| v.is_new());
                    new.extend(news.map(|(&event, _)| event));
                }
            })
        };
        let threads: Vec<_> = (0..6).map(run).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut once = new.clone();
    once.sort_unstable();
    let twice: Vec<u64> = once.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]).collect();
    assert!(twice.is_empty(), "new twice: {twice:?}");
    assert!(store.stats().expired > 0, "{:?}", store.stats());
}

/// Each forgetting lets an id in once more: as many are new as were forgotten, and one.
#[test]
fn forgetting_lets_each_id_in_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder(Durability::Buffered).open(dir.path()).unwrap();
    let (new, forgotten) = (AtomicU64::new(0), AtomicU64::new(0));
    let all: Vec<u64> = (0..50).collect();
    thread::scope(|scope| {
        for thread in 0..5 {
            let (store, new, forgotten) = (store.clone(), &new, &forgotten);
            scope.spawn(move || {
                let mut rng = Rng::new(thread);
                for round in 0..400 * scale() {
                    if thread == 0 && round % 4 == 0 {
                        let some: Vec<u64> = (0..5).map(|_| rng.below(50)).collect();
                        forgotten.fetch_add(store.forget(&ids(&some)).unwrap(), Relaxed);
                        continue;
                    }
                    let mut some: Vec<u64> = (0..20).map(|_| rng.below(50)).collect();
                    // Ids of its own keep the tables turning.
                    some.extend((0..20).map(|n| (thread + 1) << 40 | round << 8 | n));
                    let verdicts = store.check_and_insert(&ids(&some)).unwrap();
                    let again = verdicts[..20].iter().filter(|v| v.is_new()).count();
                    new.fetch_add(again as u64, Relaxed);
                }
            });
        }
    });
    let last = store.check_and_insert(&ids(&all)).unwrap();
    let last = last.iter().filter(|v| v.is_new()).count() as u64;
    assert_eq!(new.load(Relaxed) + last, forgotten.load(Relaxed) + 50);
    assert!(store.stats().sealed > 0);
    drop(store);
    let store = builder(Durability::Buffered).open(dir.path()).unwrap();
    assert!(store.contains(&ids(&all)).unwrap().into_iter().all(|known| known));
}

#[test]
fn closing_answers_all_and_leaves_the_folder_alone() {
    for round in 0..20 * scale() {
        let dir = tempfile::tempdir().unwrap();
        let store = builder(durabilities()[(round % 3) as usize]).open(dir.path()).unwrap();
        let known: Vec<u64> = thread::scope(|scope| {
            let run = |thread: u64| {
                let store = store.clone();
                scope.spawn(move || {
                    let mut known = Vec::new();
                    for n in (thread << 32..).step_by(10) {
                        let numbers: Vec<u64> = (n..n + 10).collect();
                        let outcome = match n / 10 % 50 {
                            7 => store.seal(),
                            23 => store.compact(),
                            _ => store
                                .check_and_insert(&ids(&numbers))
                                .map(|_| known.extend(numbers)),
                        };
                        match outcome {
                            Ok(()) => {}
                            Err(Error::Closed) => break,
                            Err(other) => panic!("{other}"),
                        }
                    }
                    known
                })
            };
            let threads: Vec<_> = (0..4).map(run).collect();
            thread::sleep(Duration::from_millis(1 + round % 7 * 5));
            store.clone().close().unwrap();
            // Opened at once: whoever still wrote into the folder would be in the way.
            drop(builder(Durability::Buffered).open(dir.path()).unwrap());
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert!(matches!(store.check_and_insert(&[id(0)]), Err(Error::Closed)));
        assert!(matches!(store.contains(&[id(0)]), Err(Error::Closed)));
        let store = builder(Durability::Buffered).open(dir.path()).unwrap();
        assert!(store.contains(&ids(&known)).unwrap().into_iter().all(|known| known));
    }
}
