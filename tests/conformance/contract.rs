//! Verdicts: who is told that an id is new, whatever its length, its batch and its thread.

use std::collections::HashSet;
use std::path::Path;
use std::thread;

use firstseen::{Store, Verdict};

use crate::setting::{SECOND, Setting, clock, under, under_all};
use crate::support::{Rng, id, ids};

fn range(from: u64, to: u64) -> Vec<Vec<u8>> {
    ids(&(from..to).collect::<Vec<_>>())
}

fn all_new(store: &Store, ids: &[Vec<u8>]) {
    let verdicts = store.check_and_insert(ids).unwrap();
    assert_eq!(verdicts.len(), ids.len());
    assert!(verdicts.iter().all(Verdict::is_new), "{} new", ids.len());
}

fn all_known(store: &Store, ids: &[Vec<u8>]) {
    let verdicts = store.check_and_insert(ids).unwrap();
    assert!(verdicts.iter().all(Verdict::is_duplicate), "{} known", ids.len());
    assert!(store.contains(ids).unwrap().into_iter().all(|known| known));
}

#[test]
fn of_any_length() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        let mut ids: Vec<Vec<u8>> = [0, 1, 15, 16, 17, 33, 1 << 20].map(|n| vec![7; n]).into();
        ids.push(vec![7; (1 << 20) - 1]);
        all_new(&store, &ids);
        all_known(&store, &ids);
        store.seal().unwrap();
        all_known(&store, &ids);
        let others: Vec<Vec<u8>> = [1, 15, 16, 17, 33, 1 << 20].map(|n| vec![8; n]).into();
        assert!(store.contains(&others).unwrap().into_iter().all(|known| !known));
    });
}

#[test]
fn in_the_order_of_the_batch() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        let batch = ["a", "b", "a", "c", "b", "a"];
        let new = |verdicts: Vec<Verdict>| verdicts.iter().map(Verdict::is_new).collect::<Vec<_>>();
        let expected = [true, true, false, true, false, false];
        let mut looked = Vec::new();
        store.check(&batch, &mut looked).unwrap();
        assert_eq!(new(looked), expected);
        assert_eq!(new(store.check_and_insert(&batch).unwrap()), expected);
        assert_eq!(new(store.check_and_insert(&["c", "d", "d"]).unwrap()), [false, true, false]);
        assert_eq!(store.contains(&["d", "x", "a"]).unwrap(), [true, false, true]);
    });
}

/// In one by one, in thousands, and in a call that is cut into pieces; with what is sealed, merged
/// and in memory.
#[test]
fn in_batches_of_any_size() {
    under_all(|setting, dir| {
        let store = setting.builder().expected_ids(200_000).open(dir).unwrap();
        for n in 0..200 {
            all_new(&store, &range(n, n + 1));
            if n % 20 == 19 {
                // Small runs, which are merged.
                store.seal().unwrap();
            }
        }
        (1..60).for_each(|n| all_new(&store, &range(1_000 * n, 1_000 * n + 1_000)));
        all_new(&store, &range(60_000, 130_000));
        (0..200).for_each(|n| all_known(&store, &range(n, n + 1)));
        all_known(&store, &range(60_000, 130_000));
        store.compact().unwrap();
        all_known(&store, &range(1_000, 60_000));
        let unknown = store.contains(&range(200_000, 203_000)).unwrap();
        assert!(unknown.into_iter().all(|known| !known));
        assert!(store.check_and_insert::<&str>(&[]).unwrap().is_empty());
        check_stats(&store);
    });
}

fn check_stats(store: &Store) {
    const IDS: u64 = 200 + 59_000 + 70_000;
    let stats = store.stats();
    assert_eq!((stats.ids, stats.new, stats.frozen_tables), (IDS, IDS, 0), "{stats:?}");
    assert!(stats.duplicates >= IDS && stats.sealed > 20 && stats.merged > 0, "{stats:?}");
    // All but a few of the new ids were ruled out, and what was not cost a look into runs.
    assert!(stats.filter_negatives > IDS * 9 / 10 && stats.page_reads > 1_000, "{stats:?}");
    assert!(stats.filter_false_positives < IDS / 50, "{stats:?}");
    assert!(stats.run_bytes > IDS * 15 && stats.run_bytes_written > stats.run_bytes, "{stats:?}");
    assert!(stats.log_bytes_written > IDS * 16 && stats.runs < stats.sealed, "{stats:?}");
}

