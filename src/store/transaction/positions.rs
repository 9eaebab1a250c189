//! How far the progress of a source may go: never past a record that is not settled.
//!
//! Transactions of one source may end in another order than they began, or not at all. The progress
//! that a commit records stops before the first record of any other that is still open, one that is
//! only prepared among them, and before the first one that was given back, until that one is presented
//! again. So whoever starts to read at the progress, after whatever crash, reads every record that was
//! not settled. It goes on to the end of what was committed out of turn once nothing before that is
//! open.
//!
//! What is prepared is committed with the progress that it was prepared with, or with less: what was
//! presented since holds it too. After a reopening that is not so, for it is not known then which records
//! were prepared, nor whether the progress was set by name. It is taken as if it was: whoever settles
//! what is in doubt before reading on misses nothing.
//!
//! That takes a source to be read in order: what lies before a record was presented before it. Batches
//! may interleave, as those of workers do that share a source by key: what counts is each position, not
//! the range from the first to the last.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::claim::{Mono, Ticket};

/// The open transactions of every source.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    sources: HashMap<Arc<str>, Source>,
    /// Tells transactions apart.
    next: u64,
}

#[derive(Debug, Default)]
struct Source {
    /// By first position and number. One that is prepared is open.
    open: BTreeMap<(u64, u64), Open>,
    /// What was given back or left unsettled, and not presented again: begin to end of each range.
    holes: BTreeMap<u64, u64>,
    /// The end of the farthest records that were committed.
    reached: u64,
}

#[derive(Debug)]
struct Open {
    ticket: crate::sync::Arc<Ticket>,
    runs: Arc<[(u64, u64)]>,
    /// Whether the source was rewound since: its records are read again, and count then.
    rewound: bool,
}

/// The records that a transaction presented.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    pub(crate) source: Arc<str>,
    /// Their positions, as ranges of consecutive ones, ascending; at least one.
    runs: Arc<[(u64, u64)]>,
    number: u64,
}

impl Records {
    /// One past the last position.
    pub(crate) fn end(&self) -> u64 {
        self.runs.last().map_or(0, |&(_, end)| end)
    }

    fn key(&self) -> (u64, u64) {
        (self.runs.first().map_or(0, |&(first, _)| first), self.number)
    }
}

/// The records of a transaction that commits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span<'a> {
    pub(crate) records: &'a Records,
    /// The positions of those that the commit leaves unsettled, ascending.
    pub(crate) unsettled: &'a [u64],
}

impl Positions {
    /// A transaction presents records at `positions`, which ascend. `None` if there are none.
    pub(crate) fn begin(
        &mut self,
        source: &Arc<str>,
        positions: &[u64],
        ticket: &crate::sync::Arc<Ticket>,
        now: Mono,
    ) -> Option<Records> {
        let runs: Arc<[_]> = positions
            .chunk_by(|before, after| before + 1 == *after)
            .map(|run| (run[0], run[run.len() - 1].saturating_add(1)))
            .collect();
        let records = Records { source: Arc::clone(source), runs, number: self.next };
        if positions.is_empty() {
            return None;
        }
        self.next += 1;
        let source = self.sources.entry(Arc::clone(source)).or_default();
        source.give_back_ended(now);
        source.fill_each(&records.runs);
        let (ticket, runs) = (crate::sync::Arc::clone(ticket), Arc::clone(&records.runs));
        source.open.insert(records.key(), Open { ticket, runs, rewound: false });
        Some(records)
    }

    /// The progress up to which everything is settled once the transaction is committed; what lies
    /// below `progress` is. It is to be committed or given back after.
    pub(crate) fn reach(&mut self, span: Span<'_>, progress: u64) -> u64 {
        let Span { records, unsettled } = span;
        let Some(source) = self.sources.get_mut(&records.source) else { return records.end() };
        if source.open.get(&records.key()).is_some_and(|open| open.rewound) {
            return progress;
        }
        // Others may have left some of its records unsettled, which it settles.
        source.fill_each(&records.runs);
        let open = source.open.keys().find(|&&key| key != records.key());
        let open = open.map(|&(first, _)| first);
        let hole = source.holes.iter().find(|&(_, &to)| to > progress);
        let hole = hole.map(|(&from, _)| from.max(progress));
        let left = unsettled.iter().copied().find(|&left| left >= progress);
        open.into_iter().chain(hole).chain(left).fold(source.reached.max(records.end()), u64::min)
    }

