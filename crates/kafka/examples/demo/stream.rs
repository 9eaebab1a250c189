//! The orders, and the truth about them: what is sent, where, and how often.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use firstseen_kafka::BoxError;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};

use crate::ORDERS;
use crate::support::random::Rng;

/// The header that has an order's id.
pub const ID: &str = "order-id";

/// An order.
#[derive(Debug, Clone)]
pub struct Order {
    pub id: String,
    pub partition: i32,
    pub amount: u64,
}

/// All orders, and the messages that tell of them, in the order of sending.
#[derive(Debug)]
pub struct Stream {
    pub orders: Vec<Order>,
    /// The order that each message tells of.
    pub messages: Vec<usize>,
}

impl Stream {
    /// What follows from the seed. Every third order or so is sent twice, half of those at once, half late.
    pub fn new(seed: u64, orders: usize, partitions: i32) -> Stream {
        let mut rng = Rng::new(seed, 1);
        let mut stream = Stream { orders: Vec::new(), messages: Vec::new() };
        let mut late: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for i in 0..orders {
            stream.orders.push(Order {
                id: format!("order-{i:06}"),
                partition: rng.below(partitions as u64) as i32,
                amount: 1 + rng.below(10_000),
            });
            stream.messages.push(i);
            if rng.one_in(3) {
                match rng.one_in(2) {
                    true => stream.messages.push(i),
                    false => {
                        let due = i as u64 + 1 + rng.below(1 + orders as u64 / 3);
                        late.entry(due).or_default().push(i);
                    }
                }
            }
            stream.messages.extend(late.remove(&(i as u64)).into_iter().flatten());
        }
        stream.messages.extend(late.into_values().flatten());
        stream
    }
}

/// How many messages are sent together, and how long it rests behind them: slow enough that kills hit consumers at work.
const BURST: usize = 10;
const REST: Duration = Duration::from_millis(20);

/// Sends the stream, as far as it is told.
pub struct Producer {
    allowed: mpsc::Sender<usize>,
    thread: JoinHandle<Result<(), BoxError>>,
}

impl Producer {
    /// Begins; nothing is sent before it is [allowed](Producer::allow).
    pub fn start(brokers: &str, stream: Arc<Stream>) -> Result<Producer, BoxError> {
        let producer: ThreadedProducer<Failures> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            // It sends again while the broker is away, and nothing twice or out of order.
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("reconnect.backoff.max.ms", "500")
            .create_with_context(Failures::default())?;
        let (allowed, waiting) = mpsc::channel::<usize>();
        let thread = thread::spawn(move || {
            let first = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
            let mut sent = 0;
            for up_to in waiting {
                while sent < up_to {
                    for &order in &stream.messages[sent..up_to.min(sent + BURST)] {
                        send(&producer, &stream.orders[order], first + order as i64)?;
                        sent += 1;
                    }
                    thread::sleep(REST);
                }
            }
            producer.flush(Duration::from_secs(60))?;
            match producer.context().0.load(Ordering::Relaxed) {
                0 => Ok(()),
                failed => Err(format!("{failed} messages were not delivered").into()),
            }
        });
        Ok(Producer { allowed, thread })
    }

    /// Lets it send its first `messages`.
    pub fn allow(&self, messages: usize) {
        // Where it has failed, it says so in the end.
        let _ = self.allowed.send(messages);
    }

    /// Waits until all that it may send is delivered.
    pub fn finish(self) -> Result<(), BoxError> {
        drop(self.allowed);
        self.thread.join().expect("the producer panicked")
    }
}

/// Sends a message that tells of an order. A copy has the time of the first.
fn send(producer: &ThreadedProducer<Failures>, order: &Order, millis: i64) -> Result<(), BoxError> {
    let id = Header { key: ID, value: Some(&order.id) };
    let amount = order.amount.to_string();
    let record = BaseRecord::<str, str>::to(ORDERS)
        .partition(order.partition)
        .payload(&amount)
        .timestamp(millis)
        .headers(OwnedHeaders::new().insert(id));
    producer.send(record).map_err(|(error, _)| error.into())
}

/// Counts what was not delivered.
#[derive(Debug, Default)]
struct Failures(AtomicU64);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        self.0.fetch_add(u64::from(delivered.is_err()), Ordering::Relaxed);
    }
}
