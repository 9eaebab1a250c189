//! What a consumer says about itself.

use crate::message::TopicPartition;

/// The partitions of a consumer at one moment: see [`Consumer::metrics`](crate::Consumer::metrics).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// One for each partition that is assigned.
    pub partitions: Vec<PartitionMetrics>,
    /// Partitions that were assigned, in all.
    pub assigned: u64,
    /// Partitions that were given up, in all.
    pub revoked: u64,
    /// Partitions that were lost to somebody else without being asked, in all.
    pub lost: u64,
}

/// What a partition is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartitionState {
    /// It is not read yet, and why.
    Acquiring(String),
    /// It is read and worked on.
    Reading,
    /// Something failed and is tried again.
    BackingOff,
}

/// One partition. What is counted is counted since it was assigned.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PartitionMetrics {
    /// The partition.
    pub partition: TopicPartition,
    /// What it is doing.
    pub state: PartitionState,
    /// The offset up to which everything is committed; `None` if its store is not open, or new.
    pub progress: Option<u64>,
    /// How many offsets lie between that and the end of the partition, as far as that is known.
    pub lag: Option<u64>,
    /// Messages that went through.
    pub messages: u64,
    /// Those that were worked on.
    pub new: u64,
    /// Those whose id was known: copies of others.
    pub duplicates: u64,
    /// Those from below the progress: read again, not sent again.
    pub replays: u64,
    /// Those from before the window.
    pub lates: u64,
    /// Those that became dead letters.
    pub dead_letters: u64,
    /// How often something failed and was put off.
    pub failures: u64,
    /// Batches that are in doubt between the store and another system.
    pub in_doubt: u64,
    /// Batches that were found in doubt, after a death or an error, and settled.
    pub settled: u64,
}