    /// The transaction is committed, to a source that stood at `progress`.
    pub(crate) fn commit(&mut self, span: Span<'_>, progress: u64) {
        let Span { records, unsettled } = span;
        let Some(source) = self.sources.get_mut(&records.source) else { return };
        let open = source.open.remove(&records.key());
        if open.is_some_and(|open| !open.rewound) {
            source.reached = source.reached.max(records.end());
        }
        source.fill_each(&records.runs);
        for &left in unsettled {
            source.dig(left, left.saturating_add(1));
        }
        source.fill(0, progress);
        self.tidy(&records.source);
    }

    /// The transaction has ended with nothing committed.
    pub(crate) fn give_back(&mut self, records: &Records) {
        let Some(source) = self.sources.get_mut(&records.source) else { return };
        if source.open.remove(&records.key()).is_some() {
            source.dig_each(&records.runs);
        }
        self.tidy(&records.source);
    }

    /// The progress was set by name, from `before`: what lies before it is the caller's to answer for.
    pub(crate) fn set(&mut self, source: &str, progress: u64, before: u64) {
        let Some(entry) = self.sources.get_mut(source) else { return };
        entry.fill(0, progress);
        entry.reached = progress;
        if progress < before {
            // What is under way was presented before, and must not undo it.
            entry.open.values_mut().for_each(|open| open.rewound = true);
        }
        self.tidy(source);
    }

    fn tidy(&mut self, source: &str) {
        let idle = |entry: &Source| entry.open.is_empty() && entry.holes.is_empty();
        if self.sources.get(source).is_some_and(idle) {
            self.sources.remove(source);
        }
    }
}

impl Source {
    /// A transaction whose lease has ended holds nothing any more but what nobody presents again.
    fn give_back_ended(&mut self, now: Mono) {
        let mut ended = Vec::new();
        self.open.retain(|_, open| {
            let over = open.ticket.end_if_over(now);
            ended.extend(over.then(|| Arc::clone(&open.runs)));
            !over
        });
        ended.iter().for_each(|runs| self.dig_each(runs));
    }

    fn dig_each(&mut self, runs: &[(u64, u64)]) {
        runs.iter().for_each(|&(first, end)| self.dig(first, end));
    }

    fn fill_each(&mut self, runs: &[(u64, u64)]) {
        runs.iter().for_each(|&(first, end)| self.fill(first, end));
    }

    /// What lies between is unsettled.
    fn dig(&mut self, mut first: u64, mut end: u64) {
        if first >= end {
            return;
        }
        // Ranges stay apart: those that it touches become one with it.
        while let Some((&from, &to)) = self.holes.range(..=end).next_back()
            && to >= first
        {
            self.holes.remove(&from);
            (first, end) = (first.min(from), end.max(to));
        }
        self.holes.insert(first, end);
    }

