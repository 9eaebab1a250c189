//! A real broker, consumers that are killed, and at the end the exact truth.
//!
//! ```sh
//! crates/kafka/demo.sh --kills 10 --seed 7
//! ```
//!
//! Orders are sent to Kafka, every third of them twice. Two processes consume them in five ways at once, a
//! thread and a group for each: the four of `firstseen-kafka`, and the usual one, with ids in memory and the offset
//! committed before the work. Meanwhile processes are killed and started again, or stopped until others have their
//! partitions and then let go on, a third one joins and leaves, and the broker is killed. In the end every order must
//! have been worked on once, and the usual way shows what it has lost and doubled.
//!
//! `campaign` lets it happen, `process` and `child` are the two sides of a process, `ways` and `ledger` are what
//! a user would write, `article` is what goes wrong, `stream` is what is sent, `groups` and `truth` look.

mod article;
mod campaign;
mod child;
mod groups;
mod ledger;
mod process;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod truth;
mod ways;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use firstseen_kafka::BoxError;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use campaign::Campaign;
use stream::Stream;
use support::broker::{Broker, exit_code};
use support::topics;

/// The topic of orders.
const ORDERS: &str = "orders";
/// The topic of receipts, which a transformation writes.
const RECEIPTS: &str = "receipts";

/// Kills consumers of a real Kafka broker at random moments and checks that every order was worked on once.
#[derive(Debug, Parser)]
#[command(name = "demo.sh")]
struct Args {
    /// How many times consumers are killed.
    #[arg(long, default_value_t = 12)]
    kills: u64,

    /// What all random choices follow from, but for the moments at which the system runs whom.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many orders there are.
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u64).range(1..))]
    orders: u64,

    /// How many partitions they are in.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=64))]
    partitions: i32,

    /// Works in this folder, which has to be empty or new, and leaves in it what there is at the end: stores,
    /// the ledger, logs. Default: a temporary one, removed.
    #[arg(long)]
    keep: Option<PathBuf>,

    /// Which life of a process of consumers this is; set by the parent.
    #[arg(long, hide = true, requires = "dir", requires = "brokers")]
    life: Option<String>,

    /// The folder that a child works in.
    #[arg(long, hide = true)]
    dir: Option<PathBuf>,

    /// Where the broker is.
    #[arg(long, hide = true)]
    brokers: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let (Some(life), Some(dir), Some(brokers)) = (&args.life, &args.dir, &args.brokers) {
        return child::run(dir.clone(), brokers.clone(), life.clone());
    }
    match in_folder(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("{}", replay(&args));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}\n{}", replay(&args));
            exit_code(&error)
        }
    }
}

/// The line that does the same again.
fn replay(args: &Args) -> String {
    let Args { kills, seed, orders, partitions, .. } = args;
    format!(
        "again: crates/kafka/demo.sh --kills {kills} --seed {seed} --orders {orders} \
         --partitions {partitions} --keep DIR"
    )
}

/// Makes the folder, and removes it if it is not to be kept.
fn in_folder(args: &Args) -> Result<bool, BoxError> {
    let Some(dir) = &args.keep else {
        let dir = tempfile::Builder::new().prefix("firstseen-kafka-").tempdir()?;
        return run(args, dir.path());
    };
    std::fs::create_dir_all(dir)?;
    if std::fs::read_dir(dir)?.next().is_some() {
        return Err(format!("{} is not empty; give an empty or a new folder", dir.display()).into());
    }
    run(args, &dir.canonicalize()?)
}

/// Lets everything happen, looks at the truth and reports it. `false` if it is not what was promised.
fn run(args: &Args, dir: &Path) -> Result<bool, BoxError> {
    let started = Instant::now();
    let progress = ProgressBar::new(0).with_message("a broker starts");
    progress.set_style(ProgressStyle::with_template(
        "{spinner} {elapsed} {wide_bar} {pos}/{len} {msg}",
    )?);
    progress.enable_steady_tick(Duration::from_millis(200));
    let broker = Broker::start(&dir.join("broker"))?;
    topics::create(broker.brokers(), &[ORDERS, RECEIPTS], args.partitions)?;
    let stream = Arc::new(Stream::new(args.seed, args.orders as usize, args.partitions));
    progress.set_message("kills");
    let campaign = Campaign { dir, broker: &broker, progress: &progress };
    let tally = campaign.run(args.seed, args.kills, &stream)?;
    progress.set_message("looks at the truth");
    let found = truth::look(dir, broker.brokers(), &stream, &tally)?;
    progress.finish_and_clear();
    let mut report = json!({
        "demo": "kafka",
        "seed": args.seed,
        "kills": tally.killed.len(),
        "zombies": tally.zombies,
        "broker_kills": tally.broker_kills,
        "rebalances": tally.lived.rebalances,
        "messages": stream.messages.len(),
        "orders": stream.orders.len(),
    });
    for ((way, found), settled) in ways::Way::ALL.iter().zip(&found).zip(tally.lived.settled) {
        report[way.name()] = found.report(&stream);
        if way.prepares() {
            report[way.name()]["in_doubt"] = json!(settled);
        }
    }
    report["seconds"] = json!((started.elapsed().as_secs_f64() * 10.0).round() / 10.0);
    println!("{report}");
    // Each names what is wrong with it.
    let broken = found.iter().filter(|found| !found.judge(&stream)).count();
    Ok(broken == 0)
}
