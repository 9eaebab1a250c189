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
mod fault;
mod output_topic;
mod producer;

use std::time::Duration;

use ::rdkafka::config::ClientConfig;
use ::rdkafka::{Offset, TopicPartitionList};

use crate::client::{Committed, Fault};
use crate::message::TopicPartition;

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

/// The partitions of a list.
fn names(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    elements.iter().map(|e| TopicPartition::new(e.topic(), e.partition())).collect()
}

fn offset(offset: u64) -> Offset {
    Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX))
}

/// An offset as the broker gives it; it is never negative.
fn position(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