    /// What lies between is no hole any more.
    fn fill(&mut self, first: u64, end: u64) {
        while let Some((&from, &to)) = self.holes.range(..end).next_back()
            && to > first
        {
            self.holes.remove(&from);
            if to > end {
                self.holes.insert(end, to);
            }
            if from < first {
                self.holes.insert(from, first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::LeaseEnd;

    const LEASE: Duration = Duration::from_secs(1);

    fn at(secs: u64) -> Mono {
        Mono::from_micros(secs * 1_000_000)
    }

    fn begin_at(positions: &mut Positions, at: &[u64], now: Mono) -> Records {
        let ticket = Ticket::new(1, now, Some(LEASE), LeaseEnd::Rerun);
        let ticket = crate::sync::Arc::new(ticket);
        positions.begin(&"s".into(), at, &ticket, now).unwrap()
    }

    fn begin(positions: &mut Positions, first: u64, end: u64) -> Records {
        begin_at(positions, &(first..end).collect::<Vec<_>>(), at(0))
    }

    /// The progress that a commit brings that leaves `unsettled`, to a source that stands at `progress`.
    fn leave(
        positions: &mut Positions,
        records: &Records,
        unsettled: &[u64],
        progress: u64,
    ) -> u64 {
        let span = Span { records, unsettled };
        let reached = positions.reach(span, progress);
        positions.commit(span, progress.max(reached));
        reached
    }

    fn commit(positions: &mut Positions, records: &Records) -> u64 {
        leave(positions, records, &[], 0)
    }

    #[test]
    fn progress_stops_before_what_is_open_and_goes_on_when_it_ends() {
        let mut positions = Positions::default();
        let a = begin(&mut positions, 0, 100);
        let b = begin(&mut positions, 100, 200);
        let c = begin(&mut positions, 200, 300);
        assert_eq!(commit(&mut positions, &b), 0);
        assert_eq!(commit(&mut positions, &a), 200);
        assert_eq!(commit(&mut positions, &c), 300);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn what_was_given_back_holds_progress_until_it_comes_again() {
        let mut positions = Positions::default();
        let a = begin(&mut positions, 0, 100);
        positions.give_back(&a);
        let b = begin(&mut positions, 100, 200);
        assert_eq!(commit(&mut positions, &b), 0);
        let c = begin(&mut positions, 0, 100);
        assert_eq!(leave(&mut positions, &c, &[40], 0), 40);
        let d = begin(&mut positions, 40, 100);
        assert_eq!(commit(&mut positions, &d), 200);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn progress_that_is_set_by_name_passes_what_was_given_back_before_it() {
        let mut positions = Positions::default();
        let a = begin(&mut positions, 0, 100);
        positions.give_back(&a);
        positions.set("s", 50, 0);
        let b = begin(&mut positions, 100, 200);
        assert_eq!(leave(&mut positions, &b, &[], 50), 50);
        positions.set("s", 100, 50);
        let c = begin(&mut positions, 200, 300);
        assert_eq!(leave(&mut positions, &c, &[], 100), 300);
    }

    #[test]
    fn what_was_presented_before_a_rewinding_does_not_undo_it() {
        let mut positions = Positions::default();
        let a = begin(&mut positions, 50, 60);
        let b = begin(&mut positions, 60, 70);
        positions.set("s", 10, 50);
        assert_eq!(leave(&mut positions, &a, &[], 10), 10);
        let again = begin(&mut positions, 10, 60);
        assert_eq!(leave(&mut positions, &b, &[], 10), 10);
        assert_eq!(leave(&mut positions, &again, &[], 10), 60);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn a_part_that_comes_again_leaves_the_rest_of_what_was_given_back() {
        let mut positions = Positions::default();
        let a = begin(&mut positions, 0, 100);
        let b = begin(&mut positions, 100, 200);
        positions.give_back(&a);
        assert_eq!(commit(&mut positions, &b), 0);
        let c = begin(&mut positions, 0, 10);
        assert_eq!(commit(&mut positions, &c), 10);
        let d = begin(&mut positions, 20, 100);
        assert_eq!(leave(&mut positions, &d, &[], 10), 10);
        let e = begin(&mut positions, 10, 20);
        assert_eq!(leave(&mut positions, &e, &[], 10), 200);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn of_batches_that_interleave_each_position_counts() {
        let mut positions = Positions::default();
        let even = begin_at(&mut positions, &[0, 2, 7], at(0));
        let odd = begin_at(&mut positions, &[1, 5], at(0));
        positions.give_back(&even);
        positions.give_back(&odd);
        let even = begin_at(&mut positions, &[0, 2, 7], at(0));
        assert_eq!(commit(&mut positions, &even), 1);
        // Where the source has gaps nothing is missed.
        let odd = begin_at(&mut positions, &[1, 5], at(0));
        assert_eq!(leave(&mut positions, &odd, &[], 1), 8);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn whoever_outlives_its_lease_holds_only_what_nobody_presents_again() {
        let mut positions = Positions::default();
        let hangs = begin(&mut positions, 0, 10);
        let next = begin_at(&mut positions, &[0, 1, 2], at(1));
        assert_eq!(commit(&mut positions, &next), 3);
        let rest = begin_at(&mut positions, &[3, 4, 5, 6, 7, 8, 9], at(1));
        assert_eq!(leave(&mut positions, &rest, &[], 3), 10);
        positions.give_back(&hangs);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn what_the_progress_has_passed_holds_it_no_more() {
        let mut positions = Positions::default();
        let late = begin(&mut positions, 0, 100);
        // Meanwhile somebody else has settled everything up to 50.
        assert_eq!(leave(&mut positions, &late, &[3, 60], 50), 60);
        let rest = begin(&mut positions, 60, 200);
        assert_eq!(leave(&mut positions, &rest, &[], 60), 200);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn what_one_leaves_unsettled_another_settles() {
        let mut positions = Positions::default();
        let holder = begin(&mut positions, 0, 10);
        let other = begin(&mut positions, 0, 10);
        let all: Vec<u64> = (0..10).collect();
        assert_eq!(leave(&mut positions, &other, &all, 0), 0);
        assert_eq!(commit(&mut positions, &holder), 10);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn the_last_position_there_is_is_no_range() {
        let mut positions = Positions::default();
        let last = begin_at(&mut positions, &[u64::MAX - 1, u64::MAX], at(0));
        assert_eq!(commit(&mut positions, &last), u64::MAX);
        let last = begin_at(&mut positions, &[u64::MAX], at(0));
        positions.give_back(&last);
        assert!(positions.sources.is_empty());
    }
}
