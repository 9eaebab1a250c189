//! Effects in the store's own state: ids, progress and effects in one commit.

use std::fmt;

use firstseen::Step;

use super::{Claimed, Owned, Work, WorkError};
use crate::client::Client;
use crate::error::BoxError;
use crate::message::Message;

/// Calls a function for each new message, in order, with its part of the transaction.
///
/// What the function puts into the store's state happens **once**: after any crash the state is that of the
/// progress, and what was not committed comes again. A message whose work fails is undone alone; those before
/// it are committed.
///
/// Not promised: effects outside of the store. They are made again after a crash before the commit. A
/// `Buffered` store may lose the last commits to a power cut, ids, progress and state together; the messages are
/// read again from there.
pub struct InStore<F> {
    work: F,
}

impl<F> InStore<F>
where
    F: FnMut(&Message<'_>, &mut Step<'_>) -> Result<(), BoxError>,
{
    /// Works by `work`.
    pub fn new(work: F) -> InStore<F> {
        InStore { work }
    }
}

impl<C, F> Work<C> for InStore<F>
where
    C: Client,
    F: FnMut(&Message<'_>, &mut Step<'_>) -> Result<(), BoxError>,
{
    fn work(&mut self, _: &mut Owned<'_, C>, mut claimed: Claimed<'_>) -> Result<(), WorkError> {
        let failed = attempt_each(&mut claimed, |_, message, step| (self.work)(message, step));
        claimed.into_claim().commit()?;
        failed
    }

    fn is_all_in_store(&self) -> bool {
        true
    }
}

/// Lets `work` do the part of each message, up to the first that fails: it and those behind it are given
/// back.
pub(super) fn attempt_each(
    claimed: &mut Claimed<'_>,
    mut work: impl FnMut(usize, &Message<'_>, &mut Step<'_>) -> Result<(), BoxError>,
) -> Result<(), WorkError> {
    for (index, message) in claimed.fresh() {
        if let Err(source) = claimed.attempt(index, |step| work(index, &message, step)) {
            claimed.release_from(index + 1);
            return Err(WorkError::Message { index, source });
        }
    }
    Ok(())
}

impl<F> fmt::Debug for InStore<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InStore")
    }
}
