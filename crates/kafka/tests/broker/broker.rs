//! One broker for all tests of this binary, and what they need of it.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use firstseen_kafka::rdkafka::{KafkaClient, KafkaSettings};
use firstseen_kafka::{Client, Inbox, Message, Rebalance, TopicPartition};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::process::Broker;
use crate::topics::{self, block_on};

/// How long something may take that a quiet machine does at once.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Where the broker answers; `None` if it cannot be run here.
pub fn brokers() -> Option<&'static str> {
    static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
    BROKER.get_or_init(start).as_ref().map(Broker::brokers)
}

fn start() -> Option<Broker> {
    // The broker ends with this process, which the folder outlives by that moment.
    let folder = tempfile::tempdir().unwrap().keep();
    match Broker::start(&folder) {
        Ok(broker) => Some(broker),
        Err(error) if error.is_unavailable() => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("no broker: {error}"),
    }
}

/// A name that no other test has.
pub fn fresh(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Makes a topic and returns its name.
pub fn topic(brokers: &str, name: &str, partitions: i32) -> String {
    let name = fresh(name);
    topics::create(brokers, &[&name], partitions).unwrap();
    name
}

/// Deletes the messages of a partition that lie before an offset.
pub fn delete_before(brokers: &str, topic: &str, partition: i32, offset: i64) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    let options = AdminOptions::new().operation_timeout(Some(DEADLINE));
    let deleted = block_on(admin.delete_records(&list, &options)).unwrap();
    deleted.elements()[0].error().unwrap();
}

/// Writes messages, each with a key, to a partition.
pub fn produce(brokers: &str, topic: &str, partition: i32, keys: impl IntoIterator<Item = String>) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    for key in keys {
        let record = BaseRecord::to(topic).partition(partition).key(&key).payload("payload");
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

/// The keys of all messages of a topic that `read_committed` readers see, by partition and offset.
pub fn read_committed(brokers: &str, topic: &str) -> Vec<String> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", fresh("reader"));
    config.set("enable.partition.eof", "true").set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).unwrap();
    let partitions = metadata.topics()[0].partitions();
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut keys, mut open) = (Vec::new(), partitions.len());
    while open > 0 {
        match consumer.poll(DEADLINE).expect("the end of each partition") {
            Ok(message) => keys.push(String::from_utf8(message.key().unwrap().to_vec()).unwrap()),
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            Err(error) => panic!("{error}"),
        }
    }
    keys
}

/// Settings of a client whose death is noticed soon.
pub fn client(brokers: &str, group: &str, strategy: &str) -> KafkaSettings {
    KafkaSettings::new(brokers, group)
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "500")
        .set("partition.assignment.strategy", strategy)
}

/// What a client brings, kept.
#[derive(Debug, Default)]
pub struct Kept(pub Vec<(TopicPartition, u64)>);

impl Inbox for Kept {
    fn take(&mut self, topic: &str, partition: i32, message: &Message<'_>) {
        self.0.push((TopicPartition::new(topic, partition), message.offset));
    }
}

/// Polls until `done` says so of what came and what changed.
pub fn poll_until(
    client: &mut KafkaClient,
    what: &str,
    mut done: impl FnMut(&mut KafkaClient, &[(TopicPartition, u64)], Option<Rebalance>) -> bool,
) {
    let started = Instant::now();
    let mut kept = Kept::default();
    loop {
        let change = client.poll(Duration::from_millis(100), &mut kept);
        let change = change.unwrap_or_else(|fault| {
            eprintln!("{fault}");
            None
        });
        if done(client, &kept.0, change) {
            return;
        }
        assert!(started.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
    }
}

/// Waits for the next assignment that names partitions, and takes it over.
pub fn assigned(client: &mut KafkaClient) -> Vec<TopicPartition> {
    let mut got = Vec::new();
    poll_until(client, "an assignment", |client, _, change| {
        match change {
            Some(Rebalance::Assigned(names)) => {
                client.accept(&names).unwrap();
                got = names;
            }
            Some(Rebalance::Revoked(names) | Rebalance::Lost(names)) => {
                client.give_up(&names).unwrap();
            }
            None => {}
        }
        !got.is_empty()
    });
    got.sort();
    got
}

/// Where a test keeps its stores.
pub fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let stores = dir.path().join("stores");
    (dir, stores)
}
