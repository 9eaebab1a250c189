//! The `firstseen` command: a filter that prints each record once, and care for its stores.
//!
//! One file a subcommand, `dedup` and `generate` a folder each. Below them: [`record`] (records as
//! bytes), [`select`] (what of a record is its id), [`block`] and [`batch`] (the hot path from
//! input to ids), [`input`] and [`sink`] (files), [`place`] (temporary stores), [`escape`] (bytes as
//! text), [`backend`] (an option of several), [`show`].

mod backend;
mod batch;
mod block;
mod checkpoint;
mod compact;
mod dedup;
mod docs;
mod dump;
mod duration;
mod escape;
mod export;
mod fail;
mod forget;
mod generate;
mod header;
mod import;
mod input;
mod migrate;
mod place;
mod record;
mod select;
mod settle;
mod show;
mod sink;
mod state;
mod stats;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use fail::{Failure, Result};

/// What follows the options in `--help`.
const AFTER: &str = "\
Examples:
  firstseen dedup access.log                       each line once, in order
  firstseen dedup --db seen --json /id < events    and not again in later runs
  firstseen generate --count 1000000 | firstseen dedup --json /id --count
  firstseen verify seen                            is every byte as it was written?

Each command explains itself: firstseen dedup --help";

/// Has this id been seen inside the time window? Answers exactly, and remembers across runs and
/// crashes.
#[derive(Debug, Parser)]
#[command(name = "firstseen", version, after_help = AFTER, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dedup(Box<dedup::args::DedupArgs>),
    Stats(stats::StatsArgs),
    Verify(verify::VerifyArgs),
    Dump(dump::DumpArgs),
    State(state::StateArgs),
    Settle(settle::SettleArgs),
    Rewind(settle::RewindArgs),
    Forget(forget::ForgetArgs),
    Compact(compact::CompactArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Checkpoint(checkpoint::CheckpointArgs),
    Restore(checkpoint::RestoreArgs),
    Migrate(migrate::MigrateArgs),
    Generate(generate::GenerateArgs),
    Completions(docs::CompletionsArgs),
    Man(docs::ManArgs),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("firstseen: {failure}");
            match failure {
                Failure::Usage(_) => ExitCode::from(fail::USAGE),
                _ => ExitCode::from(fail::RUNTIME),
            }
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Dedup(args) => return dedup::run(*args),
        Command::Verify(args) => return verify::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Dump(args) => dump::run(&args),
        Command::State(args) => state::run(&args),
        Command::Settle(args) => settle::settle(&args),
        Command::Rewind(args) => settle::rewind(&args),
        Command::Forget(args) => forget::run(&args),
        Command::Compact(args) => compact::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Checkpoint(args) => checkpoint::run(&args),
        Command::Restore(args) => checkpoint::restore(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Completions(args) => docs::completions(&args, Cli::command()),
        Command::Man(args) => docs::man(&args, Cli::command()),
    }
    .map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
