//! Makes every fault that we can make under firstseen, and holds it to its promises: see this package's README.

mod args;
mod campaign;
mod case;
// Some errands, and some of what is done to processes, are for Linux only.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod child;
mod class;
mod classes;
mod planted;
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod real;
mod report;
mod sim;
mod soak;
/// What the crate's own tests share: models, and machines that hold a store against them.
#[path = "../../../tests/support/mod.rs"]
mod support;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let Args { command, campaign } = Args::parse();
    let kept = match command {
        None => {
            watch::start(Duration::from_secs(campaign.stall), report::stalled);
            campaign::run(&campaign)
        }
        Some(Command::List) => {
            classes::list();
            true
        }
        Some(Command::Child(errand)) => return child::run(&errand.errand),
        Some(Command::Planted(asked)) => planted::run(&asked),
        Some(Command::Soak(asked)) => soak::run(&asked),
    };
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
