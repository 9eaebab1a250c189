//! The contract as a plain map.
//!
//! Store time is known between two bounds: after the death of the process what the store still
//! knows of it is somewhere between the last acknowledged insertion and the last call.

use std::collections::HashMap;
use std::time::Duration;

use firstseen::{Timestamp, Verdict};

/// A time between two bounds.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Span {
    pub fn advance(&mut self, to: Timestamp) {
        self.from = self.from.max(to);
        self.to = self.to.max(to);
    }
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Remembered,
    /// Within the coarseness of a record's age.
    Either,
    Forgotten,
}

/// Ids with the store time of their first sighting.
#[derive(Debug)]
pub struct Oracle {
    seen: HashMap<u8, Span>,
    pub now: Span,
    /// How much of store time survives the death of the process.
    pub kept: Timestamp,
    pub window: Duration,
    /// The coarseness of a record's age.
    pub tick: Duration,
}

impl Oracle {
    pub fn new(window: Duration, tick: Duration) -> Oracle {
        let now = Span { from: Timestamp::MIN, to: Timestamp::MIN };
        Oracle { seen: HashMap::new(), now, kept: Timestamp::MIN, window, tick }
    }

    fn known(&self, id: u8) -> Known {
        match self.seen.get(&id) {
            None => Known::Forgotten,
            Some(seen) if self.now.to < seen.from + self.window => Known::Remembered,
            Some(seen) if self.now.from >= seen.to + self.window + self.tick => Known::Forgotten,
            Some(_) => Known::Either,
        }
    }

    /// Judges the verdict on an id, and remembers it if `inserted`.
    pub fn judge(&mut self, id: u8, verdict: Verdict, inserted: bool) {
        let (known, seen) = (self.known(id), self.seen.get(&id).copied());
        match verdict {
            Verdict::New => {
                assert_ne!(known, Known::Remembered, "{id} was seen at {seen:?}: {self:?}");
                if inserted {
                    self.seen.insert(id, self.now);
                    self.kept = self.kept.max(self.now.from);
                }
            }
            Verdict::Duplicate { first_seen } => {
                assert_ne!(known, Known::Forgotten, "{id} was seen at {seen:?}: {self:?}");
                let seen = seen.expect("it is known");
                let lowest = seen.from - self.tick;
                assert!((lowest..=seen.to).contains(&first_seen), "{first_seen:?} for {seen:?}");
            }
            other => panic!("{other:?} on {id}"),
        }
    }

    /// Judges whether an id is said to be remembered.
    pub fn judge_contains(&self, id: u8, contained: bool) {
        let allowed = match self.known(id) {
            Known::Remembered => contained,
            Known::Forgotten => !contained,
            Known::Either => true,
        };
        assert!(allowed, "contains({id}) is {contained}: {self:?}");
    }

    /// Judges how many of the ids were remembered, and forgets them.
    pub fn forget(&mut self, ids: &[u8], count: u64) {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let number = |known| ids.iter().filter(|&&id| self.known(id) == known).count() as u64;
        let least = number(Known::Remembered);
        let most = least + number(Known::Either);
        assert!((least..=most).contains(&count), "{count} forgotten of {ids:?}: {self:?}");
        for id in ids {
            self.seen.remove(&id);
        }
        if count > 0 {
            self.kept = self.kept.max(self.now.from);
        }
    }

    /// Whether an event at `believed` is before the window; `None` if that cannot be known.
    pub fn is_late(&self, believed: Timestamp) -> Option<bool> {
        match (believed < self.now.from - self.window, believed < self.now.to - self.window) {
            (from, to) if from == to => Some(to),
            _ => None,
        }
    }

    /// The process died.
    pub fn die(&mut self) {
        self.now.from = self.kept;
    }
}
