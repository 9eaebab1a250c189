//! A disk in memory that is full at any moment: calls are refused as a whole and say why, and once there is room,
//! or expiry has made some, all goes on.

use std::time::Duration;

use firstseen::{Error, Store, Verdict};

use crate::case::{Case, Counts, Promise, ensure};
use crate::class::Class;
use crate::sim::{Fate, Left, Run, Setup, Step, random_script};
use crate::support::Rng;
use crate::support::ids;

/// What is left of the disk when it fills up: a call's frame, a manifest, a step of the log.
const SPARE: [u64; 8] = [0, 0, 100, 3_000, 40_000, 500_000, 1 << 20, 3 << 20];
/// The first of the ids that fill a disk, and so many at a time.
const FILLING: u64 = 10_000_000;
const BATCH: u64 = 1_000;
/// So many calls fill any disk that has no more than that to spare.
const CALLS_MAX: u64 = 2_000;

pub(crate) struct Space;

impl Class for Space {
    fn name(&self) -> &'static str {
        "space"
    }

    fn about(&self) -> &'static str {
        "a simulated disk has no room, and again: refused as a whole, emptied by expiry, nothing is lost"
    }

    fn weight(&self) -> u32 {
        3
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let mut random = Rng::new(case.number() ^ 8);
        let (setup, script) = (Setup::random(&mut random), random_script(&mut random));
        let place = |wrong| format!("{wrong}; {setup:?}, {script:?}");
        let mut run = Run::new(setup, Fate::Sound);
        run.go(&script).map_err(place)?;
        if random.one_in(3) {
            fills_up_and_expires(&run, &mut random, counts).map_err(place)
        } else {
            is_full_for_a_while(&mut run, &mut random, counts).map_err(place)
        }
    }
}

fn is_full_for_a_while(run: &mut Run, random: &mut Rng, counts: &mut Counts) -> Promise {
    for _ in 0..1 + random.below(3) {
        let spare = random.pick(&SPARE);
        run.disk.set_capacity(Some(run.disk.used() + spare));
        run.fate = Fate::Full;
        let script = random_script(random);
        let told = |wrong| format!("{wrong}; with {spare} bytes left: {script:?}");
        run.go_on(&script).map_err(told)?;
        counts.add("times full", 1);
        run.disk.set_capacity(None);
        run.fate = Fate::Sound;
        let script = random_script(random);
        let told = |wrong| format!("{wrong}; with room again: {script:?}");
        if run.store.is_none() {
            run.go_on(&[Step::Drop]).map_err(told)?;
        }
        run.go_on(&script).map_err(told)?;
    }
    counts.add("refusals", run.errors);
    Left::of(run, run.disk.kill())
        .holds_for_good(&run.after_kill(), true)
        .map_err(|wrong| format!("after a kill: {wrong}"))?;
    Left::of(run, run.disk.crash_with(random.next()))
        .holds_for_good(&run.after_power_cut(), true)
        .map_err(|wrong| format!("after a power cut: {wrong}"))?;
    counts.add("states", 2);
    Ok(())
}

/// What has expired is dropped though the disk is full, and what was refused is let in then.
fn fills_up_and_expires(run: &Run, random: &mut Rng, counts: &mut Counts) -> Promise {
    let text = |error: Error| error.to_string();
    let store = run.store.as_ref().ok_or("it was opened")?;
    let filling = |n: u64| {
        let from = FILLING + n * BATCH;
        ids(&(from..from + BATCH).collect::<Vec<_>>())
    };
    // Something is there to expire.
    store.check_and_insert(&filling(0)).map_err(text)?;
    store.seal().map_err(text)?;
    run.disk.set_capacity(Some(run.disk.used() + random.pick(&SPARE)));
    let refused = fill(store, filling)?;
    run.clock.advance(run.setup.window * 2 + Duration::from_secs(1));
    store.compact().map_err(|error| format!("expiry on a full disk: {error}"))?;
    let verdicts = store.check_and_insert(&filling(refused));
    let verdicts = verdicts.map_err(|error| format!("after expiry on a full disk: {error}"))?;
    ensure(verdicts.iter().all(Verdict::is_new), || "what was refused is known".to_owned())?;
    counts.add("times that expiry made room", 1);
    counts.add("calls until full", refused);
    Ok(())
}

/// Lets ids in until there is no room. The first batch that was refused.
fn fill(store: &Store, batch: impl Fn(u64) -> Vec<Vec<u8>>) -> Promise<u64> {
    for n in 1..CALLS_MAX {
        match store.check_and_insert(&batch(n)) {
            Ok(verdicts) => {
                ensure(verdicts.iter().all(Verdict::is_new), || format!("{verdicts:?}"))?;
            }
            Err(Error::DiskFull { .. }) => return Ok(n),
            Err(error) => return Err(format!("on a full disk: {error}")),
        }
    }
    Err("the disk does not fill up".to_owned())
}
