//! `firstseen forget`: take ids out of a store's memory.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;
use firstseen::Store;

use crate::batch::{Batch, OnError, Reader};
use crate::block::Block;
use crate::fail::{Failure, Result};
use crate::header::Header;
use crate::input;
use crate::record::json::Pointer;
use crate::record::time::Unit;
use crate::select::{Framing, Plan, Selection};
use crate::show::{self, Fact};

/// Forget ids, so that they count as new again; the store must not be open elsewhere
///
/// The ids are those of --id, or of the records of the files, or of standard input, found as
/// `dedup` finds them. Forgetting is durable when the command ends.
#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// The folder of the store
    dir: PathBuf,

    /// Files whose records hold the ids; '-' or none is standard input, unless there is an --id
    files: Vec<PathBuf>,

    /// Forget this id; may be given several times
    #[arg(long, value_name = "ID", conflicts_with = "files")]
    id: Vec<String>,

    #[command(flatten)]
    selection: Selection,

    /// The id is the string or number here in each JSON record (`dedup --json`)
    #[arg(long, value_name = "POINTER", help_heading = "The id")]
    pointer: Vec<Pointer>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &ForgetArgs) -> Result<()> {
    let plan = Plan::new(&args.selection, &args.pointer, None, Unit::Auto)?;
    let store = Store::builder().create(false).open(&args.dir)?;
    let mut done = Done::default();
    if args.id.is_empty() {
        for path in input::or_stdin(&args.files) {
            from_file(&path, &plan, args, &store, &mut done)?;
        }
    } else {
        done.asked = args.id.len() as u64;
        done.known = store.forget(&args.id)?;
    }
    store.sync()?;
    store.close()?;
    let facts = vec![Fact::count("asked", done.asked), Fact::count("forgotten", done.known)];
    show::print(facts, args.json)
}

/// How many ids were asked for, and how many of them were known.
#[derive(Default)]
struct Done {
    asked: u64,
    known: u64,
}

fn from_file(
    path: &Path,
    plan: &Plan,
    args: &ForgetArgs,
    store: &Store,
    done: &mut Done,
) -> Result<()> {
    let mut input = input::open(path, &Rc::new(Cell::new(0)))?;
    let mut block = Block::new();
    let mut line = 1;
    let mut names = Vec::new();
    let mut delimiter = args.selection.delimiter.unwrap_or(b'\t');
    if let Framing::Csv(comma) = plan.framing {
        delimiter = comma;
        if plan.header {
            match Header::read(&mut block, &mut input, comma)? {
                None => return Ok(()),
                Some((header, cut)) => {
                    block.consume(cut.end);
                    line += cut.lines;
                    names = header.names;
                }
            }
        }
    }
    let selectors = plan.resolve(&names, delimiter)?;
    let reader = Reader { framing: plan.framing, selectors: &selectors, on_error: OnError::Fail };
    let mut batch = Batch::default();
    loop {
        batch.fill(block.bytes(), block.at_end(), &reader, &mut line);
        let ids = batch.ids(block.bytes(), Vec::new());
        done.asked += ids.len() as u64;
        done.known += store.forget(&ids)?;
        if let Some(problem) = &batch.fatal {
            let place = input.at_line(plan.framing.terminator(), problem.line);
            return Err(Failure::Run(format!("{place}: {}", problem.why)));
        }
        if batch.consumed > 0 {
            block.consume(batch.consumed);
        } else if block.at_end() {
            return Ok(());
        } else {
            input.fill(&mut block, line)?;
        }
    }
}
