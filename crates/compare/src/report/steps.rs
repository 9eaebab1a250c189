//! What the report consists of, in order.

use crate::files::{COMMAND, LIMITS, PEERS, RECOVERY, SUSTAINED};
use crate::peers;
use crate::plan::{Level, Part};

/// Whom a run asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// The load driver of the store's benches.
    Load,
    /// This program, for the peers.
    Compare,
    /// This program, for the command and other tools.
    Command,
}

/// One process, which prints lines of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) program: Program,
    pub(super) args: Vec<String>,
}

/// A file, and the runs that fill it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) file: &'static str,
    pub(super) runs: Vec<Run>,
}

/// All files of a level, with no other peers than these if there are any.
pub(super) fn steps(level: Level, only: &[String]) -> Vec<Step> {
    let (limits, sustained, sizes, times, lines) = match level {
        Level::Quick => (
            "limits --bytes 268435456 --millis 500",
            "sustained --ids 20000000 --window 5000000",
            [250_000, 1_000_000, 4_000_000],
            1,
            1_000_000,
        ),
        Level::Full => (
            "limits",
            "sustained --ids 1000000000 --window 100000000",
            [1_000_000, 10_000_000, 100_000_000],
            3,
            10_000_000,
        ),
    };
    let recovery = (0..times).flat_map(|_| sizes).map(|ids| load(&format!("recovery --ids {ids}")));
    vec![
        Step { file: LIMITS, runs: vec![load(limits)] },
        Step { file: SUSTAINED, runs: vec![load(sustained)] },
        Step { file: RECOVERY, runs: recovery.collect() },
        Step {
            file: PEERS,
            runs: level.parts().iter().map(|part| peers(level, part, only)).collect(),
        },
        Step { file: COMMAND, runs: vec![command(&format!("command --json --lines {lines}"))] },
    ]
}

/// Each part of the level's plan has a process of its own: a report that was interrupted goes on there.
fn peers(level: Level, part: &Part, only: &[String]) -> Run {
    let Part { ids, batch, threads, rounds, .. } = part;
    let mut run = compare(&format!(
        "{} --json --ids {ids} --batches {batch} --threads {threads} --rounds {rounds}",
        level.name()
    ));
    if part.peers.is_some() || !only.is_empty() {
        let asked = |name: &&str| only.is_empty() || only.iter().any(|only| only == name);
        let all = peers::all();
        let names = all.iter().map(|entry| entry.name).filter(|name| part.takes(name));
        let names: Vec<_> = names.filter(asked).collect();
        run.args.extend(["--peers".to_owned(), names.join(",")]);
    }
    run
}

fn load(args: &str) -> Run {
    Run { program: Program::Load, args: words(args) }
}

fn compare(args: &str) -> Run {
    Run { program: Program::Compare, args: words(args) }
}

fn command(args: &str) -> Run {
    Run { program: Program::Command, args: words(args) }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}
