//! A child process inserts from several threads and is killed at a random moment. Whatever it was
//! told of an id, the next to open the folder is told that the id is known.

use std::collections::HashSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use firstseen::{Builder, Durability, Store, Verdict};

mod support;

use support::child::{self, Child, Say};
use support::{Rng, ids, scale};

const THREADS: u64 = 3;

fn builder(durability: Durability) -> Builder {
    Store::builder().durability(durability).active_ids(2_000).memory_budget(32 << 20)
}

fn durability(round: u64) -> Durability {
    let interval = Durability::Interval(Duration::from_millis(3));
    [Durability::Buffered, Durability::Sync, interval][(round % 3) as usize]
}

/// Not a test of its own: what the child does, until it is killed. Prints the range of ids of each
/// call that was acknowledged.
#[test]
fn child() {
    let Some(what) = child::asked() else { return };
    let (round, dir) = what.split_once(':').unwrap();
    let round: u64 = round.parse().unwrap();
    let store = builder(durability(round)).open(dir).unwrap();
    let say = Say::default();
    say.line("\nopen");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, say) = (&store, &say);
            scope.spawn(move || {
                let mut rng = Rng::new(round << 8 | thread);
                let mut next = round << 48 | thread << 40;
                loop {
                    let to = next + 1 + rng.below(400);
                    let verdicts = store.check_and_insert(&ids(&range(next, to))).unwrap();
                    assert!(verdicts.iter().all(Verdict::is_new));
                    say.line(&format!("acknowledged {next} {to}"));
                    next = to;
                    if rng.one_in(200) {
                        store.compact().unwrap();
                    }
                }
            });
        }
    });
}

fn range(from: u64, to: u64) -> Vec<u64> {
    (from..to).collect()
}

/// Starts a child, lets it work for so long, kills it. Returns the ranges that it was told are new.
fn work_and_die(dir: &Path, round: u64, lives: Duration) -> Vec<(u64, u64)> {
    let child = Child::start("child", &format!("{round}:{}", dir.display()));
    thread::sleep(lives);
    let mut acknowledged = Vec::new();
    for line in child.kill() {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["acknowledged", from, to] = words[..] {
            acknowledged.push((from.parse().unwrap(), to.parse().unwrap()));
        }
    }
    acknowledged
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    if child::asked().is_some() {
        return;
    }
    let mut rng = Rng::new(7);
    let (mut kills, mut ids_kept) = (0, 0);
    for _ in 0..3 {
        // A folder lives through many kills: what they leave behind adds up.
        let dir = tempfile::tempdir().unwrap();
        let mut known: Vec<(u64, u64)> = Vec::new();
        let rounds = 11 * scale();
        for round in 0..rounds {
            let lives = Duration::from_millis(15 + rng.below(200));
            known.extend(work_and_die(dir.path(), round, lives));
            kills += 1;
            let started = Instant::now();
            let store = builder(durability(round)).open(dir.path()).unwrap();
            assert!(started.elapsed() < Duration::from_secs(20), "{:?}", store.recovery());
            // All of the last round, and some of the earlier ones; all at the end.
            let last = round + 1 == rounds;
            let checked =
                known.iter().filter(|(from, _)| last || from >> 48 == round || rng.one_in(8));
            for &(from, to) in checked {
                let verdicts = store.check_and_insert(&ids(&range(from, to))).unwrap();
                assert!(verdicts.iter().all(Verdict::is_duplicate), "{from}..{to}, round {round}");
            }
            // Never presented by any child.
            let fresh: HashSet<u64> = (0..1_000).map(|n| 1 << 63 | round << 20 | n).collect();
            let fresh: Vec<u64> = fresh.into_iter().collect();
            assert!(store.check_and_insert(&ids(&fresh)).unwrap().iter().all(Verdict::is_new));
        }
        ids_kept += known.iter().map(|(from, to)| to - from).sum::<u64>();
    }
    assert!(kills >= 30 && ids_kept > 10_000, "{kills} kills, {ids_kept} ids");
}
