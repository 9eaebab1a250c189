//! `firstseen verify`: read every byte of a store and report each damage.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use firstseen::Corruption;
use serde_json::json;

use crate::fail::{self, Result};
use crate::show;

/// Read every byte of a store and report each damage; safe while another process writes to it
///
/// Prints a line for each damage: the file, the offset, what was expected and found. With --json,
/// a JSON object a line, the last one being the totals. Exits with 1 if anything is damaged.
///
/// Torn bytes are no damage by themselves: what the end of the log holds beyond its last whole
/// write, and an opening drops. A kill or a power cut in the middle of a write leaves some, and a
/// store that is being written may show some. A store that was closed has none: bytes of it that
/// are torn were changed since.
///
/// A store in sled must not be open elsewhere, and is opened by sled, which cuts off what it takes for
/// torn. Where damage is suspected, verify a copy of the folder.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The folder of the store
    dir: PathBuf,

    /// Print JSON objects, a line each
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &VerifyArgs) -> Result<ExitCode> {
    let mut written = Ok(());
    let mut report = |damage: &Corruption| {
        if written.is_ok() {
            written = print(damage, args.json);
        }
    };
    let found = firstseen::offline::verify(&args.dir, &mut report);
    let found = fail::reading(&args.dir, found)?;
    written?;
    show::print(show::verified(&found), args.json)?;
    Ok(if found.damages == 0 { ExitCode::SUCCESS } else { ExitCode::from(fail::RUNTIME) })
}

fn print(damage: &Corruption, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let object = json!({
            "file": damage.path.display().to_string(),
            "offset": damage.offset,
            "what": damage.what,
            "expected": damage.expected,
            "found": damage.found,
        });
        return writeln!(out, "{object}");
    }
    writeln!(
        out,
        "{}: byte {}: {}: expected {}, found {}",
        damage.path.display(),
        damage.offset,
        damage.what,
        damage.expected,
        damage.found
    )
}
