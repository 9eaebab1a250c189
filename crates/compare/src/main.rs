//! Measures firstseen beside what people use for the same job: see this package's README.

#[cfg(test)]
mod tests;

mod args;
mod command;
mod compare;
mod course;
mod figures;
mod files;
mod lines;
/// As the benches of the store ask the machine.
#[path = "../../../benches/support/machine.rs"]
#[allow(dead_code)]
mod machine;
mod outcome;
mod path;
mod peer;
mod peers;
mod plan;
mod plot;
mod records;
mod report;
mod rounds;
mod session;
mod stopwatch;
mod table;
mod tables;
mod workload;
mod yardstick;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use plan::Level;

fn main() -> ExitCode {
    let done = match Cli::parse() {
        Cli::Quick(args) => compare::measure(&args, Level::Quick),
        Cli::Full(args) => compare::measure(&args, Level::Full),
        Cli::Command(args) => command::measure(&args),
        Cli::Report(args) => report::make(&args),
        Cli::Plot(args) => plot::draw(&args.measurements, &args.out),
        Cli::Tables(args) => tables::print(&args.measurements),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("firstseen-compare: {error}");
            ExitCode::FAILURE
        }
    }
}
