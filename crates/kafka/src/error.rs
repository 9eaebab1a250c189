//! Why a consumer stopped.

use std::path::PathBuf;

use crate::client::Fault;
use crate::dead::Reason;
use crate::message::TopicPartition;

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the caller's own.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a consumer stopped. What it had committed stands; whoever starts it again reads on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store of a partition failed.
    #[error("the store: {0}")]
    Store(#[from] firstseen::Error),

    /// The client of Kafka failed.
    #[error("Kafka: {0}")]
    Client(#[from] Fault),

    /// The work on a message failed, and whoever was asked said to stop.
    #[error("the work on offset {offset} of {partition} failed: {source}")]
    Work {
        /// Where the message is.
        partition: TopicPartition,
        /// Its offset, or that of the first message of a batch that is worked on as a whole.
        offset: u64,
        /// What the work said.
        source: BoxError,
    },

    /// A message cannot be worked on, and there is nowhere to put it.
    #[error(
        "offset {offset} of {partition} cannot be worked on: {reason}; give the consumer dead_letters \
         to go past such messages"
    )]
    Poison {
        /// Where the message is.
        partition: TopicPartition,
        /// Its offset.
        offset: u64,
        /// What is wrong with it.
        reason: Reason,
    },

    /// A folder of the consumer's cannot be used.
    #[error("cannot {op} {}: {source}", path.display())]
    Folder {
        /// What was attempted, as a verb.
        op: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// What a store keeps of its owners is not what this version writes.
    #[error(
        "the store names its owners by `{found}`, which this version cannot read; use a newer one"
    )]
    Metadata {
        /// What it keeps.
        found: String,
    },

    /// A setting is out of its range.
    #[error("setting {setting}: {reason}")]
    Setting {
        /// The setting, by the name of its method.
        setting: &'static str,
        /// What is wrong with it and what would be right.
        reason: String,
    },
}
