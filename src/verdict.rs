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
    /// and across reopens, exactly one is told so; of [claims](crate::Claim), exactly one that
    /// commits.
    New,
    /// The id was seen before, inside the window.
    Duplicate {
        /// When it was first seen, by store time, rounded down to 1/2048 of the window.
        first_seen: Timestamp,
    },
    /// The id is claimed by a transaction that has not ended. Neither process it nor drop it: whether
    /// it is a duplicate is decided when that one commits or gives it back.
    InFlight(InFlight),
    /// The lease of the claim that had the id ended without a word, and the store was told to hold
    /// such ids back ([`LeaseEnd::Block`](crate::LeaseEnd::Block)). Whether the work was done is not
    /// known; [`Store::resolve`](crate::Store::resolve) says it.
    Unknown {
        /// The fencing token of that claim.
        token: u64,
    },
    /// The event time lies before the window, so nobody can know whether the id was seen. Nothing
    /// was recorded.
    Late {
        /// How long before the window.
        by: Duration,
    },
    /// The position lies below the committed progress of its source: a record that is read again.
    Replay {
        /// The progress: the next position to read.
        progress: u64,
    },
    /// The id was seen before with another payload, or is in flight with another one. Two messages
    /// have one id: a mistake of whoever made them.
    Mismatch {
        /// When it was first seen, by store time, rounded down; now, if it is in flight.
        first_seen: Timestamp,
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

    /// Whether the id is claimed by a transaction that has not ended.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        matches!(self, Verdict::InFlight(_))
    }

    /// Whether the event time was too old to tell.
    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(self, Verdict::Late { .. })
    }

    /// Whether nothing is left to be decided: what is in flight or unknown must come again, all else
    /// is done with once a new one has been processed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Verdict::InFlight(_) | Verdict::Unknown { .. })
    }
}

/// How long an id has been in flight, and how long it may be yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InFlight {
    // Milliseconds, so that a verdict stays two words.
    age: u32,
    left: u32,
}

impl InFlight {
    const FOREVER: u32 = u32::MAX;

    pub(crate) fn new(age: Duration, left: Option<Duration>) -> InFlight {
        let millis = |d: Duration| u32::try_from(d.as_millis()).unwrap_or(u32::MAX);
        InFlight {
            age: millis(age),
            left: left.map_or(InFlight::FOREVER, |left| millis(left).min(InFlight::FOREVER - 1)),
        }
    }

    /// How long ago it was claimed, in whole milliseconds, at most 49 days; of what was found prepared
    /// at opening, how long ago that was.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.age.into())
    }

    /// What is left of the claim's lease, in whole milliseconds; `None` if it has none, and so ends
    /// only with its transaction. One that is prepared has none.
    #[must_use]
    pub fn lease_left(&self) -> Option<Duration> {
        (self.left != InFlight::FOREVER).then(|| Duration::from_millis(self.left.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_two_words() {
        assert_eq!(size_of::<Verdict>(), 16);
    }

    #[test]
    fn a_long_lease_is_not_taken_for_none() {
        let claim = InFlight::new(Duration::MAX, Some(Duration::MAX));
        assert!(claim.lease_left().is_some());
        assert_eq!(InFlight::new(Duration::ZERO, None).lease_left(), None);
    }
}
