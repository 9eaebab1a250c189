//! What the report consists of, in order.

use crate::course::Course;
use crate::files::{COMMAND, LIMITS, PEERS, RECOVERY, SUSTAINED, THREADS};
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
    let driven = driven(level).into_iter().map(|(file, runs)| Step {
        file,
        runs: runs.iter().map(|args| run(Program::Load, args)).collect(),
    });
    let compared = Step {
        file: PEERS,
        runs: level.parts().iter().filter_map(|part| peers(level, part, only)).collect(),
    };
    let commands: &[_] = match level {
        Level::Quick => &["--lines 1000000"],
        Level::Full => &["--lines 10000000", "--lines 100000000 --rounds 1"],
    };
    let commands = commands.iter().map(|of| run(Program::Command, &format!("command --json {of}")));
    let commands = Step { file: COMMAND, runs: commands.collect() };
    driven.chain([compared, commands]).collect()
}

/// What the load driver is asked for.
fn driven(level: Level) -> [(&'static str, Vec<String>); 4] {
    let recovery = |ids: &[u32]| ids.iter().map(|ids| format!("recovery --ids {ids}")).collect();
    match level {
        Level::Quick => [
            (LIMITS, list(&["limits --bytes 268435456 --millis 500"])),
            (SUSTAINED, list(&["sustained --ids 20000000 --window 5000000"])),
            (RECOVERY, recovery(&[250_000, 1_000_000, 4_000_000])),
            (THREADS, list(&["threads --ids 1000000"])),
        ],
        Level::Full => [
            (LIMITS, list(&["limits"])),
            (SUSTAINED, list(&["sustained --ids 1000000000 --window 100000000"])),
            // Three times: a process that is killed leaves the machine as it happens to.
            (RECOVERY, recovery(&[1_000_000, 10_000_000, 100_000_000].repeat(3))),
            (
                THREADS,
                list(&[
                    "threads --batch 1 --ids 500000",
                    "threads --batch 16",
                    "threads --batch 1024",
                ]),
            ),
        ],
    }
}

fn list(of: &[&str]) -> Vec<String> {
    of.iter().map(|&it| it.to_owned()).collect()
}

/// Each part of the level's plan has a process of its own: a report that was interrupted goes on there. None if
/// nobody takes part.
fn peers(level: Level, part: &Part, only: &[String]) -> Option<Run> {
    let Part { ids, batch, threads, course, rounds, .. } = part;
    let how = match course {
        Course::Window => format!("--batches {batch} --threads {threads}"),
        Course::Sustained => "--sustained".to_owned(),
    };
    let args = format!("{} --json --ids {ids} {how} --rounds {rounds}", level.name());
    let mut run = run(Program::Compare, &args);
    if part.peers.is_some() || !only.is_empty() {
        let asked = |name: &&str| only.is_empty() || only.iter().any(|only| only == name);
        let all = peers::all();
        let theirs = all.iter().filter(|entry| part.is_for(entry));
        let names: Vec<_> = theirs.map(|entry| entry.name).filter(asked).collect();
        if names.is_empty() {
            return None;
        }
        run.args.extend(["--peers".to_owned(), names.join(",")]);
    }
    Some(run)
}

fn run(program: Program, args: &str) -> Run {
    Run { program, args: args.split(' ').map(str::to_owned).collect() }
}
