//! The options of `firstseen dedup`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use firstseen::{Backend, Durability};

use super::order::Order;
use crate::backend;
use crate::batch::OnError;
use crate::duration;
use crate::record::json::Pointer;
use crate::record::time::Unit;
use crate::select::Selection;

/// What follows the options in `--help`.
const AFTER: &str = "\
The id is the whole line, without its newline or CRLF, unless one of the options under 'The id' \
says otherwise. A record whose field, column or value is missing or empty has no id; an empty line \
is an id like any other. JSON strings and numbers are ids by their text, so 7 and \"7\" are one. \
Records are printed byte for byte as they were read, in order; the header of CSV input comes first. \
A record is at most 64 MiB long.

What a kill or a crash leaves behind, with --db:
  --order output-first   A batch (up to 8192 records) is judged, printed and flushed, and only then
                         remembered. Run again on the same input with the same --db: over both
                         outputs every distinct record is there at least once; at most the batch
                         that had been printed and not yet remembered is there twice.
  --order insert-first   A batch is remembered, then printed. Run again: nothing is there twice;
                         the new records of at most one batch are missing.
Either way the last record of a killed run's output may be torn; give each run its own output. Both \
hold for a process that is killed under any --durability. For a machine that loses power they hold \
with --durability sync, which also syncs an output that is a file before its ids.

Late records, whose time lies before the window, are not printed: whether they were seen cannot be \
known any more. They are counted, and kept with --late.

Exit codes: 0 all was read and written, or the reader of the output went away; 1 something failed; \
2 the command line is wrong; 3 with --exit-code, when there were duplicates.

Examples:
  firstseen dedup access.log                        each line once, in order
  firstseen dedup --db seen < today.log             and not again in later runs
  firstseen dedup -k order_id --csv orders.csv      by a CSV column
  firstseen dedup --json /order/id --time /ts --window 24h --late late.ndjson events.ndjson.gz
  tail -F app.log | firstseen dedup --field 1,3     flows; fields 1 and 3 make the id
  firstseen dedup --only-duplicates --json /id events.ndjson   what was delivered again";

/// Print each record whose id is seen for the first time
#[derive(Debug, Args)]
#[command(after_long_help = AFTER, after_help = "See 'firstseen dedup --help' for the id, the guarantees and examples.")]
pub(crate) struct DedupArgs {
    /// Files to read, one after the other; .gz and .zst are decompressed; '-' or none is standard
    /// input
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// The id is the string or number here in each JSON record, as in /order/id; give it several
    /// times for an id of several values
    #[arg(long, value_name = "POINTER", help_heading = "The id")]
    pub(crate) json: Vec<Pointer>,

    /// Remember in this folder, across runs; it is created when absent. Without it, only this run
    /// is remembered, in a temporary folder
    #[arg(long, value_name = "DIR", help_heading = "Memory")]
    pub(crate) db: Option<PathBuf>,

    /// Remember an id at least this long after it was first seen: 500ms, 90s, 15m, 24h, 7d, 1d12h
    /// [default: what the store was created with, 24h for a new one; without --db the whole run]
    #[arg(long, value_parser = window, help_heading = "Memory")]
    pub(crate) window: Option<Duration>,

    /// Time is what the records say, here: a field number, a column or a JSON pointer, as for the id
    #[arg(long, value_name = "WHERE", help_heading = "Memory")]
    pub(crate) time: Option<String>,

    /// How that time is written
    #[arg(long, value_enum, default_value_t = Unit::Auto, requires = "time", help_heading = "Memory")]
    pub(crate) time_unit: Unit,

    /// What a power cut may take: buffered (what the system had not written yet), interval:100ms
    /// (at most that), sync (nothing). A killed process loses nothing under any
    #[arg(long, value_name = "POLICY", default_value = "buffered", value_parser = durability, help_heading = "Memory")]
    pub(crate) durability: Durability,

    /// Where a new store keeps its log and its runs; one that is there keeps its own, and another is
    /// refused. sled needs a build with the cargo feature `sled` [default: mapped]
    #[arg(long, value_parser = backend::parser(), help_heading = "Memory")]
    pub(crate) backend: Option<Backend>,

    /// Whether a batch is printed or remembered first
    #[arg(long, value_enum, default_value_t = Order::OutputFirst, help_heading = "Memory")]
    pub(crate) order: Order,

    /// Write duplicates to this file, which is written anew
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) duplicates: Option<PathBuf>,

    /// Write late records to this file, which is written anew
    #[arg(long, value_name = "FILE", requires = "time", help_heading = "Output")]
    pub(crate) late: Option<PathBuf>,

    /// Print the duplicates instead of the first-seen records
    #[arg(long, help_heading = "Output")]
    pub(crate) only_duplicates: bool,

    /// Print the counts instead of records
    #[arg(short, long, conflicts_with = "only_duplicates", help_heading = "Output")]
    pub(crate) count: bool,

    /// What to do with a record that has no id, or no time
    #[arg(long, value_enum, default_value_t = OnError::Fail, help_heading = "Output")]
    pub(crate) on_error: OnError,

    /// What to say on standard error at the end
    #[arg(long, value_enum, default_value_t = Summary::Text, help_heading = "Output")]
    pub(crate) summary: Summary,

    /// Exit with 3 when there were duplicates
    #[arg(long, help_heading = "Output")]
    pub(crate) exit_code: bool,
}

/// The form of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Summary {
    /// One line
    Text,
    /// One JSON object
    Json,
    /// Nothing
    None,
}

fn window(text: &str) -> Result<Duration, String> {
    let window = duration::parse(text)?;
    if window.is_zero() { Err("a window is longer than nothing".to_owned()) } else { Ok(window) }
}

fn durability(text: &str) -> Result<Durability, String> {
    match text.split_once(':') {
        None if text == "buffered" => Ok(Durability::Buffered),
        None if text == "sync" => Ok(Durability::Sync),
        Some(("interval", every)) => Ok(Durability::Interval(window(every)?)),
        _ => Err("a policy is buffered, sync, or interval:100ms".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read() {
        assert!(matches!(durability("buffered"), Ok(Durability::Buffered)));
        assert!(matches!(durability("sync"), Ok(Durability::Sync)));
        let every = Duration::from_millis(100);
        assert!(matches!(durability("interval:100ms"), Ok(Durability::Interval(d)) if d == every));
        for text in ["", "interval", "interval:0s", "sync:1s"] {
            assert!(durability(text).is_err(), "{text}");
        }
    }
}
