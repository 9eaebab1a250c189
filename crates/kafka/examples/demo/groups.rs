//! How far the groups have read, and what is in the topics, as somebody sees it who takes no part.

use std::collections::BTreeMap;
use std::time::Duration;

use firstseen_kafka::BoxError;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::ways::Way;
use crate::{ORDERS, RECEIPTS};

const PATIENCE: Duration = Duration::from_secs(5);

/// The groups of all ways.
pub struct Groups {
    each: Vec<(Way, BaseConsumer)>,
}

impl Groups {
    pub fn new(brokers: &str) -> Result<Groups, BoxError> {
        let each = Way::ALL.iter().map(|way| Ok((*way, observer(brokers, way.name())?)));
        Ok(Groups { each: each.collect::<Result<_, BoxError>>()? })
    }

    /// Where each partition of the orders ends.
    pub fn ends(&self) -> Result<BTreeMap<i32, u64>, BoxError> {
        let (_, consumer) = &self.each[0];
        partitions(consumer, ORDERS)?
            .into_iter()
            .map(|partition| {
                let (_, end) = consumer.fetch_watermarks(ORDERS, partition, PATIENCE)?;
                Ok((partition, u64::try_from(end)?))
            })
            .collect()
    }

    /// Which of the groups asked for have not committed those ends, with the partitions.
    pub fn behind(&self, ends: &BTreeMap<i32, u64>, asked: impl Fn(Way) -> bool) -> Vec<String> {
        let mut behind = Vec::new();
        for (way, consumer) in self.each.iter().filter(|(way, _)| asked(*way)) {
            let mut list = TopicPartitionList::new();
            for &partition in ends.keys() {
                list.add_partition(ORDERS, partition);
            }
            // A broker that cannot tell is asked again.
            let Ok(found) = consumer.committed_offsets(list, PATIENCE) else {
                behind.push(format!("{}: not known", way.name()));
                continue;
            };
            for element in found.elements() {
                let (partition, end) = (element.partition(), ends[&element.partition()]);
                let offset = element.offset();
                if offset != Offset::Offset(end as i64) && end > 0 {
                    behind.push(format!("{} {partition}: {offset:?} of {end}", way.name()));
                }
            }
        }
        behind
    }
}

/// The keys of all receipts that were committed.
pub fn receipts(brokers: &str) -> Result<Vec<String>, BoxError> {
    let consumer = observer(brokers, "check")?;
    let partitions = partitions(&consumer, RECEIPTS)?;
    let mut list = TopicPartitionList::new();
    for &partition in &partitions {
        list.add_partition_offset(RECEIPTS, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let (mut open, mut keys) = (partitions.len(), Vec::new());
    while open > 0 {
        match consumer.poll(Duration::from_secs(30)) {
            Some(Ok(message)) => {
                keys.push(String::from_utf8(message.key().unwrap_or_default().to_vec())?);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(error.into()),
            None => return Err("the receipts do not come to their end".into()),
        }
    }
    Ok(keys)
}

fn observer(brokers: &str, group: &str) -> Result<BaseConsumer, BoxError> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?)
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>, BoxError> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let topic = metadata.topics().first().ok_or("there is no such topic")?;
    Ok(topic.partitions().iter().map(|partition| partition.id()).collect())
}
