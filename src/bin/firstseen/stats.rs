//! `firstseen stats`: what a store holds.

use std::path::PathBuf;

use clap::Args;

use crate::fail::Result;
use crate::show;

/// Show what a store holds; safe while another process writes to it
///
/// `state` lists what is only counted here: sources, keys, and what is prepared.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// The folder of the store
    dir: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &StatsArgs) -> Result<()> {
    let found = firstseen::offline::inspect(&args.dir)?;
    show::print(show::inspection(&found), args.json)
}
