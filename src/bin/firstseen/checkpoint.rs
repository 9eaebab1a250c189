//! `firstseen checkpoint` and `firstseen restore`: a copy that can be opened, and the way back.

use std::path::PathBuf;

use clap::Args;
use firstseen::offline;

use crate::fail::{self, Result};
use crate::show::{self, Fact};

/// Copy a store, by hard links where possible; safe while another process writes to it
///
/// The copy holds what was written when the command started: ids, outcomes, the progress of sources,
/// state and what is prepared, as of one moment. It is a store of its own: it can be opened, and neither
/// changes the other. A store in sled must not be open elsewhere, and is copied without links.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// The folder of the store
    dir: PathBuf,

    /// The folder to make, which must not exist yet; best on the same file system
    dest: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Make a store from a checkpoint, which stays as it is
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The folder of the checkpoint
    checkpoint: PathBuf,

    /// The folder of the new store, which must not exist yet
    dest: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &CheckpointArgs) -> Result<()> {
    fail::reading(&args.dir, offline::checkpoint(&args.dir, &args.dest))?;
    report(&args.dest, args.json)
}

pub(crate) fn restore(args: &RestoreArgs) -> Result<()> {
    fail::reading(&args.checkpoint, offline::restore(&args.checkpoint, &args.dest))?;
    report(&args.dest, args.json)
}

fn report(dest: &PathBuf, json: bool) -> Result<()> {
    let made = offline::inspect(dest)?;
    let facts = vec![
        Fact::text("made", dest.display().to_string()),
        Fact::count("records", made.ids()),
        Fact::count("runs", made.runs),
        Fact::bytes("bytes", made.total_bytes),
    ];
    show::print(facts, json)
}
