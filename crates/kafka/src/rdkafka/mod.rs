//! A client on [rdkafka](https://docs.rs/rdkafka), and so on librdkafka.
//!
//! | what | for |
//! |---|---|
//! | [`KafkaClient`] | a consumer of a group, or of partitions that are given by hand |
//! | [`KafkaProducers`] | the transactional producers of [`Transform`](crate::Transform) |
//! | [`DeadLetterTopic`] | a topic for messages that cannot be worked on |
//! | [`OutputTopic`] | a history that lost stores are rebuilt from |
//!
//! Every one takes more of [librdkafka's settings](https://docs.confluent.io/platform/current/clients/librdkafka/html/md_CONFIGURATION.html):
//! encryption and passwords need features of rdkafka, which cargo joins if you depend on it with them. What the
//! promises rest on cannot be set.

mod client;
mod context;
mod dead_letters;
mod deliveries;
mod fault;
mod output_topic;
mod producer;

use std::time::Duration;

use ::rdkafka::config::ClientConfig;
use ::rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use ::rdkafka::error::KafkaResult;
use ::rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use ::rdkafka::{Offset, TopicPartitionList};

use crate::client::{Bounds, Committed, Fault};
use crate::message::{Header, TopicPartition};

pub use client::{KafkaClient, KafkaSettings};
pub use dead_letters::DeadLetterTopic;
pub use output_topic::OutputTopic;
pub use producer::{KafkaProducer, KafkaProducers};

/// How long one call waits for the broker before it is a transient fault.
const PATIENCE: Duration = Duration::from_secs(5);

/// Settings with which a client finds its brokers.
fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

/// A list with one partition and what is committed of it.
fn committing(
    partition: &TopicPartition,
    committed: &Committed,
) -> Result<TopicPartitionList, Fault> {
    let mut list = TopicPartitionList::new();
    let mut entry = list.add_partition(&partition.topic, partition.partition);
    entry.set_offset(offset(committed.next)).map_err(|e| fault::of("name an offset", &e))?;
    entry.set_metadata(&committed.metadata);
    Ok(list)
}

/// A list of partitions, without offsets.
fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for TopicPartition { topic, partition } in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

/// A list of partitions, each with the offset from which it is read.
fn list_from<'a>(
    starts: impl IntoIterator<Item = (&'a str, i32, u64)>,
) -> Result<TopicPartitionList, Fault> {
    let mut list = TopicPartitionList::new();
    for (topic, partition, next) in starts {
        let added = list.add_partition_offset(topic, partition, offset(next));
        added.map_err(|e| fault::of("name an offset", &e))?;
    }
    Ok(list)
}

/// The partitions of a list.
fn names(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    elements.iter().map(|e| TopicPartition::new(e.topic(), e.partition())).collect()
}

/// What a partition holds, as far as `consumer` may read it.
fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> KafkaResult<Bounds> {
    let (first, end) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
    Ok(Bounds { first: position(first), end: position(end) })
}

/// The headers of a message.
fn headers<'a>(message: &'a BorrowedMessage<'_>) -> Vec<Header<'a>> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.map(|header| (header.key, header.value)).collect()
}

fn offset(offset: u64) -> Offset {
    Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX))
}

/// An offset as the broker gives it; it is never negative.
fn position(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
