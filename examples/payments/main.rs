//! Payments are made once, in a ledger that is another system, whoever fails and whoever dies over it.
//!
//! ```sh
//! cargo run --release --example payments -- --kills 1000 --seed 7
//! ```
//!
//! Four streams request payments at least once and out of order. A process with a thread for each of
//! them pays what is new into a ledger in SQLite. No transaction spans the two, so it takes three steps:
//!
//! 1. *prepare* in the store, under a token: "I am about to pay these";
//! 2. *pay* in the ledger, which records the token in the same transaction;
//! 3. *commit* in the store: ids, progress and receipts.
//!
//! Whoever dies in between, or gets no answer, leaves a transaction in doubt. Then the ledger is asked for
//! the token: paid, and it is committed; not paid, and it is aborted and the payments are let in again.
//! The answer "not paid" is binding: the ledger refuses a request with that token from then on.
//!
//! The process is killed again and again, and the ledger fails in every way it can. In the end the parent
//! compares ledger and store with the streams.
//!
//! What a consumer needs is in `worker`, what it needs of the other system is in `ledger`. `stream` stands
//! for a message broker, `faults` breaks the ledger, `truth` checks, `sabotage` does it in the wrong
//! order on request, and `support` kills.

mod faults;
mod ledger;
mod sabotage;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod truth;
mod worker;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use clap::Parser;
use firstseen::Store;

use faults::FaultyLedger;
use ledger::Ledger;
use sabotage::Sabotage;
use stream::{Producer, STREAMS, source};
use support::child::{OPEN, child, say};
use support::random::Rng;
use support::report::Report;
use support::supervise::{Role, supervise};
use support::{Failure, Options};
use worker::Worker;

/// Makes payments once, under a worker that is killed at random moments and a ledger that fails, and
/// checks the ledger.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    options: Options,

    /// Does it wrong, to show what that loses.
    #[arg(long, value_enum, hide = true)]
    sabotage: Option<Sabotage>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.options.child {
        Some(_) => child(|| pay_all(&args)),
        None => support::parent(&args.options, |dir| kill_and_check(&args, dir)),
    }
}

fn open(dir: &Path) -> firstseen::Result<Store> {
    // Far smaller than anybody would choose: tables are sealed and runs are merged all the time, so
    // that kills hit that, too.
    Store::builder().memory_budget(32 << 20).active_ids(500).open(dir.join("payments.seen"))
}

/// The child: a thread for each stream, and one store that all share.
fn pay_all(args: &Args) -> Result<(), Failure> {
    let options = &args.options;
    let store = open(options.dir())?;
    // Made, or put in order after a death, before several threads meet in it.
    drop(Ledger::open(options.dir())?);
    say(OPEN);
    // What earlier lives have left; each worker settles what is its own before it does anything else.
    store.in_doubt().iter().for_each(|_| say("in_doubt_after_death"));
    thread::scope(|scope| {
        for stream in 0..STREAMS {
            let store = &store;
            scope.spawn(move || {
                // What it leaves in doubt the others wait for, so the process ends with it.
                pay_stream(args, store, stream).unwrap_or_else(|error| {
                    eprintln!("stream {stream}: {error}");
                    std::process::exit(2);
                });
            });
        }
    });
    Ok(())
}

/// A thread of the child.
fn pay_stream(args: &Args, store: &Store, stream: u64) -> Result<(), Failure> {
    let options = &args.options;
    let rng = |n| Rng::new(options.seed, 1 + 2 * (options.life * STREAMS + stream) + n);
    let only_look = args.sabotage == Some(Sabotage::OnlyLook);
    let mut worker = Worker {
        store,
        ledger: FaultyLedger::new(Ledger::open(options.dir())?, rng(0), only_look),
        source: source(stream),
        stream: stream::read(options.dir(), stream)?,
        rng: rng(1),
    };
    match args.sabotage {
        None => worker.run(),
        Some(wrong) => wrong.run(&mut worker),
    }
}

/// The parent.
fn kill_and_check(args: &Args, dir: &Path) -> Result<Report, Failure> {
    let options = &args.options;
    let producer = Mutex::new(Producer::create(dir, options.seed)?);
    let deliver = || producer.lock().expect("nobody panicked").deliver(options.records);
    deliver()?;
    let role = Role { name: "worker", args: Sabotage::args(args.sabotage) };
    let tally = supervise(options, dir, &[role], &|_| Ok(deliver()?))?;
    let records = producer.into_inner().expect("nobody panicked").records();
    let found = truth::compare(dir, &open(dir)?)?;
    Ok(Report::new("payments", options, &tally, records)
        .note("payments", found.payments)
        .note("mismatches", found.mismatches)
        .fault("wrong_totals", found.wrong_totals)
        .fault("lost", found.lost)
        .fault("doubled", found.doubled)
        .fault("wrong_entries", found.wrong_entries)
        .fault("wrong_receipts", found.wrong_receipts)
        .fault("wrong_mismatches", found.wrong_mismatches)
        .fault("wrong_progress", found.wrong_progress)
        .fault("in_doubt", found.in_doubt))
}
