//! A consumer of a group, or of partitions that are given by hand.

use std::collections::HashSet;
use std::time::Duration;

use ::rdkafka::config::ClientConfig;
use ::rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerGroupMetadata, RebalanceProtocol,
};
use ::rdkafka::error::{KafkaError, RDKafkaErrorCode};
use ::rdkafka::message::{BorrowedMessage, Message as _, Timestamp as RecordTime};
use ::rdkafka::{Offset, TopicPartitionList};

use super::context::{Context, unassign};
use super::{PATIENCE, bounds, committing, config, fault, headers, list, list_from, position};
use crate::client::{Bounds, Client, Committed, Fault, FaultKind, Inbox, Rebalance};
use crate::message::{Headers, Message, TopicPartition};

/// How many messages one poll takes, so that what else is due is not forgotten.
const POLL_MESSAGES: usize = 4_096;

/// A consumer on librdkafka. Made by [`KafkaSettings`].
pub struct KafkaClient {
    consumer: BaseConsumer<Context>,
    /// Whether partitions are given by hand, and those that are.
    by_hand: Option<Vec<TopicPartition>>,
    /// Those that librdkafka holds; it does so also when they have been away in between.
    held: HashSet<TopicPartition>,
    /// The change to which librdkafka waits for an answer.
    unanswered: Option<Rebalance>,
}

/// How a [`KafkaClient`] is made: [`subscribe`](KafkaSettings::subscribe) or [`assign`](KafkaSettings::assign) makes it.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    config: ClientConfig,
}

/// What the promises rest on.
const FIXED: &[(&str, &str)] = &[
    // The store knows where to read on, and when an offset may be committed.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // An offset that is gone is told, not passed.
    ("auto.offset.reset", "error"),
    // Neither messages nor offsets of transactions that may still be aborted.
    ("isolation.level", "read_committed"),
];

impl KafkaSettings {
    /// A member of `group` that finds its brokers by `brokers`, as in `kafka-1:9092,kafka-2:9092`.
    ///
    /// Partitions move cooperatively (`cooperative-sticky`) unless `partition.assignment.strategy` says otherwise;
    /// all members of a group must agree.
    #[must_use]
    pub fn new(brokers: &str, group: &str) -> KafkaSettings {
        let mut config = config(brokers);
        config.set("group.id", group);
        config.set("partition.assignment.strategy", "cooperative-sticky");
        // librdkafka pauses for a second when its queue is full; with ten milliseconds a fast consumer is read
        // several times as fast.
        config.set("fetch.queue.backoff.ms", "10");
        // A seek waits for the fetch that is under way.
        config.set("fetch.wait.max.ms", "100");
        // A broker that comes back is found within a second.
        config.set("reconnect.backoff.max.ms", "1000");
        KafkaSettings { config }
    }

    /// Sets something else of librdkafka's.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> KafkaSettings {
        self.config.set(name, value);
        self
    }

    /// Joins the group, for these topics.
    ///
    /// # Errors
    ///
    /// [`FaultKind::Fatal`] if librdkafka does not know a setting, or refuses it.
    pub fn subscribe(self, topics: &[&str]) -> Result<KafkaClient, Fault> {
        let consumer = self.create()?;
        consumer.subscribe(topics).map_err(|e| fault::of("subscribe to topics", &e))?;
        Ok(KafkaClient::of(consumer, None))
    }

    /// Reads these partitions, whatever the group's members have. Nobody else must: nothing fences a second
    /// owner but the lock of the store and, with [`Transform`](crate::Transform), the name of the producer.
    ///
    /// # Errors
    ///
    /// As [`KafkaSettings::subscribe`].
    pub fn assign(self, partitions: &[TopicPartition]) -> Result<KafkaClient, Fault> {
        let consumer = self.create()?;
        consumer.context().add_change(Rebalance::Assigned(partitions.to_vec()));
        Ok(KafkaClient::of(consumer, Some(partitions.to_vec())))
    }

    fn create(mut self) -> Result<BaseConsumer<Context>, Fault> {
        for (name, value) in FIXED {
            self.config.set(*name, *value);
        }
        let created = self.config.create_with_context(Context::default());
        created.map_err(|e| fault::of("make a consumer", &e))
    }
}

