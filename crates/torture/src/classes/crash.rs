//! The end of the process and of the machine at every operation on the disk.

use std::sync::OnceLock;

use firstseen::Durability;

use crate::case::{Case, Counts, Promise};
use crate::class::Class;
use crate::sim::{Fate, Left, Moment, NAMES, Run, STANDARD, Setup, Step};
use crate::support::Rng;

/// Power cuts that are tried at each operation, beside the one that keeps nothing.
const PATTERNS: u64 = 6;
const DURABILITIES: [Durability; 2] = [Durability::Buffered, Durability::Sync];

pub(crate) struct Crash;

impl Class for Crash {
    fn name(&self) -> &'static str {
        "crash"
    }

    fn about(&self) -> &'static str {
        "death of the process, and power cuts that lose, tear and reorder, at every operation of the disk"
    }

    fn weight(&self) -> u32 {
        6
    }

    fn enumerated(&self) -> u64 {
        operations()
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let moment = match case {
            Case::Enumerated(number) => counted(number)?,
            Case::Sampled(seed) => Moment::draw(&mut Rng::new(seed), NAMES)?,
        };
        die_at(&moment, counts).map_err(|wrong| format!("{wrong}; {moment:?}"))
    }
}

fn die_at(Moment { setup, script, operation, seed }: &Moment, counts: &mut Counts) -> Promise {
    let mut run = Run::new(*setup, Fate::Dead);
    run.disk.fail_from(*operation, std::io::ErrorKind::Other);
    run.go(script)?;
    Left::of(&run, run.disk.kill())
        .holds_for_good(&run.after_kill(), true)
        .map_err(|wrong| format!("after a kill: {wrong}"))?;
    let allowed = run.after_power_cut();
    Left::of(&run, run.disk.crash())
        .holds_for_good(&allowed, true)
        .map_err(|wrong| format!("after a power cut that kept nothing: {wrong}"))?;
    for pattern in 0..PATTERNS {
        let left = run.disk.crash_with(Rng::new(seed ^ pattern << 48).next());
        Left::of(&run, left)
            .holds_for_good(&allowed, true)
            .map_err(|wrong| format!("after power cut {pattern}: {wrong}"))?;
    }
    counts.add("states", PATTERNS + 2);
    Ok(())
}

/// A standard script under a durability.
struct Point {
    script: &'static [Step],
    durability: Durability,
    /// How many operations of the disk it takes, if it keeps its promises on a sound one.
    operations: Promise<u64>,
}

impl Point {
    fn operations(&self) -> u64 {
        *self.operations.as_ref().unwrap_or(&1)
    }
}

/// Every standard script, with its operations counted once.
fn points() -> &'static [Point] {
    static POINTS: OnceLock<Vec<Point>> = OnceLock::new();
    POINTS.get_or_init(|| {
        let each = STANDARD.iter().flat_map(|&script| DURABILITIES.map(|d| (script, d)));
        let point = |(script, durability)| {
            let operations =
                std::panic::catch_unwind(|| Run::history(Setup::standard(durability), script));
            let operations = operations.unwrap_or_else(|_| Err("a panic on a sound disk".into()));
            let operations = operations.map(|history| history.len() as u64);
            Point { script, durability, operations }
        };
        each.map(point).collect()
    })
}

/// The operations of all standard scripts.
pub(super) fn operations() -> u64 {
    points().iter().map(Point::operations).sum()
}

/// The moment of a number: a standard script, and one of its operations.
pub(super) fn counted(number: u64) -> Promise<Moment> {
    let mut operation = number;
    for point in points() {
        if operation < point.operations() {
            point.operations.as_ref().map_err(|wrong| format!("{wrong}; {:?}", point.script))?;
            let (setup, script) = (Setup::standard(point.durability), point.script.to_vec());
            return Ok(Moment { setup, script, operation, seed: number });
        }
        operation -= point.operations();
    }
    Err("no operation has this number".into())
}
