//! Measures firstseen beside what people use for the same job: see this package's README.

#[cfg(test)]
mod tests;

mod args;
mod command;
mod figures;
/// As the benches of the store ask the machine.
#[path = "../../../benches/support/machine.rs"]
#[allow(dead_code)]
mod machine;
mod path;
mod peer;
mod peers;
mod plan;
mod report;
mod rounds;
mod session;
mod stopwatch;
mod workload;
mod yardstick;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, PeersArgs};
use peer::Result;
use plan::Level;
use rounds::Rounds;
use yardstick::LineRate;

/// Memory that the line rate reads: far more than any cache.
const LINE_BYTES: u64 = 512 << 20;

fn main() -> ExitCode {
    let done = match Cli::parse() {
        Cli::Quick(args) => compare(&args, Level::Quick),
        Cli::Full(args) => compare(&args, Level::Full),
        Cli::Command(args) => command::measure(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("firstseen-compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: &PeersArgs, level: Level) -> Result<()> {
    let (peers, missing): (Vec<_>, Vec<_>) =
        args.peers().into_iter().partition(|peer| peer.missing().is_none());
    for peer in missing {
        eprintln!("{} is skipped: {}", peer.name, peer.missing().unwrap_or_default());
    }
    let scenarios = args.scenarios(level);
    let dir = args.dir();
    let rounds = Rounds {
        peers: &peers,
        rounds: args.rounds.get(),
        dir: &dir,
        line_rate: LineRate::new(LINE_BYTES),
        progress: rounds::progress(scenarios.len() * args.rounds.get() * peers.len()),
    };
    for scenario in scenarios {
        let outcome = rounds.run(scenario)?;
        rounds.progress.suspend(|| {
            let mut out = io::stdout().lock();
            if args.json {
                report::json_lines(&outcome, &mut out)
            } else {
                report::table(&outcome, &mut out)
            }
        })?;
    }
    rounds.progress.finish_and_clear();
    Ok(())
}
