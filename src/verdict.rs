//! The answer to "has this id been seen inside the window?".

use std::time::Duration;

use crate::time::Timestamp;

/// What the store says about one id.
///
/// A verdict is given only when the record that it rests on is as durable as the store's
/// [`Durability`](crate::Durability) promises; that holds for a duplicate as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// The caller is the first to present the id inside its window. Of all calls, from any threads
    /// and across reopens, exactly one is told so.
    New,
    /// The id was seen before, inside the window.
    Duplicate {
        /// When it was first seen, by store time, rounded down to 1/2048 of the window.
        first_seen: Timestamp,
    },
    /// The event time lies before the window, so nobody can know whether the id was seen. Nothing
    /// was recorded.
    Late {
        /// How long before the window.
        by: Duration,
    },
}

impl Verdict {
    /// Whether the caller is the first.
    #[must_use]
    pub fn is_new(&self) -> bool {
        matches!(self, Verdict::New)
    }

    /// Whether the id was seen before.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Verdict::Duplicate { .. })
    }

    /// Whether the event time was too old to tell.
    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(self, Verdict::Late { .. })
    }
}
