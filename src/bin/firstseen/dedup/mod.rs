//! `firstseen dedup`: print each record whose id is seen for the first time.
//!
//! - [`args`]: the options and what `--help` says
//! - [`order`]: which comes first, output or memory; the guarantees after a kill
//! - [`run`]: the way of the records from input to output
//! - [`report`], [`progress`]: what is counted, and how it is shown

pub(crate) mod args;
mod order;
mod outputs;
mod progress;
mod report;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use firstseen::{Durability, Store, TimeSource};

use crate::fail::{Failure, Result};
use crate::place::TemporaryFolder;
use crate::select::Plan;
use args::{DedupArgs, Summary};
use order::Order;
use outputs::Outputs;
use report::Counts;

/// Exit code when there were duplicates and `--exit-code` asks for it.
const DUPLICATES: u8 = 3;

/// The window of a run that remembers nothing beyond itself: longer than any run or log.
const RUN_WINDOW: Duration = Duration::from_secs(20 * 365 * 86_400);

/// Runs the command.
pub(crate) fn run(mut args: DedupArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let plan = Plan::new(&args.selection, &args.json, args.time.as_deref(), args.time_unit)?;
    outputs::check_paths(&args)?;
    if args.db.is_none() || args.count {
        // Nothing outlives a killed run, or nothing is printed: the order makes no difference.
        args.order = Order::InsertFirst;
    }
    // Declared before the store, so that it outlives it.
    let temporary;
    let store = match &args.db {
        Some(db) => open(&args, &plan, db)?,
        None => {
            temporary = TemporaryFolder::create_in(&std::env::temp_dir())?;
            open(&args, &plan, &temporary.store())?
        }
    };
    let outputs = Outputs::open(&args, plan.framing.terminator())?;
    let counts = run::Run::new(&args, &plan, &store, outputs).all(&args.files)?;
    store.close()?;
    say(&args, &counts, started.elapsed())?;
    if args.exit_code && counts.duplicates > 0 {
        return Ok(ExitCode::from(DUPLICATES));
    }
    Ok(ExitCode::SUCCESS)
}

fn open(args: &DedupArgs, plan: &Plan, path: &std::path::Path) -> Result<Store> {
    let mut builder = Store::builder().durability(args.durability);
    if plan.is_timed() {
        builder = builder.time(TimeSource::Event);
    }
    match (args.window, &args.db) {
        (Some(window), _) => builder = builder.window(window),
        (None, None) => builder = builder.window(RUN_WINDOW),
        (None, Some(_)) => {}
    }
    if let Some(backend) = args.backend {
        builder = builder.backend(backend);
    }
    let store = builder.open(path)?;
    let in_doubt = store.in_doubt().len();
    if in_doubt > 0 {
        // Their ids are neither new nor duplicates, and a filter cannot hold a record back.
        let text = format!(
            "{}: {in_doubt} transaction(s) in doubt; settle them first, see `firstseen state` and \
             `firstseen settle`",
            path.display()
        );
        return Err(Failure::Run(text));
    }
    let torn = store.recovery().torn_bytes;
    if torn > 0 {
        let place = path.display();
        let text = "a kill or a power cut may leave some; else the medium has changed";
        let _ = writeln!(
            io::stderr(),
            "firstseen: {place}: dropped {torn} torn bytes at the end of the log; {text}"
        );
    }
    Ok(store)
}

/// Says what was counted: on standard output with `--count`, else on standard error.
fn say(args: &DedupArgs, counts: &Counts, elapsed: Duration) -> Result<()> {
    if args.count {
        let mut out = io::stdout().lock();
        match args.summary {
            Summary::Json => writeln!(out, "{}", counts.json(elapsed))?,
            Summary::Text | Summary::None => counts.write_lines(&mut out)?,
        }
        return Ok(out.flush()?);
    }
    let text = match args.summary {
        Summary::Text => format!("firstseen: {}", counts.text(elapsed)),
        Summary::Json => counts.json(elapsed).to_string(),
        Summary::None => return Ok(()),
    };
    // A closed standard error changes nothing about the work that is done.
    let _ = writeln!(io::stderr(), "{text}");
    Ok(())
}

/// Whether what reaches the output must reach the medium before the ids do.
fn must_sync(args: &DedupArgs) -> bool {
    args.db.is_some() && args.durability == Durability::Sync
}
