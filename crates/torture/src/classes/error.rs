//! An error at every operation of the disk, once or until it is healed, and short writes.

use std::io::ErrorKind;

use firstseen::Durability;

use crate::case::{Case, Counts, Promise};
use crate::class::Class;
use crate::sim::{ALL, Fate, Left, Moment, Run};
use crate::support::Rng;

use super::crash::{counted, operations};

/// How an operation fails.
#[derive(Debug, Clone, Copy)]
struct Fault {
    kind: ErrorKind,
    /// So many operations fail; after that the disk is well again.
    operations: u64,
    /// Writes take so many bytes at a time.
    write_limit: Option<usize>,
}

const EIO: ErrorKind = ErrorKind::Other;
const FULL: ErrorKind = ErrorKind::StorageFull;

const FAULTS: [Fault; 6] = [
    Fault { kind: EIO, operations: 1, write_limit: None },
    Fault { kind: FULL, operations: 1, write_limit: None },
    Fault { kind: ErrorKind::Interrupted, operations: 1, write_limit: None },
    Fault { kind: EIO, operations: 7, write_limit: None },
    Fault { kind: FULL, operations: 12, write_limit: Some(100) },
    Fault { kind: EIO, operations: 2, write_limit: Some(7) },
];

pub(crate) struct Error;

impl Class for Error {
    fn name(&self) -> &'static str {
        "error"
    }

    fn about(&self) -> &'static str {
        "EIO, ENOSPC, EINTR and short writes at every operation, for once or for a while; then a crash"
    }

    fn weight(&self) -> u32 {
        5
    }

    fn enumerated(&self) -> u64 {
        operations() * FAULTS.len() as u64
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let count = FAULTS.len() as u64;
        let (moment, fault) = match case {
            Case::Enumerated(number) => {
                (counted(number / count)?, FAULTS[(number % count) as usize])
            }
            Case::Sampled(seed) => {
                let mut random = Rng::new(seed);
                let moment = Moment::draw(&mut random, ALL)?;
                let fault = Fault {
                    kind: random.pick(&[EIO, EIO, FULL, FULL, ErrorKind::Interrupted]),
                    operations: random.pick(&[1, 1, 1, 2, 5, 20]),
                    write_limit: random.pick(&[None, None, Some(1), Some(60), Some(513)]),
                };
                (moment, fault)
            }
        };
        fail_at(&moment, fault, counts).map_err(|wrong| format!("{wrong}; {fault:?}, {moment:?}"))
    }
}

fn fail_at(moment: &Moment, fault: Fault, counts: &mut Counts) -> Promise {
    let Moment { setup, ref script, operation, seed } = *moment;
    let fate = if fault.operations == 1 { Fate::Obeys } else { Fate::Wavers };
    let mut run = Run::new(setup, fate);
    run.disk.set_write_limit(fault.write_limit);
    (operation..operation + fault.operations).for_each(|at| run.disk.fail_at(at, fault.kind));
    run.go(script)?;
    counts.add("errors", run.errors);
    Left::of(&run, run.disk.kill())
        .holds_for_good(&run.after_kill(), false)
        .map_err(|wrong| format!("after a kill: {wrong}"))?;
    let allowed = run.after_power_cut();
    let cut = if seed.is_multiple_of(2) { run.disk.crash() } else { run.disk.crash_with(seed) };
    Left::of(&run, cut)
        .holds_for_good(&allowed, true)
        .map_err(|wrong| format!("after a power cut: {wrong}"))?;
    run.disk.heal();
    // A store that comes to its end takes back what it could not before.
    let ended = run.store.take().map_or_else(|| run.after_kill(), |_| run.now.clone());
    Left::of(&run, run.disk.kill())
        .holds_for_good(&ended, false)
        .map_err(|wrong| format!("after its end: {wrong}"))?;
    counts.add("states", 3);
    if setup.durability == Durability::Sync {
        Left::of(&run, run.disk.crash())
            .holds_for_good(&run.after_kill(), true)
            .map_err(|wrong| format!("after its end and a power cut: {wrong}"))?;
        counts.add("states", 1);
    }
    Ok(())
}
