//! `firstseen state`: what was committed beside ids.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use firstseen::offline::{CommittedState, InDoubt, state};
use serde_json::{Value, json};

use crate::escape::{Escaped, show};
use crate::fail::{self, Result};
use crate::show::rfc3339;

/// Of longer values so many bytes are shown to a reader.
const SHOWN: usize = 60;

/// List sources with their progress, the keys of the state, and what is prepared and not settled; safe
/// while another process writes to the store
///
/// A line each: `source`, its name and the next position to read; `key`, the key and its value;
/// `prepared`, the token, the fencing token, when it was prepared, and the ids. Columns are apart by
/// tabs. Bytes that do not print are escaped as \n, \t, \r, \\ and \xNN, and --prefix, `settle` and
/// `rewind` take them so. Of a value of more than 60 bytes only the beginning is shown, with its length;
/// --json has all of it.
///
/// A store in sled must not be open elsewhere.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// The folder of the store
    dir: PathBuf,

    /// Only keys that begin with this
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    prefix: Option<Escaped>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &StateArgs) -> Result<()> {
    let mut found = fail::reading(&args.dir, state(&args.dir))?;
    if let Some(Escaped(prefix)) = &args.prefix {
        found.entries.retain(|(key, _)| key.starts_with(prefix));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    match args.json {
        true => writeln!(out, "{}", json_of(&found))?,
        false => print(&mut out, &found)?,
    }
    Ok(out.flush()?)
}

fn print(out: &mut dyn Write, found: &CommittedState) -> io::Result<()> {
    for (source, next) in &found.sources {
        writeln!(out, "source\t{}\t{next}", show(source.as_bytes()))?;
    }
    for (key, value) in &found.entries {
        let key = show(key);
        match value.get(..SHOWN) {
            Some(start) if value.len() > SHOWN => {
                let (start, len) = (show(start), value.len());
                writeln!(out, "key\t{key}\t{start}... ({len} bytes)")?;
            }
            _ => writeln!(out, "key\t{key}\t{}", show(value))?,
        }
    }
    for InDoubt { token, fence, since, ids, .. } in &found.in_doubt {
        let (token, since) = (show(token), rfc3339(*since));
        write!(out, "prepared\t{token}\t{fence}\t{since}")?;
        ids.iter().try_for_each(|id| write!(out, "\t{}", show(id)))?;
        writeln!(out)?;
    }
    Ok(())
}

fn json_of(found: &CommittedState) -> Value {
    let sources = found
        .sources
        .iter()
        .map(|(source, next)| json!({ "source": show(source.as_bytes()), "progress": next }));
    let keys = found.entries.iter().map(
        |(key, value)| json!({ "key": show(key), "value": show(value), "bytes": value.len() }),
    );
    json!({
        "sources": sources.collect::<Vec<_>>(),
        "keys": keys.collect::<Vec<_>>(),
        "prepared": found.in_doubt.iter().map(prepared).collect::<Vec<_>>(),
    })
}

/// A transaction that is in doubt, as JSON.
pub(crate) fn prepared(found: &InDoubt) -> Value {
    let ids: Vec<String> = found.ids.iter().map(|id| show(id)).collect();
    json!({
        "token": show(&found.token),
        "fence": found.fence,
        "since": rfc3339(found.since),
        "ids": ids,
    })
}
