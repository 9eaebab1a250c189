//! What was done, read from the topic that a transformation writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ::rdkafka::config::ClientConfig;
use ::rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use ::rdkafka::error::KafkaError;
use ::rdkafka::message::{BorrowedMessage, Message as _};
use firstseen::Timestamp;

use super::{PATIENCE, bounds, config, fault, headers, list_from};
use crate::client::{Bounds, Fault, FaultKind};
use crate::error::BoxError;
use crate::handover::History;
use crate::history::Done;
use crate::message::{Headers, TopicPartition};

/// How many messages are given to the store together.
const BATCH: usize = 4_096;
/// How long a transaction of another producer may hold the history's end back.
const SETTLING_MOST: Duration = Duration::from_secs(30);
/// How long the broker may be silent before the end.
const SILENCE_MOST: Duration = Duration::from_secs(30);
/// By how much the times of records may be out of their order.
const DISORDER: Duration = Duration::from_secs(600);

/// A [`History`] in the topic that a [`Transform`](crate::Transform) writes.
///
/// All of the topic is read that is there, whichever partition it came from, as fast as the broker gives it: more than a
/// window of it makes the rebuild slower and changes nothing. The topic must keep its records for at least a window and ten
/// minutes, by which times may be out of order; what it does not keep makes the rebuilt store incomplete. Only what
/// was written with [history](crate::Transform::history), and to this topic, is known by it: a message without an
/// output leaves no trace.
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

    /// What each partition of the topic holds, once all of it is settled: a transaction that is open keeps what
    /// is behind it from readers, committed or not.
    fn settled(&self, consumer: &BaseConsumer) -> Result<BTreeMap<i32, Bounds>, Fault> {
        let failed = |error: KafkaError| fault::of("find where a history ends", &error);
        let mut config = self.config.clone();
        config.set("isolation.level", "read_uncommitted");
        let all: BaseConsumer =
            config.create_with_context(DefaultConsumerContext).map_err(failed)?;
        let metadata = consumer.fetch_metadata(Some(&self.topic), PATIENCE).map_err(failed)?;
        let found = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let partitions = found.map_or(&[][..], |topic| topic.partitions());
        let started = Instant::now();
        let mut held = BTreeMap::new();
        for number in partitions.iter().map(|partition| partition.id()) {
            let written = bounds(&all, &self.topic, number).map_err(failed)?;
            while bounds(consumer, &self.topic, number).map_err(failed)?.end < written.end {
                if started.elapsed() > SETTLING_MOST {
                    let said = format!("a transaction holds {}/{number} back", self.topic);
                    let doing = "find where a history ends";
                    return Err(Fault { kind: FaultKind::Transient, doing, said });
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            held.insert(number, written);
        }
        Ok(held)
    }
}

impl History for OutputTopic {
    fn read(
        &mut self,
        partition: &TopicPartition,
        since: Timestamp,
        add: &mut dyn FnMut(&[Done]) -> Result<(), BoxError>,
    ) -> Result<Timestamp, BoxError> {
        let failed = |error: KafkaError| fault::of("read a history", &error);
        let consumer = self.config.create_with_context(DefaultConsumerContext);
        let consumer: BaseConsumer = consumer.map_err(failed)?;
        let held = self.settled(&consumer)?;
        let mut starts = Vec::new();
        // Of a partition that has lost its beginning all is known since its first record, and nothing if it has none.
        let mut covered = if held.is_empty() { Timestamp::now() } else { since };
        let mut beheaded: BTreeSet<i32> = BTreeSet::new();
        for (&number, Bounds { first, end }) in &held {
            if first == end {
                covered = if *end == 0 { covered } else { Timestamp::now() };
                continue;
            }
            starts.push((&*self.topic, number, *first));
            if *first > 0 {
                beheaded.insert(number);
            }
        }
        let mut open: BTreeSet<i32> = starts.iter().map(|(_, number, _)| *number).collect();
        consumer.assign(&list_from(starts)?).map_err(failed)?;
        let source = partition.to_string();
        let mut batch: Vec<Done> = Vec::new();
        while !open.is_empty() {
            match consumer.poll(SILENCE_MOST) {
                Some(Ok(message)) => {
                    let Some(done) = done(&message) else { continue };
                    if beheaded.remove(&message.partition()) {
                        covered = covered.max(done.time + DISORDER);
                    }
                    if done.source == source {
                        batch.push(done);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(number))) => {
                    open.remove(&number);
                }
                Some(Err(error)) => return Err(failed(error).into()),
                None => return Err("the history does not come to its end".into()),
            }
            if batch.len() >= BATCH {
                add(&batch)?;
                batch.clear();
            }
        }
        add(&batch)?;
        Ok(if beheaded.is_empty() { covered } else { Timestamp::now() })
    }
}

fn done(message: &BorrowedMessage<'_>) -> Option<Done> {
    Done::read(Headers::new(&headers(message)))
}
