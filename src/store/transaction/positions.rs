//! How far the progress of a source may go: never past a record that is not settled.
//!
//! Transactions of one source may end in another order than they began, or not at all. The progress
//! that a commit records stops before the first record of any other that is still open, one that is
//! only prepared among them, and before the first one that was given back, until that one is presented
//! again. So whoever starts to read at the progress, after whatever crash, reads every record that was
//! not settled. It goes on to the end of what was committed out of turn once nothing before that is
//! open.
//!
//! That takes a source to be read in order: what lies before a record was presented before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The open transactions of every source.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    sources: HashMap<String, Source>,
}

#[derive(Debug, Default)]
struct Source {
    /// First position and fencing token of each open transaction. One that is prepared is open.
    open: BTreeSet<(u64, u64)>,
    /// What was given back or left unsettled, and not presented again: begin to end of each range.
    holes: BTreeMap<u64, u64>,
    /// The end of the farthest records that were committed.
    reached: u64,
}

/// The records of one transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span<'a> {
    pub(crate) source: &'a str,
    /// The position of the first record.
    pub(crate) first: u64,
    /// One past the last one's.
    pub(crate) end: u64,
    /// The positions of those that the commit leaves unsettled, ascending.
    pub(crate) unsettled: &'a [u64],
    /// The fencing token.
    pub(crate) token: u64,
}

impl Positions {
    /// A transaction presents records from `first` to `end`.
    pub(crate) fn begin(&mut self, source: &str, first: u64, end: u64, token: u64) {
        let source = self.sources.entry(source.to_owned()).or_default();
        source.open.insert((first, token));
        source.fill(first, end);
    }

    /// The progress up to which everything is settled once the transaction is committed; what lies
    /// below `progress` is.
    pub(crate) fn reach(&self, span: Span<'_>, progress: u64) -> u64 {
        let Some(source) = self.sources.get(span.source) else { return span.end };
        let open = source.open.iter().find(|&&(_, token)| token != span.token);
        let open = open.map(|&(first, _)| first);
        let hole = source.holes.iter().find(|&(_, &to)| to > progress);
        let hole = hole.map(|(&from, _)| from.max(progress));
        let left = span.unsettled.iter().copied().find(|&left| left >= progress);
        open.into_iter().chain(hole).chain(left).fold(source.reached.max(span.end), u64::min)
    }

    /// The transaction is committed, and `progress` with it.
    pub(crate) fn commit(&mut self, span: Span<'_>, progress: u64) {
        let Some(source) = self.sources.get_mut(span.source) else { return };
        source.reached = source.reached.max(span.end);
        for &left in span.unsettled {
            source.dig(left, left.saturating_add(1));
        }
        source.fill(0, progress);
        self.end(span.source, span.first, span.token);
    }

    /// The transaction has ended with nothing committed.
    pub(crate) fn give_back(&mut self, source: &str, first: u64, end: u64, token: u64) {
        self.sources.entry(source.to_owned()).or_default().dig(first, end);
        self.end(source, first, token);
    }

    fn end(&mut self, source: &str, first: u64, token: u64) {
        let Some(entry) = self.sources.get_mut(source) else { return };
        entry.open.remove(&(first, token));
        if entry.open.is_empty() && entry.holes.is_empty() {
            self.sources.remove(source);
        }
    }

    /// The progress was set by name: what lies before is the caller's to answer for.
    pub(crate) fn set(&mut self, source: &str, progress: u64) {
        if let Some(source) = self.sources.get_mut(source) {
            source.fill(0, progress);
            source.reached = progress;
        }
    }
}

impl Source {
    /// What lies between is unsettled.
    fn dig(&mut self, first: u64, end: u64) {
        let (mut first, mut end) = (first, end);
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
    use super::*;

    fn span(first: u64, end: u64, token: u64) -> Span<'static> {
        Span { source: "s", first, end, unsettled: &[], token }
    }

    /// The progress that a commit brings, to a source that stands at `progress`.
    fn commit_at(positions: &mut Positions, span: Span<'_>, progress: u64) -> u64 {
        let reached = positions.reach(span, progress);
        positions.commit(span, progress.max(reached));
        reached
    }

    fn commit(positions: &mut Positions, span: Span<'_>) -> u64 {
        commit_at(positions, span, 0)
    }

    #[test]
    fn progress_stops_before_what_is_open_and_goes_on_when_it_ends() {
        let mut positions = Positions::default();
        positions.begin("s", 0, 100, 1);
        positions.begin("s", 100, 200, 2);
        positions.begin("s", 200, 300, 3);
        assert_eq!(commit(&mut positions, span(100, 200, 2)), 0);
        assert_eq!(commit(&mut positions, span(0, 100, 1)), 200);
        assert_eq!(commit(&mut positions, span(200, 300, 3)), 300);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn what_was_given_back_holds_progress_until_it_comes_again() {
        let mut positions = Positions::default();
        positions.begin("s", 0, 100, 1);
        positions.give_back("s", 0, 100, 1);
        positions.begin("s", 100, 200, 2);
        assert_eq!(commit(&mut positions, span(100, 200, 2)), 0);
        positions.begin("s", 0, 100, 3);
        let unsettled = &[40][..];
        assert_eq!(commit(&mut positions, Span { unsettled, ..span(0, 100, 3) }), 40);
        positions.begin("s", 40, 100, 4);
        assert_eq!(commit(&mut positions, span(40, 100, 4)), 200);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn progress_that_is_set_by_name_passes_what_was_given_back_before_it() {
        let mut positions = Positions::default();
        positions.begin("s", 0, 100, 1);
        positions.give_back("s", 0, 100, 1);
        positions.set("s", 50);
        positions.begin("s", 100, 200, 2);
        assert_eq!(commit_at(&mut positions, span(100, 200, 2), 50), 50);
        positions.set("s", 100);
        positions.begin("s", 200, 300, 3);
        assert_eq!(commit_at(&mut positions, span(200, 300, 3), 100), 300);
    }

    #[test]
    fn a_part_that_comes_again_leaves_the_rest_of_what_was_given_back() {
        let mut positions = Positions::default();
        positions.begin("s", 0, 100, 1);
        positions.begin("s", 100, 200, 2);
        positions.give_back("s", 0, 100, 1);
        assert_eq!(commit(&mut positions, span(100, 200, 2)), 0);
        positions.begin("s", 0, 10, 3);
        assert_eq!(commit(&mut positions, span(0, 10, 3)), 10);
        positions.begin("s", 20, 100, 4);
        assert_eq!(commit_at(&mut positions, span(20, 100, 4), 10), 10);
        positions.begin("s", 10, 20, 5);
        assert_eq!(commit_at(&mut positions, span(10, 20, 5), 10), 200);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn what_the_progress_has_passed_holds_it_no_more() {
        let mut positions = Positions::default();
        positions.begin("s", 0, 100, 1);
        let unsettled = &[3, 60][..];
        // Meanwhile somebody else has settled everything up to 50.
        let late = Span { unsettled, ..span(0, 100, 1) };
        assert_eq!(commit_at(&mut positions, late, 50), 60);
        positions.begin("s", 60, 200, 2);
        assert_eq!(commit_at(&mut positions, span(60, 200, 2), 60), 200);
        assert!(positions.sources.is_empty());
    }
}
