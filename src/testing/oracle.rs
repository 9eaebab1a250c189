//! The contract as a plain map with time: what tests hold a store against.
//!
//! The oracle knows no files, tables or generations. It is told what the store answered, says
//! whether that was allowed, and follows the answer where two were.

use std::collections::HashMap;
use std::time::Duration;

use crate::time::{Timestamp, micros};
use crate::verdict::Verdict;

/// What the contract allows as an answer about one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The id is unknown.
    New,
    /// The id was first seen then, and is remembered.
    Duplicate(Timestamp),
    /// First seen then, at the very end of its window or of unknown fate: either answer, but a
    /// lasting one.
    Either(Timestamp),
    /// The event lies so long before the window.
    Late(Duration),
}

/// An id that was let in.
#[derive(Debug, Clone, Copy)]
struct Record {
    first: Timestamp,
    /// How much longer than its window it may be remembered.
    tick: Duration,
    /// Whether it must be remembered inside its window.
    sure: bool,
}

/// The contract for ids that are numbers. See the module documentation.
#[derive(Debug, Clone)]
pub struct Oracle {
    window: Duration,
    generations: u32,
    now: Timestamp,
    complete_since: Timestamp,
    /// The window was made longer once: an older sighting may count again.
    lengthened: bool,
    records: HashMap<u64, Record>,
}

impl Oracle {
    /// The contract of an empty store.
    #[must_use]
    pub fn new(window: Duration, generations: u32) -> Oracle {
        let (now, complete_since) = (Timestamp::MIN, Timestamp::MIN);
        let records = HashMap::new();
        Oracle { window, generations, now, complete_since, lengthened: false, records }
    }

    /// Store time, as far as the oracle was told.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How long an id is remembered.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    /// How exactly the store remembers when an id was first seen.
    #[must_use]
    pub fn tick(&self) -> Duration {
        let slice = micros(self.window).div_ceil(u64::from(self.generations));
        Duration::from_micros(slice.div_ceil(256).max(1))
    }

    /// Store time goes on to `to`; it never runs backwards. Returns the time.
    pub fn advance(&mut self, to: Timestamp) -> Timestamp {
        self.now = self.now.max(to);
        self.now
    }

    /// The store was reopened, and its time was last written down at `now`: what has expired since
    /// may be known again.
    pub fn resume_at(&mut self, now: Timestamp) {
        let (window, before) = (self.window, self.now);
        let back = |r: &Record| before > r.first + window && now <= r.first + r.tick + window;
        self.records.values_mut().filter(|r| back(r)).for_each(|r| r.sure = false);
        self.now = now;
    }

    /// What was seen before `since` may have been dropped for lack of space or files.
    pub fn set_complete_since(&mut self, since: Timestamp) {
        self.complete_since = self.complete_since.max(since);
        let unknown = |r: &Record| r.first < since;
        self.records.values_mut().filter(|r| unknown(r)).for_each(|r| r.sure = false);
    }

    /// The store was reopened with another window, and says to know all that was seen since
    /// `known_since`. Of what is older and had expired under a shorter window, some may be left.
    pub fn set_window(&mut self, window: Duration, generations: u32, known_since: Timestamp) {
        let (now, before) = (self.now, self.window);
        let expired = |r: &Record| now > r.first + before && r.first < known_since;
        self.records.values_mut().filter(|r| expired(r)).for_each(|r| r.sure = false);
        self.lengthened |= window > before;
        (self.window, self.generations) = (window, generations);
    }

    /// The outcome of the call that presented these ids is not known: those that were unknown may
    /// have been let in, at `now`.
    pub fn doubt(&mut self, ids: impl IntoIterator<Item = u64>, now: Timestamp) {
        for id in ids {
            match self.expected(id, now) {
                Expected::New => drop(self.records.insert(id, self.record(now, false))),
                Expected::Either(_) => {
                    self.records.insert(id, self.record(now, false));
                }
                _ => {}
            }
        }
    }

    /// What the contract allows as an answer about `id` at store time `now`.
    #[must_use]
    pub fn expected(&self, id: u64, now: Timestamp) -> Expected {
        match self.records.get(&id) {
            None => Expected::New,
            Some(r) if now >= r.first + r.tick + self.window => Expected::New,
            Some(r) if r.sure && now <= r.first + self.window => Expected::Duplicate(r.first),
            Some(r) => Expected::Either(r.first),
        }
    }

    /// Like [`Oracle::expected`], for an event of time `event`.
    #[must_use]
    pub fn expected_timed(&self, id: u64, now: Timestamp, event: Timestamp) -> Expected {
        let known_from = (now - self.window).max(self.complete_since);
        match event < known_from {
            true => Expected::Late(known_from - event),
            false => self.expected(id, now),
        }
    }

