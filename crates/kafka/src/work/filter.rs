//! Plain filtering: new messages are handed over together, and remembered afterwards.

use std::fmt;

use super::{Claimed, Owned, Work, WorkError};
use crate::client::Client;
use crate::error::BoxError;
use crate::message::{Message, TopicPartition};

/// Hands the new messages of a batch to a function, and remembers them once it has returned.
///
/// **At least once**: no message is lost, and one that was sent twice is handed over once, unless the process
/// dies, or the commit fails, after the function has returned: the batch is handed over again then. For work that
/// bears that, or that is only thinned out.
pub struct Filter<F> {
    work: F,
}

impl<F> Filter<F>
where
    F: FnMut(&TopicPartition, &mut dyn Iterator<Item = Message<'_>>) -> Result<(), BoxError>,
{
    /// Hands messages to `work`.
    pub fn new(work: F) -> Filter<F> {
        Filter { work }
    }
}

impl<C, F> Work<C> for Filter<F>
where
    C: Client,
    F: FnMut(&TopicPartition, &mut dyn Iterator<Item = Message<'_>>) -> Result<(), BoxError>,
{
    fn work(&mut self, owned: &mut Owned<'_, C>, claimed: Claimed<'_>) -> Result<(), WorkError> {
        let mut messages = claimed.fresh().map(|(_, message)| message).peekable();
        if messages.peek().is_some() {
            let worked = (self.work)(owned.partition, &mut messages);
            worked.map_err(|source| WorkError::Batch { source })?;
        }
        Ok(claimed.into_claim().commit()?)
    }
}

impl<F> fmt::Debug for Filter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}
