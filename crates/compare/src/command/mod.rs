//! The `firstseen` command beside the tools that print each line once.

mod args;
mod input;
mod outcome;
mod report;
mod run;
mod tools;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use indicatif::ProgressBar;

pub(crate) use args::CommandArgs;
use input::Input;
use outcome::{Measurement, Outcome};
pub(crate) use report::{read, table};
use run::Run;
use tools::Tool;

use crate::figures::{median, rounded};
use crate::peer::Result;
use crate::rounds;

/// Makes the lines, has every tool go through them in turns, and reports.
pub(crate) fn measure(args: &CommandArgs) -> Result<()> {
    let folder = args.folder()?;
    let (tools, missing) = args.tools();
    for (name, why) in missing {
        eprintln!("{name} is skipped: {why}");
    }
    let rounds = args.rounds.get();
    let progress = rounds::progress(1 + rounds * tools.len());
    progress.set_message("making lines");
    let input = Input::make(folder.path(), args.lines.get(), args.duplicates)?;
    progress.inc(1);
    let measurements = in_turns(&tools, &input, folder.path(), rounds, &progress)?;
    progress.finish_and_clear();
    let outcome = Outcome {
        lines: input.lines,
        distinct: input.distinct(),
        duplicates: input.duplicates.into(),
        measurements,
    };
    let mut out = io::stdout().lock();
    if args.json {
        report::json_lines(&outcome, &mut out)?;
    } else {
        report::table(&outcome, &mut out)?;
    }
    Ok(())
}

fn in_turns(
    tools: &[Tool],
    input: &Input,
    folder: &Path,
    rounds: usize,
    progress: &ProgressBar,
) -> Result<Vec<Measurement>> {
    let mut runs: Vec<Vec<Run>> = tools.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for turn in 0..tools.len() {
            // Each round begins with another tool, so that not all always follow the same one.
            let at = (round + turn) % tools.len();
            let tool = &tools[at];
            progress.set_message(tool.name());
            let run = run::run(tool, input, folder);
            runs[at].push(run.map_err(|error| format!("{}: {error}", tool.name()))?);
            progress.inc(1);
        }
    }
    let measured = tools.iter().zip(&runs).map(|(tool, runs)| {
        let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure));
        Measurement {
            peer: tool.name().to_owned(),
            durability: tool.durability().to_owned(),
            ns_per_line: rounded(of(|run| run.wall.as_secs_f64()) * 1e9 / input.lines as f64, 2),
            user_s: rounded(of(|run| run.user.as_secs_f64()), 3),
            system_s: rounded(of(|run| run.system.as_secs_f64()), 3),
            peak_bytes: of(|run| run.peak_bytes as f64) as usize,
        }
    });
    Ok(measured.collect())
}
