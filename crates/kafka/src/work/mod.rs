//! The ways of working: where the effects of a message are, and so what makes them happen once.
//!
//! | way | effects | promise |
//! |---|---|---|
//! | [`InStore`] | in the store's own state | once |
//! | [`InSink`] | in another system with transactions | once |
//! | [`Transform`] | in Kafka: records of other topics | once, for `read_committed` readers |
//! | [`Filter`] | anywhere | at least once: again only after a crash between the work and its commit |

mod claimed;
mod filter;
mod in_sink;
mod in_store;
mod transform;

use firstseen::Store;

use crate::client::{Client, Committed, Fault};
use crate::error::BoxError;
use crate::message::TopicPartition;
use crate::tenure::Tenure;

pub use claimed::{Claimed, Ids};
pub use filter::Filter;
pub use in_sink::{InSink, Sink, Token};
pub use in_store::InStore;
pub use transform::{Producers, Transform};

/// A way of working. The four that there are do; it is open for others.
pub trait Work<C: Client> {
    /// Ends what an earlier owner has open elsewhere and may never end, for it may be dead. Called as soon as the
    /// partition is assigned: what the group says of it is final only then.
    ///
    /// # Errors
    ///
    /// As [`Work::settle`].
    fn take_over(&mut self, partition: &TopicPartition) -> Result<(), WorkError> {
        let _ = partition;
        Ok(())
    }

    /// Shuts owners of the partition with a lower number than `tenure` out of another system, before anything is
    /// asked of what they have done: one of them may live and not know that it was replaced.
    ///
    /// # Errors
    ///
    /// As [`Work::settle`].
    fn fence(&mut self, partition: &TopicPartition, tenure: u64) -> Result<(), WorkError> {
        let _ = (partition, tenure);
        Ok(())
    }

    /// Ends what an earlier owner of the partition left between two systems. Called before the partition is
    /// read, until it succeeds. A way that prepares nothing has nothing to settle; whatever is in doubt is another's to
    /// answer for.
    ///
    /// # Errors
    ///
    /// [`WorkError::Batch`] where another system cannot be asked: it is asked again later.
    fn settle(&mut self, owned: &mut Owned<'_, C>) -> Result<(), WorkError> {
        let _ = owned;
        Ok(())
    }

    /// Works on the claimed messages and commits.
    ///
    /// # Errors
    ///
    /// On every error the messages that were not committed come again.
    fn work(&mut self, owned: &mut Owned<'_, C>, claimed: Claimed<'_>) -> Result<(), WorkError>;

    /// Lets go of what it holds for a partition: it is somebody else's from now on, or acquired anew.
    fn let_go(&mut self, partition: &TopicPartition) {
        let _ = partition;
    }

    /// Whether all effects are in the store. Then a store from before, whoever had it, is as good as the last one:
    /// reading on from its progress does again what it lacks.
    fn is_all_in_store(&self) -> bool {
        false
    }

    /// Commits the group's offset, waiting for it to be done if `wait`.
    ///
    /// # Errors
    ///
    /// [`WorkError::Client`].
    fn commit_offset(
        &mut self,
        owned: &mut Owned<'_, C>,
        committed: &Committed,
        wait: bool,
    ) -> Result<(), WorkError> {
        owned.client.commit(owned.partition, committed, wait)?;
        *owned.group_next = Some(committed.next);
        Ok(())
    }
}

/// A partition that is ours, as a way of working sees it.
#[derive(Debug)]
pub struct Owned<'a, C> {
    /// The partition.
    pub partition: &'a TopicPartition,
    /// Its store.
    pub store: &'a Store,
    /// Which of its owners we are.
    pub tenure: &'a Tenure,
    /// The consumer's client.
    pub client: &'a mut C,
    /// The offset that was last committed to the group.
    pub group_next: &'a mut Option<u64>,
}

impl<C> Owned<'_, C> {
    /// Commits every batch in doubt of whose token `was_done` says so, and aborts the others.
    fn settle(
        &self,
        mut was_done: impl FnMut(&str) -> Result<bool, WorkError>,
    ) -> Result<(), WorkError> {
        for prepared in self.store.in_doubt() {
            let token = String::from_utf8_lossy(prepared.token()).into_owned();
            let done = was_done(&token)?;
            tracing::info!(partition = %self.partition, token, done, "settled what was in doubt");
            if done { prepared.commit()? } else { prepared.abort()? }
        }
        Ok(())
    }
}

/// Why a batch was not committed, or only in part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// The work on one message failed. Those before it are committed.
    #[error("the work on message {index} of a batch failed: {source}")]
    Message {
        /// Its index in the batch.
        index: usize,
        /// What the work said.
        source: BoxError,
    },
    /// The work failed as a whole. Nothing is committed.
    #[error("the work on a batch failed: {source}")]
    Batch {
        /// What the work said.
        source: BoxError,
    },
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] firstseen::Error),
    /// A client failed.
    #[error(transparent)]
    Client(#[from] Fault),
}