    /// Holds an answer against what is allowed, and follows it: `inserts` tells whether the call
    /// lets in what is new. An answer that is not allowed comes back as text.
    ///
    /// # Errors
    ///
    /// When the answer breaks the contract.
    pub fn judge(
        &mut self,
        id: u64,
        now: Timestamp,
        event: Option<Timestamp>,
        inserts: bool,
        verdict: Verdict,
    ) -> Result<(), String> {
        let expected = match event {
            Some(event) => self.expected_timed(id, now, event),
            None => self.expected(id, now),
        };
        let tick = self.tick();
        let near = |first: Timestamp, said: Timestamp| {
            let slack = self.records.get(&id).map_or(tick, |r| r.tick);
            said <= first + slack && (first <= said + slack || self.lengthened)
        };
        match (expected, verdict) {
            (Expected::Late(by), Verdict::Late { by: said }) if by == said => return Ok(()),
            (Expected::Duplicate(first), Verdict::Duplicate { first_seen })
                if near(first, first_seen) =>
            {
                return Ok(());
            }
            (Expected::Either(first), Verdict::Duplicate { first_seen })
                if near(first, first_seen) =>
            {
                self.records.entry(id).and_modify(|r| r.sure = true);
                return Ok(());
            }
            (Expected::New | Expected::Either(_), Verdict::New) => {}
            _ => {
                let Oracle { window, .. } = self;
                return Err(format!(
                    "id {id} at {now}, event {event:?}, window {window:?}, tick {tick:?}: \
                     expected {expected:?}, got {verdict:?}"
                ));
            }
        }
        if inserts {
            self.records.insert(id, self.record(now, true));
        } else if matches!(expected, Expected::Either(_)) && now <= self.now {
            // A look at a time that has not come says nothing of now.
            self.records.remove(&id);
        }
        Ok(())
    }

    /// Like [`Oracle::judge`], for an answer that only says whether `id` is remembered now.
    ///
    /// # Errors
    ///
    /// When the answer breaks the contract.
    pub fn judge_known(&mut self, id: u64, known: bool) -> Result<(), String> {
        match (self.expected(id, self.now), known) {
            (Expected::Duplicate(_), true) | (Expected::New, false) => {}
            (Expected::Either(_), true) => {
                self.records.entry(id).and_modify(|r| r.sure = true);
            }
            (Expected::Either(_), false) => drop(self.records.remove(&id)),
            (expected, _) => {
                let now = self.now;
                return Err(format!("id {id} at {now}: expected {expected:?}, known: {known}"));
            }
        }
        Ok(())
    }

    /// Forgets ids. Returns how many of them must have been, and can have been, remembered.
    pub fn forget(&mut self, ids: &[u64]) -> (u64, u64) {
        let (mut least, mut most) = (0, 0);
        for &id in ids {
            match self.expected(id, self.now) {
                Expected::Duplicate(_) => (least, most) = (least + 1, most + 1),
                Expected::Either(_) => most += 1,
                // It is not remembered, so it is not touched.
                _ => continue,
            }
            self.records.remove(&id);
        }
        (least, most)
    }

    /// Every id that is in its window now, or may be.
    pub fn known(&self) -> impl Iterator<Item = u64> + '_ {
        self.records.keys().copied()
    }

    fn record(&self, first: Timestamp, sure: bool) -> Record {
        Record { first, tick: self.tick(), sure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn an_id_is_new_once_a_window() {
        let mut oracle = Oracle::new(10 * SECOND, 2);
        assert_eq!(oracle.judge(1, at(5), None, true, Verdict::New), Ok(()));
        assert_eq!(oracle.expected(1, at(15)), Expected::Duplicate(at(5)));
        assert!(oracle.judge(1, at(15), None, true, Verdict::New).is_err());
        let edge = oracle.advance(at(15) + oracle.tick() / 2);
        assert_eq!(oracle.expected(1, edge), Expected::Either(at(5)));
        assert_eq!(oracle.judge(1, edge, None, false, Verdict::New), Ok(()));
        assert_eq!(oracle.expected(1, edge), Expected::New, "the first answer lasts");
        let found = Verdict::Duplicate { first_seen: at(5) };
        assert!(oracle.judge(1, at(16), None, true, found).is_err());
    }

    #[test]
    fn what_lies_before_the_window_is_late() {
        let oracle = Oracle::new(10 * SECOND, 2);
        assert_eq!(oracle.expected_timed(1, at(15), at(5)), Expected::New);
        assert_eq!(oracle.expected_timed(1, at(15), at(4)), Expected::Late(SECOND));
    }

    #[test]
    fn forgetting_counts_what_was_known() {
        let mut oracle = Oracle::new(10 * SECOND, 2);
        oracle.judge(1, at(5), None, true, Verdict::New).unwrap();
        oracle.advance(at(6));
        assert_eq!(oracle.forget(&[1, 1, 2]), (1, 1));
        assert_eq!(oracle.expected(1, at(6)), Expected::New);
    }
}
