//! What was done, read from the topic that a transformation writes.

use std::time::Duration;

use ::rdkafka::config::ClientConfig;
use ::rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use ::rdkafka::error::KafkaError;
use ::rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use ::rdkafka::{Offset, TopicPartitionList};
use firstseen::Timestamp;

use super::{PATIENCE, config, fault};
use crate::client::Fault;
use crate::error::BoxError;
use crate::handover::History;
use crate::history::Done;
use crate::message::{Header, Headers, TopicPartition};

/// How many messages are given to the store together.
const BATCH: usize = 4_096;

/// A [`History`] in the topic that a [`Transform`](crate::Transform) writes.
///
/// All of the topic since a moment is read, whichever partition it came from, as fast as the broker gives it. The topic must keep its
/// records for at least a window; what it does not keep makes the rebuilt store incomplete.
#[derive(Debug)]
pub struct OutputTopic {
    config: ClientConfig,
    topic: String,
}

impl OutputTopic {
    /// The history in `topic`.
    #[must_use]
    pub fn new(brokers: &str, topic: &str) -> OutputTopic {
        OutputTopic::with(config(brokers), topic)
    }

    /// The same, with more of librdkafka's settings.
    #[must_use]
    pub fn with(mut config: ClientConfig, topic: &str) -> OutputTopic {
        config.set("enable.auto.commit", "false").set("isolation.level", "read_committed");
        config.set("auto.offset.reset", "error").set("enable.partition.eof", "true");
        // Nothing is committed by that name; librdkafka wants one.
        config.set("group.id", "firstseen-history").set("fetch.queue.backoff.ms", "10");
        OutputTopic { config, topic: topic.to_owned() }
    }

    /// Where to begin in each partition of the topic; those that hold nothing since are left out. And whether nothing
    /// that is needed has been deleted.
    fn starts(
        &self,
        consumer: &BaseConsumer,
        since: Timestamp,
    ) -> Result<(TopicPartitionList, bool), Fault> {
        let failed = |error: KafkaError| fault::of("find where a history begins", &error);
        let metadata = consumer.fetch_metadata(Some(&self.topic), PATIENCE).map_err(failed)?;
        let found = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let partitions = found.map_or(&[][..], |topic| topic.partitions());
        let mut asked = TopicPartitionList::new();
        let millis = i64::try_from(since.as_micros() / 1_000).unwrap_or(i64::MAX);
        let mut whole = !partitions.is_empty();
        for partition in partitions {
            let number = partition.id();
            let bounds = consumer.fetch_watermarks(&self.topic, number, PATIENCE);
            let (first, end) = bounds.map_err(failed)?;
            if first == end {
                whole &= first == 0;
                continue;
            }
            let mut entry = asked.add_partition(&self.topic, number);
            entry.set_offset(Offset::Offset(millis)).map_err(failed)?;
        }
        let starts = consumer.offsets_for_times(asked, PATIENCE).map_err(failed)?;
        let mut list = TopicPartitionList::new();
        for element in starts.elements() {
            let Offset::Offset(start) = element.offset() else { continue };
            let bounds = consumer.fetch_watermarks(&self.topic, element.partition(), PATIENCE);
            let (first, _) = bounds.map_err(failed)?;
            // What begins at the first that is kept may have been preceded by what is not.
            whole &= start > first || first == 0;
            let added =
                list.add_partition_offset(&self.topic, element.partition(), Offset::Offset(start));
            added.map_err(failed)?;
        }
        Ok((list, whole))
    }
}

impl History for OutputTopic {
    fn read(
        &mut self,
        partition: &TopicPartition,
        since: Timestamp,
        add: &mut dyn FnMut(&[Done]) -> Result<(), BoxError>,
    ) -> Result<Timestamp, BoxError> {
        let consumer = self.config.create_with_context(DefaultConsumerContext);
        let consumer: BaseConsumer = consumer.map_err(|e| fault::of("make a consumer", &e))?;
        let (starts, whole) = self.starts(&consumer, since)?;
        let source = partition.to_string();
        let mut open = starts.count();
        let mut first = None;
        let mut batch: Vec<Done> = Vec::new();
        consumer.assign(&starts).map_err(|e| fault::of("read a history", &e))?;
        while open > 0 {
            match consumer.poll(Duration::from_secs(30)) {
                Some(Ok(message)) => {
                    let Some(done) = done(&message) else { continue };
                    first = Some(first.map_or(done.time, |first: Timestamp| first.min(done.time)));
                    if done.source == source {
                        batch.push(done);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) => return Err(fault::of("read a history", &error).into()),
                None => return Err("the history does not come to its end".into()),
            }
            if batch.len() >= BATCH {
                add(&batch)?;
                batch.clear();
            }
        }
        add(&batch)?;
        // Of a topic that has lost its beginning, all is known since the first record that it has.
        Ok(if whole { since } else { first.unwrap_or_else(Timestamp::now).max(since) })
    }
}

fn done(message: &BorrowedMessage<'_>) -> Option<Done> {
    let headers = message.headers()?;
    let headers: Vec<Header<'_>> =
        headers.iter().map(|header| (header.key, header.value)).collect();
    Done::read(Headers::new(&headers))
}