#[test]
fn forgotten_and_let_in_again() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        all_new(&store, &range(0, 5_000));
        store.seal().unwrap();
        all_new(&store, &range(5_000, 5_100));
        for round in 0..3 {
            let forgotten = [10, 4_999, 5_050, 77_777];
            assert_eq!(store.forget(&ids(&forgotten)).unwrap(), 3, "round {round}");
            let known = store.contains(&ids(&forgotten)).unwrap();
            assert_eq!(known, [false; 4], "round {round}");
            all_known(&store, &range(0, 10));
            all_new(&store, &ids(&forgotten[..3]));
            all_known(&store, &ids(&forgotten[..3]));
            if round == 1 {
                store.compact().unwrap();
            }
            all_known(&store, &range(4_000, 5_100));
        }
    });
}

#[test]
fn first_seen_to_the_tick() {
    under_all(|setting, dir| {
        let clock = clock();
        let store = setting.timed(&clock).open(dir).unwrap();
        let tick = store.window() / 2_048;
        let mut seen = Vec::new();
        for n in 0..60 {
            seen.push(firstseen::Clock::wall(&clock));
            all_new(&store, &range(n, n + 1));
            clock.advance(97 * SECOND);
            if n == 20 {
                store.seal().unwrap();
            }
            if n == 40 {
                store.compact().unwrap();
            }
        }
        let mut verdicts = Vec::new();
        store.check(&range(0, 60), &mut verdicts).unwrap();
        for (n, (verdict, at)) in verdicts.into_iter().zip(seen).enumerate() {
            let Verdict::Duplicate { first_seen } = verdict else { panic!("{n}: {verdict:?}") };
            assert!(first_seen <= at && at - first_seen < tick, "{n}: {first_seen}, not {at}");
        }
    });
}

#[test]
fn one_winner_among_threads() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        let won: Vec<HashSet<u64>> = thread::scope(|scope| {
            let race = |seed| {
                let store = &store;
                scope.spawn(move || race(store, seed))
            };
            let racing: Vec<_> = (0..4).map(race).collect();
            racing.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let all: HashSet<u64> = won.iter().flatten().copied().collect();
        let wins: usize = won.iter().map(HashSet::len).sum();
        assert_eq!(wins, all.len(), "an id has two winners");
        assert_eq!(store.stats().ids, all.len() as u64);
        assert!(all.len() > 9_000 && store.stats().sealed > 2, "{}", all.len());
    });
}

/// Presents overlapping batches; the ids that it was told are new.
fn race(store: &Store, seed: u64) -> HashSet<u64> {
    let (mut rng, mut won) = (Rng::new(seed), HashSet::new());
    for call in 0..150 {
        // All threads are near the same ids at the same time.
        let numbers: Vec<u64> = (0..150).map(|_| call * 70 + rng.below(400)).collect();
        let verdicts = store.check_and_insert(&ids(&numbers)).unwrap();
        for (&n, verdict) in numbers.iter().zip(verdicts) {
            assert!(verdict.is_new() || verdict.is_duplicate());
            assert!(!verdict.is_new() || won.insert(n), "{n} is new twice");
        }
    }
    won
}

#[test]
fn a_look_inserts_nothing() {
    under(firstseen::Durability::Buffered, |setting: Setting, dir: &Path| {
        let store = setting.open(dir);
        all_new(&store, &range(0, 3_000));
        let mut verdicts = Vec::new();
        store.check(&range(2_990, 3_010), &mut verdicts).unwrap();
        assert_eq!(verdicts.iter().filter(|verdict| verdict.is_new()).count(), 10);
        assert!(!store.contains(&[id(3_000)]).unwrap()[0]);
        all_new(&store, &range(3_000, 3_010));
    });
}