impl KafkaClient {
    fn of(consumer: BaseConsumer<Context>, by_hand: Option<Vec<TopicPartition>>) -> KafkaClient {
        KafkaClient { consumer, by_hand, held: HashSet::new(), unanswered: None }
    }

    fn is_cooperative(&self) -> bool {
        matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative)
    }

    /// Reads a partition on that librdkafka has stopped, because the offset to be read was not there any more.
    fn restart(&self, partition: &TopicPartition, next: u64) -> Result<(), Fault> {
        let doing = "read a partition on that had stopped";
        if matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Eager) {
            let said =
                "a member that assigns eagerly can only do so with all its partitions".into();
            return Err(Fault { kind: FaultKind::Fatal, doing, said });
        }
        let stopped = self.consumer.incremental_unassign(&list(std::slice::from_ref(partition)));
        stopped.map_err(|e| fault::of(doing, &e))?;
        let started = self.consumer.incremental_assign(&at(partition, next)?);
        started.map_err(|e| fault::of(doing, &e))
    }

    /// Gives all messages that are there to `inbox`, after waiting up to `timeout` for the first.
    fn take_messages(&self, timeout: Duration, inbox: &mut dyn Inbox) -> Result<(), Fault> {
        let mut timeout = timeout;
        for _ in 0..POLL_MESSAGES {
            match self.consumer.poll(timeout) {
                Some(Ok(message)) => take(&message, inbox),
                Some(Err(error)) => pass_or_fail(&error)?,
                None => break,
            }
            if self.consumer.context().has_change() {
                break;
            }
            timeout = Duration::ZERO;
        }
        Ok(())
    }
}

impl Client for KafkaClient {
    type Group = ConsumerGroupMetadata;

    fn poll(
        &mut self,
        timeout: Duration,
        inbox: &mut dyn Inbox,
    ) -> Result<Option<Rebalance>, Fault> {
        if !self.consumer.context().has_change() {
            self.take_messages(timeout, inbox)?;
        }
        let change = self.consumer.context().next_change();
        self.unanswered.clone_from(&change);
        Ok(change)
    }

