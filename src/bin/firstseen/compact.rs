//! `firstseen compact`: bring a store into its smallest form.

use std::path::PathBuf;

use clap::Args;
use firstseen::{Store, offline};

use crate::fail::{self, Result};
use crate::show::{self, Fact};

/// Seal, merge and expire everything now; the store must not be open elsewhere
///
/// A store does all this by itself while it is used. This brings one that is at rest into its
/// smallest form, for instance before it is copied. A store in sled may have more bytes afterwards: sled
/// uses space again and gives none back. `migrate` makes a small copy.
#[derive(Debug, Args)]
pub(crate) struct CompactArgs {
    /// The folder of the store
    dir: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &CompactArgs) -> Result<()> {
    let before = fail::reading(&args.dir, offline::inspect(&args.dir))?;
    let store = Store::builder().create(false).open(&args.dir)?;
    store.seal()?;
    store.compact()?;
    store.close()?;
    let after = offline::inspect(&args.dir)?;
    let facts = vec![
        Fact::bytes("bytes_before", before.total_bytes),
        Fact::bytes("bytes_after", after.total_bytes),
        Fact::count("runs_before", before.runs),
        Fact::count("runs_after", after.runs),
        Fact::count("records", after.ids()),
    ];
    show::print(facts, args.json)
}
