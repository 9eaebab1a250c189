//! Killed: what a child was told before it died is known to the next opening, and of what it was not
//! told nothing is half there.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use firstseen::{Backend, Durability, IdentityKind, offline};

use crate::load;
use crate::setting::{DURABILITIES, Setting, under};
use crate::support::child::{self, Child, Say};
use crate::support::{Rng, scale};

const KILLS: u64 = 24;
/// Workers that transact; one more inserts.
const TRANSACTING: u64 = 2;
/// Insertions of a round begin here, so that no number comes twice.
const ROUND: u32 = 24;

/// What a child is told: the setting, the round, whether to work at all, the folder.
fn told(setting: Setting, round: u64, works: bool, dir: &Path) -> String {
    let Setting { backend, durability, identity } = setting;
    let xxh3 = identity == IdentityKind::Xxh3;
    format!("{backend} {durability} {xxh3} {round} {works} {}", dir.display())
}

fn understood(told: &str) -> (Setting, u64, bool, &Path) {
    let words: Vec<&str> = told.splitn(6, ' ').collect();
    let backend: Backend = words[0].parse().unwrap();
    let named = |durability: &Durability| durability.to_string() == words[1];
    let durability = *DURABILITIES.iter().find(|durability| named(durability)).unwrap();
    let identity = if words[2] == "true" { IdentityKind::Xxh3 } else { IdentityKind::AesCmac };
    let setting = Setting { backend, durability, identity };
    (setting, words[3].parse().unwrap(), words[4] == "true", Path::new(words[5]))
}

/// Not a test of its own: what the child does, until it is killed.
#[test]
fn child() {
    let Some(told) = child::asked() else { return };
    let (setting, round, works, dir) = understood(&told);
    let say = Say::default();
    say.line("\nopening");
    let store = setting.open(dir);
    load::settle(&store);
    say.line("open");
    if !works {
        thread::sleep(Duration::from_secs(60));
    }
    thread::scope(|scope| {
        for worker in 0..TRANSACTING {
            let (store, say) = (&store, &say);
            scope.spawn(move || {
                let mut rng = Rng::new(round << 8 | worker);
                let mut next = load::progress(store, worker);
                loop {
                    next = load::transact(store, worker, next, &mut rng);
                    say.line(&format!("{worker} {next}"));
                }
            });
        }
        let mut rng = Rng::new(round << 8 | TRANSACTING);
        let mut next = round << ROUND;
        loop {
            next = load::insert(&store, TRANSACTING, next, &mut rng);
            say.line(&format!("{TRANSACTING} {next}"));
            if rng.one_in(100) {
                store.compact().unwrap();
            }
        }
    });
}

/// How far each worker was told that it has come.
fn heard(lines: &[String]) -> BTreeMap<u64, u64> {
    let each = lines.iter().filter_map(|line| {
        let (worker, next) = line.split_once(' ')?;
        Some((worker.parse().ok()?, next.parse().ok()?))
    });
    each.collect()
}

#[derive(Default)]
struct Known {
    transacted: BTreeMap<u64, u64>,
    /// By round.
    inserted: Vec<(u64, u64)>,
}

fn kill_one(setting: Setting, dir: &Path, round: u64, rng: &mut Rng, known: &mut Known) {
    let mut child = Child::start("crash::child", &told(setting, round, true, dir));
    if rng.one_in(4) {
        child.wait_for("opening");
    } else {
        child.wait_for("open");
    }
    thread::sleep(Duration::from_millis(rng.below(80)));
    let mut heard = heard(&child.kill());
    if let Some(next) = heard.remove(&TRANSACTING) {
        known.inserted.push((round << ROUND, next));
    }
    known.transacted.extend(heard);
    if rng.one_in(3) {
        let mut child = Child::start("crash::child", &told(setting, round, false, dir));
        child.wait_for("opening");
        thread::sleep(Duration::from_micros(rng.below(15_000)));
        child.kill();
    }
}

#[test]
fn nothing_is_lost_and_nothing_half() {
    under(Durability::Buffered, |setting, dir| {
        let (mut rng, mut known) = (Rng::new(11), Known::default());
        let rounds = KILLS * scale();
        for round in 0..rounds {
            let durability = DURABILITIES[(round % 3) as usize];
            let setting = Setting { durability, ..setting };
            kill_one(setting, dir, round, &mut rng, &mut known);
            let store = setting.open(dir);
            load::settle(&store);
            for worker in 0..TRANSACTING {
                let told = known.transacted.get(&worker).copied().unwrap_or(0);
                let at = load::check_transacted(&store, worker, told);
                known.transacted.insert(worker, at);
            }
            let last = round + 1 == rounds;
            for &(from, to) in known.inserted.iter().rev().take(if last { usize::MAX } else { 2 }) {
                load::check_inserted(&store, TRANSACTING, from..to);
            }
            drop(store);
            if last {
                let mut damages = Vec::new();
                offline::verify(dir, &mut |damage| damages.push(damage.to_string())).unwrap();
                assert!(damages.is_empty(), "{damages:?}");
            }
        }
        let inserted: u64 = known.inserted.iter().map(|(from, to)| to - from).sum();
        assert!(inserted > 10_000 && known.transacted[&0] > 500, "the children did too little");
    });
}

/// Sled writes what it has read of its log into a file, at opening, and gives it its name when it is whole. It
/// takes one that is not for a damaged one.
#[cfg(feature = "sled")]
#[test]
fn while_sled_was_opened() {
    under(Durability::Buffered, |setting, dir| {
        if setting.backend != Backend::Sled {
            return;
        }
        let store = setting.open(dir);
        store.check_and_insert(&["a"]).unwrap();
        store.close().unwrap();
        for begun in [&b""[..], &[7; 300]] {
            let begun_name = "snap.0000000000005334.generating";
            std::fs::write(dir.join("sled").join(begun_name), begun).unwrap();
            let store = setting.open(dir);
            assert_eq!(store.contains(&["a", "b"]).unwrap(), [true, false]);
            drop(store);
            assert!(!dir.join("sled").join(begun_name).exists());
        }
    });
}
