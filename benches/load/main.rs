//! The load driver: what criterion cannot measure, because it takes long, needs a death or wants the tail.
//!
//! ```sh
//! cargo bench --bench load -- limits                                  # what this machine can do
//! cargo bench --bench load -- sustained --ids 1000000000 --window 100000000
//! cargo bench --bench load -- recovery --ids 100000000                # opening after a SIGKILL
//! cargo bench --bench load -- threads                                 # one against two, nothing in the background
//! cargo bench --bench load -- cold --ids 400000000                    # for a window larger than memory, see below
//! ```
//!
//! Each prints one line of JSON a measurement. A progress bar runs on a terminal. The stores are made in `--dir`, the
//! system's temporary folder without it, and removed.
//!
//! For a window that is larger than memory bound the memory of the process *and* its page cache from outside, as root with a
//! cgroup: `systemd-run --scope -p MemoryMax=1G -p MemorySwapMax=0 cargo bench --bench load -- cold --ids 400000000`.

mod args;
mod cold;
mod feed;
mod limits;
mod recovery;
#[path = "../support/mod.rs"]
mod support;
mod sustained;
mod tail;
mod threads;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, What};

fn main() -> ExitCode {
    // `cargo bench` says so to every bench, and `cargo bench -- --test` asks for a short run.
    let given: Vec<String> = std::env::args().filter(|arg| arg != "--bench").collect();
    let done = match given.iter().any(|arg| arg == "--test") {
        true => quick(),
        false => run(&Args::parse_from(given)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    match &args.what {
        What::Limits(limits) => limits::run(args, limits),
        What::Sustained(sustained) => sustained::run(args, sustained),
        What::Recovery(recovery) => recovery::run(args, recovery),
        What::Cold(cold) => cold::run(args, cold),
        What::Threads(asked) => threads::run(args, asked),
        What::Die(die) => recovery::die(die),
    }
}

/// Everything once, small.
fn quick() -> Result<(), Box<dyn Error>> {
    for line in [
        "limits --bytes 4194304 --millis 5",
        "sustained --ids 400000 --window 100000 --millis 5 --memory 33554432",
        "recovery --ids 100000 --memory 33554432",
        "cold --ids 100000 --memory 33554432",
        "threads --ids 20000 --rounds 1 --millis 5 --memory 33554432",
    ] {
        run(&Args::parse_from(["load"].into_iter().chain(line.split(' '))))?;
    }
    Ok(())
}
