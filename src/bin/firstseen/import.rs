//! `firstseen import`: a store from the stream that `export` wrote.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::fail::{Failure, Result};
use crate::input::is_stdin;
use crate::show::{self, Fact};

/// Make a store from what `export` wrote
///
/// It has the ids, their times and their outcomes; no progress of sources and no state.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The folder of the new store, which must not exist yet
    dir: PathBuf,

    /// The export; standard input if not given
    #[arg(default_value = "-")]
    file: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    let mut input = open(&args.file)?;
    let records = firstseen::offline::import(&mut input, &args.dir)?;
    show::print(vec![Fact::count("records", records)], args.json)
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    if is_stdin(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| Failure::io("open", path.display(), &error))?;
    Ok(Box::new(BufReader::new(file)))
}
