//! `firstseen migrate`: a copy of a store with another backend.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use firstseen::{Backend, offline};

use crate::backend;
use crate::fail::{self, Result};
use crate::show::{self, Fact};

/// Copy a store into another backend
///
/// The copy has all that the store has: ids and their times, outcomes, the progress of sources, state,
/// what is prepared and what was forgotten. It has the store's name and its key, too: go on with one of
/// the two. The store is only read, and a copy that fails leaves nothing behind.
///
/// A mapped store may be written to meanwhile; the copy has what was written when the command started.
/// A store in sled must not be open elsewhere.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  firstseen migrate seen seen.sled --backend sled")]
pub(crate) struct MigrateArgs {
    /// The folder of the store
    from: PathBuf,

    /// The folder of the copy, which must not exist yet
    to: PathBuf,

    /// Where the copy keeps its log and its runs; sled needs a build with the cargo feature `sled`
    #[arg(long, value_parser = backend::parser())]
    backend: Backend,

    /// Print one JSON object on standard output, instead of a line on standard error
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &MigrateArgs) -> Result<()> {
    let started = Instant::now();
    let from = fail::reading(&args.from, offline::inspect(&args.from))?.backend;
    fail::reading(&args.from, offline::migrate(&args.from, &args.to, args.backend))?;
    let elapsed = started.elapsed();
    let made = offline::inspect(&args.to)?;
    if args.json {
        let facts = vec![
            Fact::text("made", args.to.display().to_string()),
            Fact::text("from", from.to_string()),
            Fact::text("to", made.backend.to_string()),
            Fact::count("records", made.ids()),
            Fact::count("runs", made.runs),
            Fact::bytes("bytes", made.total_bytes),
            Fact::duration("seconds", elapsed),
        ];
        return show::print(facts, true);
    }
    let (ids, to, seconds) = (made.ids(), made.backend, elapsed.as_secs_f64());
    // A closed standard error changes nothing about the copy that is there.
    let _ =
        writeln!(io::stderr(), "firstseen: {ids} ids copied from {from} to {to} in {seconds:.1} s");
    Ok(())
}
