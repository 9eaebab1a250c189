//! A disk that is full at any moment, also while the store is opened and recovers, and empty again.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use firstseen::{Backend, Error, Verdict};

use crate::case::{Case, Counts, Promise, ensure};
use crate::class::Class;
use crate::real::host::filler::Filler;
use crate::real::host::lacks_mounts;
use crate::real::host::mount::MemoryDisk;
use crate::real::life::Life;
use crate::real::setting::{Scene, Setting};
use crate::real::truth::{End, Truth};
use crate::real::verify::verify;
use crate::support::Rng;

const LONGEST: Duration = Duration::from_millis(400);

/// Runs that are to expire, and ids that are let in at once.
const RUNS: u64 = 4;
const IDS: u64 = 2_000;

pub(crate) struct Full;

impl Class for Full {
    fn name(&self) -> &'static str {
        "full"
    }

    fn about(&self) -> &'static str {
        "a disk is full and empty again at any moment: calls are refused as a whole, nothing is lost"
    }

    fn weight(&self) -> u32 {
        3
    }

    fn is_parallel(&self) -> bool {
        false
    }

    fn lacks(&self) -> Option<String> {
        lacks_mounts()
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let mut random = Rng::new(case.number() ^ 3);
        let disk = MemoryDisk::new((24 + random.below(40)) << 20)?;
        let dir = disk.point().join("store");
        let setting = |life| Setting::draw(Scene::Full, case.number(), life, &dir);
        let mut truth = Truth::new(setting(0).window, true);
        for life in 0..2 + random.below(4) {
            let setting = setting(life);
            let told = |wrong: String| format!("life {life}, {setting:?}: {wrong}");
            truth.begin_life(&setting);
            let mut child = Life::start(&setting.errand())?;
            let end = Instant::now() + LONGEST.mul_f64(random.below(1_000) as f64 / 1e3);
            // Some find the disk full when they open the store.
            let mut filler = random.one_in(3).then(|| Filler::new(disk.point(), 0));
            while Instant::now() < end && child.runs() {
                thread::sleep(Duration::from_millis(random.below(40)));
                filler = match filler {
                    Some(_) => None,
                    None => {
                        counts.add("times full", 1);
                        // Little is left now and then: some of what a call needs can still be had.
                        let spare = random.pick(&[0, 0, 8 << 10, 200 << 10, 1 << 20]);
                        Some(Filler::new(disk.point(), spare))
                    }
                };
            }
            let death = child.kill()?;
            let failed = truth.end_life(&death.said, End::Death, counts).map_err(told)?;
            if let Some(failed) = &failed {
                let expected = failed.is_of_a_full_disk(&setting);
                expected.then_some(()).ok_or_else(|| told(failed.text.clone()))?;
                counts.add("ended by a full disk", 1);
            }
            death.ensure_sound(failed.is_some()).map_err(told)?;
            counts.add("kills", u64::from(death.was_killed()));
            let full = filler.take().unwrap_or_else(|| Filler::new(disk.point(), 0));
            open_on_a_full_disk(&setting, counts).map_err(told)?;
            drop(full);
            verify(&setting, &mut truth, &mut random, counts).map_err(told)?;
        }
        match setting(0).window {
            Some(window) if setting(0).backend == Backend::Mapped => {
                expiry_makes_room(&setting(0), window, disk.point(), counts)
            }
            _ => Ok(()),
        }
    }
}

/// What has expired is dropped though the disk is full, and what was refused is let in then.
fn expiry_makes_room(
    setting: &Setting,
    window: Duration,
    disk: &Path,
    counts: &mut Counts,
) -> Promise {
    let store = setting.builder().open(&setting.dir).map_err(|error| error.to_string())?;
    let ids = |n: u64| (0..IDS).map(|i| format!("filling-{n}-{i}")).collect::<Vec<_>>();
    // A few runs, so that there is something to expire.
    for n in 0..RUNS {
        store.check_and_insert(&ids(n)).map_err(|error| error.to_string())?;
        store.seal().map_err(|error| error.to_string())?;
    }
    let _full = Filler::new(disk, 0);
    let mut next = RUNS;
    loop {
        match store.check_and_insert(&ids(next)) {
            Ok(_) => next += 1,
            Err(Error::DiskFull { .. }) => break,
            Err(error) => return Err(format!("on a full disk: {error}")),
        }
    }
    thread::sleep(window * 2);
    store.compact().map_err(|error| format!("expiry on a full disk: {error}"))?;
    let verdicts = store.check_and_insert(&ids(next));
    let verdicts = verdicts.map_err(|error| format!("after expiry on a full disk: {error}"))?;
    ensure(verdicts.iter().all(Verdict::is_new), || "what was refused is known".to_owned())?;
    counts.add("times that expiry made room", 1);
    store.close().map_err(|error| error.to_string())
}

/// A full disk may refuse an opening, and says that it is full.
fn open_on_a_full_disk(setting: &Setting, counts: &mut Counts) -> Promise {
    match setting.builder().open(&setting.dir) {
        Ok(_) => counts.add("opened on a full disk", 1),
        Err(error @ Error::DiskFull { .. }) if error.is_transient() => {
            counts.add("openings refused for a full disk", 1);
        }
        Err(error) => return Err(format!("opening on a full disk: {error}")),
    }
    Ok(())
}
