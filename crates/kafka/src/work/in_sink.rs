//! Effects in another system that has transactions: two-phase, by prepare and commit.
//!
//! The store makes durable what it is about to do, the sink does it in one transaction that keeps the token,
//! the store commits. A crash in between leaves the batch in doubt; whoever owns the partition next asks
//! the sink.

use std::fmt;

use super::{Claimed, Owned, Work, WorkError};
use crate::client::Client;
use crate::error::BoxError;
use crate::message::{Message, TopicPartition};
use crate::tenure::Tenure;

/// The name of one batch's transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    name: String,
    tenure: u64,
}

impl Token {
    /// Its name: no two transactions of any partition and owner have the same. To be kept in the
    /// transaction.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// [`Tenure::number`] of the owner: above that of every earlier owner of the partition. By it a sink
    /// refuses an owner that was replaced without knowing it.
    #[must_use]
    pub fn tenure(&self) -> u64 {
        self.tenure
    }
}

/// Another system that commits by itself.
pub trait Sink {
    /// Refuses from now on every token of the partition with a lower [tenure](Token::tenure) than this one.
    /// Called when the partition is taken over: the owner before may live and not know that it was replaced.
    ///
    /// # Errors
    ///
    /// It is called again later, and the partition waits. It must fail if a higher tenure was seen.
    fn fence(&mut self, partition: &TopicPartition, tenure: u64) -> Result<(), BoxError>;

    /// Carries out the work on `messages` in one transaction, which also keeps the token. A token that was
    /// [closed](Sink::close) must be refused, and so must one with a lower
    /// [tenure](Token::tenure) than the partition was [fenced](Sink::fence) with.
    ///
    /// # Errors
    ///
    /// Whatever the error, the token is closed next, which tells whether the work was done.
    fn apply(
        &mut self,
        partition: &TopicPartition,
        token: &Token,
        messages: &mut dyn Iterator<Item = Message<'_>>,
    ) -> Result<(), BoxError>;

    /// Says whether the transaction of `token` was done. If it was not, it must never be: in one transaction,
    /// look the token up and note that it is closed.
    ///
    /// # Errors
    ///
    /// It is asked again later, and the partition waits.
    fn close(&mut self, partition: &TopicPartition, token: &str) -> Result<bool, BoxError>;
}

/// Carries out each batch's new messages in a [`Sink`].
///
/// Their effects happen **once**, through the death of this process at any point, if the sink keeps its word.
/// Each batch waits for a sync of the store, whatever its durability.
///
/// Not promised: a partition whose store is lost is only as good as what it is rebuilt from, see
/// [`handover`](crate::handover).
pub struct InSink<S> {
    sink: S,
}

impl<S: Sink> InSink<S> {
    /// Works by `sink`.
    pub fn new(sink: S) -> InSink<S> {
        InSink { sink }
    }
}

impl<C: Client, S: Sink> Work<C> for InSink<S> {
    fn fence(&mut self, partition: &TopicPartition, tenure: u64) -> Result<(), WorkError> {
        let fenced = self.sink.fence(partition, tenure);
        fenced.map_err(|source| WorkError::Batch { source })
    }

    fn settle(&mut self, owned: &mut Owned<'_, C>) -> Result<(), WorkError> {
        owned.settle(|token| {
            let done = self.sink.close(owned.partition, token);
            done.map_err(|source| WorkError::Batch { source })
        })
    }

    fn work(&mut self, owned: &mut Owned<'_, C>, claimed: Claimed<'_>) -> Result<(), WorkError> {
        let mut messages = claimed.fresh().map(|(_, message)| message).peekable();
        if messages.peek().is_none() {
            return Ok(claimed.into_claim().commit()?);
        }
        let claim = claimed.into_claim();
        let token = token(owned.partition, owned.tenure, claim.token());
        let prepared = claim.prepare(&token.name)?;
        let Err(source) = self.sink.apply(owned.partition, &token, &mut messages) else {
            return Ok(prepared.commit()?);
        };
        // It may have been done all the same; where that cannot be had the batch stays in doubt until it can.
        match self.sink.close(owned.partition, &token.name) {
            Ok(true) => Ok(prepared.commit()?),
            Ok(false) => {
                prepared.abort()?;
                Err(WorkError::Batch { source })
            }
            Err(source) => Err(WorkError::Batch { source }),
        }
    }
}

fn token(partition: &TopicPartition, tenure: &Tenure, fence: u64) -> Token {
    Token { name: format!("{partition}:{tenure}:{fence}"), tenure: tenure.number() }
}

impl<S> fmt::Debug for InSink<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InSink")
    }
}
