//! `firstseen stats`: what a store holds.

use std::path::PathBuf;

use clap::Args;

use crate::fail::{self, Result};
use crate::show;

/// Show what a store holds; safe while another process writes to it
///
/// `state` lists what is only counted here: sources, keys, and what is prepared. A store in sled must not
/// be open elsewhere.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// The folder of the store
    dir: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &StatsArgs) -> Result<()> {
    let found = fail::reading(&args.dir, firstseen::offline::inspect(&args.dir))?;
    show::print(show::inspection(&found), args.json)
}
