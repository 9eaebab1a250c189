//! The whole report with one command: everything that is measured, file by file, and the plots.

mod about;
mod programs;
mod runs;
mod steps;

#[cfg(test)]
mod tests;

use std::env;
use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::args;
use crate::peer::Result;
use crate::plan::Level;
use crate::plot;
use programs::Programs;

/// Where the report goes, and how much of it.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The folder for the measurements, named after the machine: a file that is there is kept, and one that
    /// was begun is continued.
    #[arg(value_name = "DIR")]
    measurements: PathBuf,

    /// `quick` takes minutes, `full` hours.
    #[arg(long, value_enum, default_value = "full")]
    level: Level,

    /// Where the plots are put.
    #[arg(long, value_name = "DIR", default_value = "docs/plots")]
    out: PathBuf,

    /// Measures again what is there. What was begun is continued all the same.
    #[arg(long)]
    again: bool,

    /// Only these peers.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = args::names())]
    peers: Vec<String>,

    /// The load driver, built. Default: `cargo bench --bench load`.
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,

    /// The `firstseen` whose command is measured. Default: what `cargo build --release` makes.
    #[arg(long, value_name = "FILE")]
    firstseen: Option<PathBuf>,

    /// Where stores, peers and lines are put. Default: the system's temporary folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Measures what is not there yet, and draws it.
pub(crate) fn make(args: &ReportArgs) -> Result<()> {
    fs::create_dir_all(&args.measurements)?;
    let programs = Programs {
        load: args.load.clone(),
        firstseen: args.firstseen.clone(),
        dir: args.dir.clone().unwrap_or_else(env::temp_dir),
    };
    programs.build()?;
    let steps = steps::steps(args.level, &args.peers);
    for (at, step) in steps.iter().enumerate() {
        eprint!("{} of {}, {}: ", at + 1, steps.len(), step.file);
        runs::complete(step, &args.measurements, &programs, args.again)?;
    }
    plot::draw(&args.measurements, &args.out)
}
