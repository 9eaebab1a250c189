//! Death at every operation of recovery, and of the recovery from that.

use std::io::ErrorKind;

use crate::case::{Case, Counts, Promise, ensure};
use crate::class::Class;
use crate::sim::{Fate, Left, Moment, NAMES, Run};
use crate::support::Rng;

use super::crash::{counted, operations};

/// Of the operations of standard scripts, one in so many is followed by a death at each operation of recovery.
const SHARE: u64 = 5;
/// So many recoveries die in a row, each from what the one before left.
const DEPTH: u64 = 3;

pub(crate) struct Recovery;

impl Class for Recovery {
    fn name(&self) -> &'static str {
        "recovery"
    }

    fn about(&self) -> &'static str {
        "a crash, then a crash at every operation of the recovery, and of the next: the same in the end"
    }

    fn weight(&self) -> u32 {
        4
    }

    fn enumerated(&self) -> u64 {
        operations() / SHARE
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let moment = match case {
            Case::Enumerated(number) => counted(number * SHARE + number % SHARE)?,
            Case::Sampled(seed) => Moment::draw(&mut Rng::new(seed), NAMES)?,
        };
        die_in_recovery(&moment, counts).map_err(|wrong| format!("{wrong}; {moment:?}"))
    }
}

fn die_in_recovery(moment: &Moment, counts: &mut Counts) -> Promise {
    let Moment { setup, ref script, operation, seed } = *moment;
    let mut run = Run::new(setup, Fate::Dead);
    run.disk.fail_from(operation, ErrorKind::Other);
    run.go(script)?;
    let mut random = Rng::new(seed);
    let power = random.one_in(2);
    let (first, allowed) = match power {
        true => (run.disk.crash_with(random.next()), run.after_power_cut()),
        false => (run.disk.kill(), run.after_kill()),
    };
    for step in 0.. {
        let mut disk = first.kill();
        disk.fail_from(step, ErrorKind::Other);
        let recovered = setup.open(&disk, &run.clock).is_ok();
        for depth in 1..=DEPTH {
            // What the first crash left may go in a second power cut, if it was one of the process.
            disk = if power { disk.crash_with(random.next()) } else { disk.kill() };
            counts.add("states", 1);
            if depth < DEPTH {
                disk.fail_from(random.below(step + 2), ErrorKind::Other);
                drop(setup.open(&disk, &run.clock));
            }
        }
        Left::of(&run, disk)
            .holds_for_good(&allowed, true)
            .map_err(|wrong| format!("recovery died at its operation {step}: {wrong}"))?;
        if recovered {
            break;
        }
        ensure(step < 10_000, || "recovery has no end".into())?;
    }
    Ok(())
}