    fn accept(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault> {
        // At their ends: what comes before the store says from where to read is not taken. The ends are asked for, and not
        // left to librdkafka to look up: it goes there even if it was told to seek elsewhere meanwhile.
        let mut ends = Vec::new();
        for name in partitions {
            ends.push((&*name.topic, name.partition, self.bounds(name)?.end));
        }
        let list = list_from(ends)?;
        let assigned = match self.is_cooperative() {
            true => self.consumer.incremental_assign(&list),
            false => self.consumer.assign(&list),
        };
        assigned.map_err(|e| fault::of("take partitions over", &e))?;
        self.unanswered = None;
        Ok(())
    }

    fn give_up(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault> {
        let given_up = unassign(&self.consumer, &list(partitions));
        given_up.map_err(|e| fault::of("give partitions up", &e))?;
        self.unanswered = None;
        Ok(())
    }

    fn read_from(&mut self, partition: &TopicPartition, next: u64) -> Result<(), Fault> {
        // What was fetched before is dropped.
        let to = at(partition, next)?;
        let sought = self.consumer.seek_partitions(to, PATIENCE);
        let sought = sought.map_err(|e| fault::of("read from an offset", &e))?;
        let done = sought.elements().first().map_or(Ok(()), |element| element.error());
        match done.map_err(|error| (error.rdkafka_error_code(), error)) {
            Ok(()) => {}
            Err((Some(RDKafkaErrorCode::State), _)) => self.restart(partition, next)?,
            Err((_, error)) => return Err(fault::of("read from an offset", &error)),
        }
        if self.held.contains(partition) {
            let resumed = self.consumer.resume(&list(std::slice::from_ref(partition)));
            resumed.map_err(|e| fault::of("read a partition on", &e))?;
            self.held.remove(partition);
        }
        Ok(())
    }

    fn hold(&mut self, partition: &TopicPartition) -> Result<(), Fault> {
        let held = self.consumer.pause(&list(std::slice::from_ref(partition)));
        held.map_err(|e| fault::of("hold a partition", &e))?;
        self.held.insert(partition.clone());
        Ok(())
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<Committed>, Fault> {
        let one = list(std::slice::from_ref(partition));
        let found = self.consumer.committed_offsets(one, PATIENCE);
        let found = found.map_err(|e| fault::of("ask for the group's offset", &e))?;
        let elements = found.elements();
        let Some(element) = elements.first() else { return Ok(None) };
        element.error().map_err(|e| fault::of("ask for the group's offset", &e))?;
        Ok(match element.offset() {
            Offset::Offset(next) => {
                let metadata = element.metadata().to_owned();
                Some(Committed { next: position(next), metadata })
            }
            _ => None,
        })
    }

    fn commit(
        &mut self,
        partition: &TopicPartition,
        committed: &Committed,
        wait: bool,
    ) -> Result<(), Fault> {
        let mode = if wait { CommitMode::Sync } else { CommitMode::Async };
        let list = committing(partition, committed)?;
        self.consumer.commit(&list, mode).map_err(|e| fault::of("commit the group's offset", &e))
    }

    fn bounds(&mut self, partition: &TopicPartition) -> Result<Bounds, Fault> {
        let TopicPartition { topic, partition } = partition;
        let bounds = bounds(&self.consumer, topic, *partition);
        bounds.map_err(|e| fault::of("ask for a partition's offsets", &e))
    }

    fn group(&mut self) -> Result<ConsumerGroupMetadata, Fault> {
        self.consumer.group_metadata().ok_or_else(|| {
            let said = "the consumer is no member of a group".to_owned();
            Fault { kind: FaultKind::Fenced, doing: "say who the member is", said }
        })
    }

    fn leave(&mut self) -> Result<(), Fault> {
        match self.by_hand.take() {
            Some(partitions) => {
                self.consumer.context().add_change(Rebalance::Revoked(partitions));
            }
            None => self.consumer.unsubscribe(),
        }
        Ok(())
    }
}

/// A list with one partition and an offset of it.
fn at(partition: &TopicPartition, next: u64) -> Result<TopicPartitionList, Fault> {
    list_from([(&*partition.topic, partition.partition, next)])
}

/// Gives a message to `inbox`.
fn take(message: &BorrowedMessage<'_>, inbox: &mut dyn Inbox) {
    let time = match message.timestamp() {
        RecordTime::CreateTime(ms) | RecordTime::LogAppendTime(ms) => u64::try_from(ms).ok(),
        RecordTime::NotAvailable => None,
    };
    let headers = headers(message);
    let taken = Message {
        offset: position(message.offset()),
        time: time.map(firstseen::Timestamp::from_millis),
        key: message.key(),
        payload: message.payload(),
        headers: Headers::new(&headers),
    };
    inbox.take(message.topic(), message.partition(), &taken);
}

/// What a poll says in place of a message. Most of it librdkafka goes about by itself.
fn pass_or_fail(error: &KafkaError) -> Result<(), Fault> {
    match error {
        KafkaError::PartitionEOF(_) => Ok(()),
        // The loop finds out which by asking for the bounds; the group has told of those that are lost.
        KafkaError::MessageConsumption(
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::PollExceeded,
        ) => {
            tracing::warn!(%error, "polling");
            Ok(())
        }
        error => Err(fault::of("poll", error)),
    }
}

impl Drop for KafkaClient {
    fn drop(&mut self) {
        // librdkafka waits for the answer to each change, for ever; those to come are answered by the context.
        let told = std::iter::from_fn(|| self.consumer.context().next_change());
        let unanswered: Vec<Rebalance> = self.unanswered.take().into_iter().chain(told).collect();
        self.consumer.context().close();
        for change in unanswered {
            let answered = match change {
                Rebalance::Revoked(names) | Rebalance::Lost(names) => self.give_up(&names),
                Rebalance::Assigned(_) => {
                    let answered = self.consumer.unassign();
                    answered.map_err(|e| fault::of("give everything up", &e))
                }
            };
            if let Err(fault) = answered {
                tracing::debug!(%fault, "at the end");
            }
        }
    }
}

impl std::fmt::Debug for KafkaClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaClient").field("by_hand", &self.by_hand).finish_non_exhaustive()
    }
}
