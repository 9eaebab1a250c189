//! Changes of one store are applied to another, each once, though both ends are killed.
//!
//! ```sh
//! cargo run --release --example replication -- --kills 1000 --seed 7
//! ```
//!
//! The source keeps its data in the state of a store, and beside it a log of the changes that the
//! replica has not acknowledged. The replica applies them to the state of its own store. It commits the
//! data together with how far it has come, so that a change that is sent again is known. Both are
//! processes that are killed again and again, each at its own moments. In the end the parent opens
//! both stores and compares them with the changes that were made.
//!
//! `source` and `replica` are what a user needs; `change` and `link` stand for an application's own,
//! `truth` checks, `sabotage` does it in the wrong order on request, and `support` kills.

mod change;
mod link;
mod replica;
mod sabotage;
mod source;
#[path = "../support/mod.rs"]
mod support;
mod truth;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use firstseen::Store;

use sabotage::Sabotage;
use support::child::child;
use support::report::Report;
use support::supervise::{Role, supervise};
use support::{Failure, Options};

/// Replicates changes from one store to another, with both ends killed at random moments, and checks
/// that they are equal.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    options: Options,

    /// Does the steps of the replica in a wrong order, to show what that loses.
    #[arg(long, value_enum, hide = true)]
    sabotage: Option<Sabotage>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.options.child.as_deref() {
        Some("source") => child(|| source::run(&args.options)),
        Some(_) => child(|| replica::run(&args.options, args.sabotage)),
        None => support::parent(&args.options, |dir| kill_and_check(&args, dir)),
    }
}

/// Opens the store of one of the two. Its tables are far smaller than anybody would choose: they are sealed
/// all the time, so that kills hit that, too.
fn open(dir: &Path, role: &str) -> firstseen::Result<Store> {
    let path = dir.join(format!("{role}.seen"));
    Store::builder().memory_budget(32 << 20).active_ids(2_000).open(path)
}

fn data_key(key: &str) -> String {
    format!("data/{key}")
}

/// A number of the state, or an outcome; zero if there is none.
fn count_of(value: Option<Vec<u8>>) -> u64 {
    value.map_or(0, |value| u64::from_le_bytes(value.try_into().expect("eight bytes")))
}

/// The parent.
fn kill_and_check(args: &Args, dir: &Path) -> Result<Report, Failure> {
    let options = &args.options;
    let roles = [
        Role { name: "source", args: Vec::new() },
        Role { name: "replica", args: Sabotage::args(args.sabotage) },
    ];
    let tally = supervise(options, dir, &roles, &|role| {
        Err(format!("child `{}` ended before it was told to", role.name).into())
    })?;
    let found = truth::compare(&open(dir, "source")?, &open(dir, "replica")?, options.seed)?;
    Ok(Report::new("replication", options, &tally, found.changes)
        .fault("wrong_totals", found.wrong_totals)
        .fault("lost", found.lost)
        .fault("doubled", found.doubled)
        .fault("out_of_turn", found.out_of_turn)
        .fault("unfinished", found.unfinished))
}
