//! How a partition's store gets from one owner to the next.
//!
//! 1. **In place.** Consumers of one machine share a folder: the next owner opens the store that the last one
//!    closed. A store that is still open elsewhere is waited for.
//! 2. **Shipped.** Whoever gives a partition up puts a checkpoint of its store into an [`Archive`], and the
//!    next owner fetches it.
//! 3. **Rebuilt.** What a store does not have is added from a [`History`]: the output topic, whose records say
//!    which messages they were made from.
//!
//! Which store has all that was done is told by the [tenure](crate::Tenure) in the group. Where none can be had, not
//! all ids inside the window are known, and [`OnIncomplete`] says what then.

mod archive;

use std::time::Duration;

use firstseen::Timestamp;

use crate::error::BoxError;
use crate::history::Done;
use crate::message::TopicPartition;

pub use archive::{Archive, FolderArchive};
pub(crate) use archive::{remove, sync};

/// What is done about a partition of which not all that was done is known: the store is missing or from before, or
/// messages behind its progress are not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnIncomplete {
    /// The partition is not read. It is looked again after this time, whether its store has come.
    /// [`Metrics`](crate::Metrics) and a warning tell.
    Wait(Duration),
    /// It is read on where the group stands, with what is known: messages whose ids are unknown may be worked on again.
    Pass,
}

impl Default for OnIncomplete {
    /// To wait, and to look every five seconds: who waits loses nothing.
    fn default() -> OnIncomplete {
        OnIncomplete::Wait(Duration::from_secs(5))
    }
}

/// A record of what was done, kept elsewhere.
pub trait History {
    /// Gives everything that was done with messages of `partition` since about `since`, in about the order of
    /// time, to `add`, and returns from when on that was everything.
    ///
    /// The consumer waits meanwhile: it must take less than the time after which the group takes a silent member
    /// for dead.
    ///
    /// # Errors
    ///
    /// What it says, and what `add` said. It is asked again later.
    fn read(
        &mut self,
        partition: &TopicPartition,
        since: Timestamp,
        add: &mut dyn FnMut(&[Done]) -> Result<(), BoxError>,
    ) -> Result<Timestamp, BoxError>;
}
