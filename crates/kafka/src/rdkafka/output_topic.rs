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
/// minutes, by which times may be out of order; what it does not keep makes the rebuilt store incomplete: what is left of
/// the source in each of the topic's partitions tells since when everything is known. Where a partition has lost its beginning and
/// has nothing of the source left, what it has of others tells, which is too early a time if they lag hours behind it. Only what
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
        let source = partition.to_string();
        let lost_beginning = held.iter().filter(|(_, bounds)| bounds.first > 0);
        let mut beheaded = Beheaded::new(&source, lost_beginning.map(|(&number, _)| number));
        let with_records = held.iter().filter(|(_, bounds)| bounds.first < bounds.end);
        let starts: Vec<(&str, i32, u64)> =
            with_records.map(|(&number, bounds)| (&*self.topic, number, bounds.first)).collect();
        let mut open: BTreeSet<i32> = starts.iter().map(|(_, number, _)| *number).collect();
        consumer.assign(&list_from(starts)?).map_err(failed)?;
        let mut batch: Vec<Done> = Vec::new();
        while !open.is_empty() {
            match consumer.poll(SILENCE_MOST) {
                Some(Ok(message)) => {
                    let Some(done) = done(&message) else { continue };
                    beheaded.note(message.partition(), &done);
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
        Ok(match held.is_empty() {
            true => Timestamp::now(),
            false => beheaded.covered(since, Timestamp::now()),
        })
    }
}

/// The partitions of the topic that have lost their beginnings, and since when each knows everything of one source. All
/// of them together do since the latest of these times.
#[derive(Debug)]
struct Beheaded<'a> {
    source: &'a str,
    partitions: BTreeMap<i32, Oldest>,
}

/// The oldest records that are left in a partition.
#[derive(Debug, Default)]
struct Oldest {
    /// The time of the first of whichever source.
    of_any: Option<Timestamp>,
    /// The time of the first of the source that is asked for.
    of_source: Option<Timestamp>,
}

impl<'a> Beheaded<'a> {
    fn new(source: &'a str, partitions: impl Iterator<Item = i32>) -> Beheaded<'a> {
        let partitions = partitions.map(|number| (number, Oldest::default())).collect();
        Beheaded { source, partitions }
    }

    /// Takes note of the next record of a partition.
    fn note(&mut self, partition: i32, done: &Done) {
        let Some(oldest) = self.partitions.get_mut(&partition) else { return };
        oldest.of_any.get_or_insert(done.time);
        if done.source == self.source {
            oldest.of_source.get_or_insert(done.time);
        }
    }

    /// Since when everything is known, once all records are noted. What a partition has lost of the source was written
    /// before what it has left of it, and is older, but for the disorder. One that has nothing left of it may never have had anything: its
    /// first record stands for what it has lost. One that has nothing left at all knows nothing.
    fn covered(&self, since: Timestamp, now: Timestamp) -> Timestamp {
        let oldest = self.partitions.values().map(|oldest| oldest.of_source.or(oldest.of_any));
        let known = oldest.map(|oldest| oldest.map_or(now, |time| time + DISORDER));
        known.fold(since, Timestamp::max)
    }
}

fn done(message: &BorrowedMessage<'_>) -> Option<Done> {
    Done::read(Headers::new(&headers(message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is covered of `a/0` by a topic whose partitions 0 and 1 have lost their beginnings, with these records left,
    /// in hours.
    fn covered(left: &[(i32, &str, u64)]) -> Timestamp {
        let mut beheaded = Beheaded::new("a/0", [0, 1].into_iter());
        for &(partition, source, time) in left {
            let time = hour(time);
            let done = Done { source: source.to_owned(), position: 0, time, id: Vec::new() };
            beheaded.note(partition, &done);
        }
        beheaded.covered(hour(1), hour(100))
    }

    fn hour(hour: u64) -> Timestamp {
        Timestamp::from_secs(hour * 3_600)
    }

    #[test]
    fn everything_is_known_since_the_latest_beginning() {
        let whole = Beheaded::new("a/0", std::iter::empty());
        assert_eq!(whole.covered(hour(1), hour(100)), hour(1));
        // Partition 7 is whole.
        let left = [(0, "a/0", 5), (1, "a/0", 9), (7, "a/0", 50), (0, "a/0", 20), (1, "a/0", 20)];
        assert_eq!(covered(&left), hour(9) + DISORDER);
        assert_eq!(covered(&left[..1]), hour(100), "nothing is left of partition 1");
    }

    #[test]
    fn each_source_has_a_time_of_its_own() {
        // Another one is far behind: what was lost of it says nothing of what was lost of ours.
        let left = [(0, "a/1", 5), (0, "a/0", 9), (1, "a/1", 5), (1, "a/1", 6)];
        assert_eq!(covered(&left), hour(9) + DISORDER);
        let left = [(0, "a/1", 9), (0, "a/0", 5), (1, "a/0", 5)];
        assert_eq!(covered(&left), hour(5) + DISORDER);
    }
}
