//! What librdkafka calls back: changes of the assignment are put in a queue, and applied when the loop
//! says so.
//!
//! librdkafka waits for the answer to a change, an assignment, from whichever call it comes; until then the member
//! stays in the group. So stores are opened before the answer, and outside of the callback.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::rdkafka::client::ClientContext;
use ::rdkafka::config::RDKafkaLogLevel;
use ::rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use ::rdkafka::error::{KafkaError, KafkaResult};
use ::rdkafka::topic_partition_list::TopicPartitionList;
use ::rdkafka::types::RDKafkaRespErr;

use super::names;
use crate::client::Rebalance;

/// The context of a consumer.
#[derive(Debug, Default)]
pub(super) struct Context {
    changes: Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    waiting: VecDeque<Rebalance>,
    /// Whether the consumer is being dropped: then nobody is there to answer.
    closing: bool,
}

impl Context {
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest change that was not applied yet.
    pub(super) fn next_change(&self) -> Option<Rebalance> {
        self.changes().waiting.pop_front()
    }

    /// Whether a change waits.
    pub(super) fn has_change(&self) -> bool {
        !self.changes().waiting.is_empty()
    }

    /// Puts a change in the queue that the group does not know of.
    pub(super) fn add_change(&self, change: Rebalance) {
        self.changes().waiting.push_back(change);
    }

    /// From now on changes are answered at once: the consumer is being dropped.
    pub(super) fn close(&self) {
        let mut changes = self.changes();
        changes.closing = true;
        changes.waiting.clear();
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.changes().closing {
            if let Err(error) = unassign(consumer, partitions) {
                tracing::debug!(%error, "unassigning at the end");
            }
            return;
        }
        let names = names(partitions);
        let change = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assigned(names),
            _ if consumer.assignment_lost() => Rebalance::Lost(names),
            _ => Rebalance::Revoked(names),
        };
        self.add_change(change);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "an offset was not committed");
        }
    }
}

/// Gives up partitions in the way of the protocol that moves them.
pub(super) fn unassign(
    consumer: &BaseConsumer<Context>,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        _ => consumer.unassign(),
    }
}

/// Hands a message of librdkafka on.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(facility, message, "librdkafka");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
    }
}
