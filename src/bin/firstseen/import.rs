//! `firstseen import`: a store from the stream that `export` wrote.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use firstseen::{Backend, offline};

use crate::backend;
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

    /// Where the store keeps its log and its runs; sled needs a build with the cargo feature `sled`
    #[arg(long, default_value_t = Backend::Mapped, value_parser = backend::parser())]
    backend: Backend,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    let mut input = open(&args.file)?;
    let records = offline::import_into(&mut input, &args.dir, args.backend)?;
    show::print(vec![Fact::count("records", records)], args.json)
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    if is_stdin(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| Failure::io("open", path.display(), &error))?;
    Ok(Box::new(BufReader::new(file)))
}
