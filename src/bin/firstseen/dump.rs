//! `firstseen dump`: every record of a store, as text.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use firstseen::offline::Record;
use serde_json::json;

use crate::fail::{self, Failure, Result};
use crate::show;

/// Print every record of a store; safe while another process writes to it
///
/// A line for each id: its fingerprint in hexadecimal, when it was first seen, and the number of
/// its generation. The store keeps fingerprints, not ids, so the ids cannot be printed.
///
/// A store in sled must not be open elsewhere.
#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// The folder of the store
    dir: PathBuf,

    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &DumpArgs) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    // Of the output, not of the store: told apart here.
    let mut failed = None;
    let dumped = firstseen::offline::dump(&args.dir, &mut |record| {
        print(&mut out, &record, args.json).map_err(|error| {
            let kind = error.kind();
            failed = Some(Failure::from(error));
            io::Error::from(kind)
        })
    });
    if let Some(failure) = failed {
        return Err(failure);
    }
    fail::reading(&args.dir, dumped)?;
    Ok(out.flush()?)
}

fn print(out: &mut dyn Write, record: &Record, json: bool) -> io::Result<()> {
    let first_seen = show::rfc3339(record.first_seen);
    if json {
        let object = json!({
            "fingerprint": record.fingerprint.to_string(),
            "first_seen": first_seen,
            "generation": record.generation,
        });
        return writeln!(out, "{object}");
    }
    writeln!(out, "{}\t{first_seen}\t{}", record.fingerprint, record.generation)
}
