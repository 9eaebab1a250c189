//! Orders are counted once, however often they are delivered and whoever dies over it.
//!
//! ```sh
//! cargo run --release --example orders -- --kills 1000 --seed 7
//! ```
//!
//! Four streams deliver orders at least once and out of order. A process with a thread for each of them
//! keeps a total for every customer. It keeps it in the store's own state, so that one commit has the ids
//! of the orders, the totals and the progress of the stream: after a crash all three agree. The
//! process is killed again and again. In the end the parent opens the store and compares it with the
//! streams.
//!
//! What a consumer needs is [`consume`] and [`count`]; `stream` stands for a message broker, `truth` checks,
//! `sabotage` does it in the wrong order on request, and `support` kills.

mod sabotage;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod truth;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use clap::Parser;
use firstseen::{Error, ProcessError, Refusal, Step, Store, Verdict};

use sabotage::Sabotage;
use stream::{Order, Producer, STREAMS, Stream, source};
use support::child::{OPEN, beat, child, say};
use support::random::Rng;
use support::report::Report;
use support::supervise::{Role, supervise};
use support::{Failure, Options};

/// Counts orders once, under a consumer that is killed at random moments, and checks the totals.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    options: Options,

    /// Does the steps in a wrong order, to show what that loses.
    #[arg(long, value_enum, hide = true)]
    sabotage: Option<Sabotage>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.options.child {
        Some(_) => child(|| consume_all(&args)),
        None => support::parent(&args.options, |dir| kill_and_check(&args, dir)),
    }
}

fn open(dir: &Path) -> firstseen::Result<Store> {
    // Far smaller than anybody would choose: tables are sealed and runs are merged all the time, so
    // that kills hit that, too.
    Store::builder().memory_budget(32 << 20).active_ids(2_000).open(dir.join("orders.seen"))
}

/// The consumer process: a thread for each stream, and one store that all share.
fn consume_all(args: &Args) -> Result<(), Failure> {
    let options = &args.options;
    let store = open(options.dir())?;
    say(OPEN);
    thread::scope(|scope| {
        let consume = |stream: u64| {
            let mut rng = Rng::new(options.seed, 1 + options.life * STREAMS + stream);
            let records = Stream::open(options.dir(), stream)?;
            match args.sabotage {
                None => consume(&store, &source(stream), records, &mut rng),
                Some(wrong) => wrong.consume(&store, &source(stream), records, &mut rng),
            }
        };
        let threads: Vec<_> =
            (0..STREAMS).map(|stream| scope.spawn(move || consume(stream))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a consumer panicked"))
    })
}

/// Reads a stream from where the last commit left it, to its end.
fn consume(store: &Store, source: &str, mut stream: Stream, rng: &mut Rng) -> Result<(), Failure> {
    let mut position = store.progress(source)?.unwrap_or(0);
    loop {
        let batch = stream.read(position, batch_len(rng))?;
        if batch.is_empty() {
            return Ok(());
        }
        match store.process_once(source, &batch, count) {
            Ok(done) => {
                position = done.progress.unwrap_or(position);
                // The same order came in another stream and is worked on there. The progress stops
                // before it, for that work may fail yet.
                if let Some(i) = done.verdicts.iter().position(Verdict::is_in_flight) {
                    say("in_flight");
                    store.wait(batch[i].id, Duration::from_secs(1))?;
                }
            }
            // Another thread has changed the total of a customer since this one has read it. Nothing
            // of the batch was kept: it is read again.
            Err(ProcessError::Store(Error::Refused(Refusal::Conflict { .. }))) => say("conflicts"),
            Err(error) => return Err(error.into()),
        }
        beat();
    }
}

/// What is done for an order: its customer's total grows, and it gets a receipt.
fn count(step: &mut Step<'_>, order: &Order) -> Result<(), Error> {
    let key = customer_key(order.customer);
    let mut account = Account::from(step.state(&key)?);
    account.orders += 1;
    account.total += order.amount;
    step.put_state(key, account);
    step.set_outcome(account.orders.to_le_bytes());
    Ok(())
}

fn customer_key(customer: u64) -> String {
    format!("customer/{customer}")
}

/// What is known of a customer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Account {
    orders: u64,
    total: u64,
}

impl From<Option<Vec<u8>>> for Account {
    fn from(value: Option<Vec<u8>>) -> Account {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        value.map_or(Account::default(), |value| Account {
            orders: word(&value[..8]),
            total: word(&value[8..]),
        })
    }
}

impl From<Account> for Vec<u8> {
    fn from(account: Account) -> Vec<u8> {
        [account.orders.to_le_bytes(), account.total.to_le_bytes()].concat()
    }
}

/// Mostly small batches, now and then a large one.
fn batch_len(rng: &mut Rng) -> u64 {
    if rng.one_in(20) { 1_000 } else { 1 + rng.below(64) }
}

/// The parent.
fn kill_and_check(args: &Args, dir: &Path) -> Result<Report, Failure> {
    let options = &args.options;
    let producer = Mutex::new(Producer::create(dir, options.seed)?);
    let deliver = || producer.lock().expect("nobody panicked").deliver(options.records);
    deliver()?;
    let role = Role { name: "consumer", args: Sabotage::args(args.sabotage) };
    let tally = supervise(options, dir, &[role], &|_| Ok(deliver()?))?;
    let records = producer.into_inner().expect("nobody panicked").records();
    let found = truth::compare(dir, &open(dir)?)?;
    Ok(Report::new("orders", options, &tally, records)
        .note("orders", found.orders)
        .fault("wrong_totals", found.wrong_totals)
        .fault("lost", found.lost)
        .fault("doubled", found.doubled)
        .fault("wrong_receipts", found.wrong_receipts)
        .fault("wrong_progress", found.wrong_progress))
}
