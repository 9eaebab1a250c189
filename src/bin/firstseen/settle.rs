//! `firstseen settle` and `firstseen rewind`: what an operator decides by hand.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use firstseen::Store;

use crate::escape::{self, Escaped};
use crate::fail::{Failure, Result};
use crate::show::{self, Fact};

/// Commit or abort what is prepared under a token; the store must not be open elsewhere
///
/// For a program that died between the two halves of a two-phase commit and does not come back to settle
/// it. Ask the other system first: if it has the transaction of that token, --commit; if it has not and
/// never will, --abort. The wrong answer loses the work or lets it be done twice. `state` lists the
/// tokens. It is durable when the command ends.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").required(true))]
pub(crate) struct SettleArgs {
    /// The folder of the store
    dir: PathBuf,

    /// The token, as `state` prints it
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
    token: Escaped,

    /// The other system has it: ids, progress, state and outcomes of it are committed
    #[arg(long, group = "how")]
    commit: bool,

    /// The other system has it not, and never will: nothing of it is kept, its ids are let in again
    #[arg(long, group = "how")]
    abort: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn settle(args: &SettleArgs) -> Result<()> {
    let store = Store::builder().create(false).open(&args.dir)?;
    let token = &args.token.0;
    let Some(prepared) = store.in_doubt().into_iter().find(|found| found.token() == *token) else {
        store.close()?;
        return Err(Failure::Run(format!(
            "nothing is prepared under the token '{}' in {}; `firstseen state` lists what is",
            escape::show(token),
            args.dir.display()
        )));
    };
    let ids = prepared.ids().len() as u64;
    let done = if args.commit { "committed" } else { "aborted" };
    match args.commit {
        true => prepared.commit()?,
        false => prepared.abort()?,
    }
    store.sync()?;
    store.close()?;
    show::print(vec![Fact::text("token", escape::show(token)), Fact::count(done, ids)], args.json)
}

/// Set the progress of a source, back or ahead; the store must not be open elsewhere
///
/// The program that reads the source goes on at this position. Going back forgets no ids: records that
/// are read again and whose ids are remembered are duplicates, unless they are told to be forgotten
/// with `forget`. Going ahead passes records over that were never processed. It is durable when the
/// command ends.
#[derive(Debug, Args)]
pub(crate) struct RewindArgs {
    /// The folder of the store
    dir: PathBuf,

    /// The name of the source, as `state` prints it; it must have a progress already
    source: Escaped,

    /// The next position to read
    position: u64,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn rewind(args: &RewindArgs) -> Result<()> {
    let store = Store::builder().create(false).open(&args.dir)?;
    // What is no text is no name of a source, and neither is nothing.
    let source = std::str::from_utf8(&args.source.0).unwrap_or_default();
    let Some(before) = store.progress(source)? else {
        store.close()?;
        return Err(Failure::Run(format!(
            "there is no progress of a source '{}' in {}; `firstseen state` lists the sources",
            escape::show(&args.source.0),
            args.dir.display()
        )));
    };
    let mut tx = store.begin::<&str>(&[])?;
    tx.rewind_progress(source, args.position);
    tx.commit()?;
    store.sync()?;
    store.close()?;
    let facts = vec![
        Fact::text("source", escape::show(source.as_bytes())),
        Fact::count("before", before),
        Fact::count("progress", args.position),
    ];
    show::print(facts, args.json)
}
