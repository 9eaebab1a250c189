//! How many messages a second a consumer takes with and without a store.
//!
//! ```sh
//! cargo run --release -p firstseen-kafka --example throughput -- --messages 1000000 --bytes 200
//! ```
//!
//! All messages are in a topic of a broker on this machine; nobody sends meanwhile. They are consumed again and again,
//! in rounds that go back and forth (A B C, C B A), in three ways that do the same work on the same batches:
//!
//! - `plain`: the same client, a loop that gathers batches and commits offsets, no ids and no store;
//! - `in_store`: a consumer with [`InStore`], the sum in the state;
//! - `filter`: a consumer with [`Filter`].
//!
//! Measured from the first batch to the last, without joining the group. The broker runs on the same processors, and
//! takes its share of them from all three. Medians, one line of JSON.

#[path = "../support/broker.rs"]
mod broker;
/// As the benches of the store ask the machine.
#[path = "../../../../benches/support/machine.rs"]
#[allow(dead_code)]
mod machine;
mod measure;
mod plain;
#[path = "../support/topics.rs"]
mod topics;

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

use clap::Parser;
use firstseen_kafka::rdkafka::{KafkaClient, KafkaSettings};
use firstseen_kafka::{BoxError, Consumer, Filter, InStore, Message, Settings, Work};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

use broker::Broker;
use measure::{Meter, Taken, medians};

/// The topic.
const TOPIC: &str = "load";

/// Measures what the store costs a consumer.
#[derive(Debug, Parser)]
struct Args {
    /// How many messages there are.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,

    /// The bytes of a payload.
    #[arg(long, default_value_t = 200)]
    bytes: usize,

    /// How many partitions they are in.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(i32).range(1..=64))]
    partitions: i32,

    /// How often each way consumes them all.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
}

/// A way of consuming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    InStore,
    Filter,
}

const WAYS: [(Way, &str); 3] =
    [(Way::Plain, "plain"), (Way::InStore, "in_store"), (Way::Filter, "filter")];

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            broker::exit_code(&error)
        }
    }
}

fn run(args: &Args) -> Result<Value, BoxError> {
    let dir = tempfile::Builder::new().prefix("firstseen-kafka-").tempdir()?;
    let broker = Broker::start(&dir.path().join("broker"))?;
    topics::create(broker.brokers(), &[TOPIC], args.partitions)?;
    produce(broker.brokers(), args)?;
    let load = machine::load();
    let mut taken: [Vec<Taken>; 3] = Default::default();
    for round in 0..args.rounds {
        for step in 0..WAYS.len() {
            let way = if round % 2 == 0 { step } else { WAYS.len() - 1 - step };
            let group = format!("{}-{round}", WAYS[way].1);
            taken[way].push(consume(WAYS[way].0, &group, dir.path(), broker.brokers(), args)?);
        }
    }
    let mut report = json!({
        "bench": "kafka_throughput",
        "messages": args.messages,
        "bytes": args.bytes,
        "partitions": args.partitions,
        "rounds": args.rounds,
        "processors": std::thread::available_parallelism()?.get(),
        "load_before": load,
    });
    let plain = medians(&taken[0], args.messages);
    for ((_, name), taken) in WAYS.iter().zip(&taken) {
        report[name] = medians(taken, args.messages).report(&plain);
    }
    Ok(report)
}

/// Fills the topic. The key of a message is its id; its payload begins with an amount.
fn produce(brokers: &str, args: &Args) -> Result<(), BoxError> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "50")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.kbytes", "262144")
        .create()?;
    for i in 0..args.messages {
        // Ids that look random: the same multiplication undoes nothing of their being different.
        let id =
            u128::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes();
        let payload = format!("{:<width$}", i % 1_000, width = args.bytes);
        let mut record = BaseRecord::to(TOPIC)
            .partition((i % args.partitions as u64) as i32)
            .key(&id[..])
            .payload(payload.as_bytes());
        while let Err((error, back)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(std::time::Duration::from_millis(10));
            record = back;
        }
    }
    Ok(producer.flush(std::time::Duration::from_secs(120))?)
}

/// Consumes everything in one way.
fn consume(
    way: Way,
    group: &str,
    dir: &Path,
    brokers: &str,
    args: &Args,
) -> Result<Taken, BoxError> {
    let client = client(brokers, group).subscribe(&[TOPIC])?;
    let stores = dir.join(group);
    let meter = Rc::new(RefCell::new(Meter::new(args.messages)));
    let taken = match way {
        Way::Plain => plain::consume(client, meter),
        Way::InStore => {
            let meters = Rc::clone(&meter);
            let work = InStore::new(move |message, step| {
                let sum = step
                    .state("sum")?
                    .map_or(0, |sum| u64::from_le_bytes(sum.try_into().expect("eight bytes")));
                step.put_state("sum", (sum + amount(message)?).to_le_bytes());
                meters.borrow_mut().count(1);
                Ok(())
            });
            with_store(client, work, &stores, &meter)
        }
        Way::Filter => {
            let meters = Rc::clone(&meter);
            let work = Filter::new(move |_, messages| {
                let (mut n, mut sum) = (0, 0);
                for message in messages {
                    sum += amount(&message)?;
                    n += 1;
                }
                // Whatever the optimizer would leave out if nobody asked.
                std::hint::black_box(sum);
                meters.borrow_mut().count(n);
                Ok(())
            });
            with_store(client, work, &stores, &meter)
        }
    }?;
    if stores.exists() {
        std::fs::remove_dir_all(stores)?;
    }
    Ok(taken)
}

fn client(brokers: &str, group: &str) -> KafkaSettings {
    KafkaSettings::new(brokers, group)
}

fn with_store(
    client: KafkaClient,
    work: impl Work<KafkaClient>,
    stores: &Path,
    meter: &RefCell<Meter>,
) -> Result<Taken, BoxError> {
    let mut consumer = Consumer::new(client, work, Settings::new(stores))?;
    while !meter.borrow().is_done() {
        consumer.step()?;
    }
    let taken = meter.borrow().taken();
    consumer.shut_down()?;
    Ok(taken)
}

/// The work: the amount at the beginning of a payload.
fn amount(message: &Message<'_>) -> Result<u64, BoxError> {
    let text = std::str::from_utf8(message.payload.unwrap_or_default())?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}
