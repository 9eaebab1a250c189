//! How far the progress of a source may go: never past a record that is not settled.
//!
//! Transactions of one source may end in another order than they began, or not at all. The progress
//! that a commit records stops before the first record of any other that is still open, and before
//! the first one that was given back, until that one is presented again. So whoever starts to read at
//! the progress, after whatever crash, reads every record that was not settled. It goes on to the end of
//! what was committed out of turn once nothing before that is open.
//!
//! That takes a source to be read in order: what lies before a record was presented before it.
//!
//! A transaction that is prepared stays open: it may still be given back.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The open transactions of every source.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    sources: HashMap<String, Source>,
}

#[derive(Debug, Default)]
struct Source {
    /// First position and fencing token of each open transaction.
    open: BTreeSet<(u64, u64)>,
    /// The lowest position that was given back and not presented again.
    hole: Option<u64>,
    /// The end of the farthest records that were committed.
    reached: u64,
}

/// The records of one transaction.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) source: Arc<str>,
    /// The position of the first record.
    pub(crate) first: u64,
    /// One past the last one's.
    pub(crate) end: u64,
    /// The position of the first one that the commit leaves unsettled.
    pub(crate) unsettled: Option<u64>,
    /// The fencing token.
    pub(crate) token: u64,
}

/// What a transaction does to sources once it is committed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moves {
    /// The records that it was made from.
    pub(crate) span: Option<Span>,
    /// Progress that is set by name.
    pub(crate) named: Vec<(String, u64)>,
}

impl Positions {
    /// A transaction presents records from `first` on.
    pub(crate) fn begin(&mut self, source: &str, first: u64, token: u64) {
        let source = self.sources.entry(source.to_owned()).or_default();
        source.open.insert((first, token));
        source.hole = source.hole.filter(|&hole| hole < first);
    }

    /// The progress up to which everything is settled once the transaction is committed. `progress` is
    /// what is committed so far.
    pub(crate) fn reach(&mut self, span: &Span, progress: u64) -> u64 {
        let Some(source) = self.sources.get_mut(&*span.source) else { return span.end };
        // What was in flight when it was presented may have been committed since by its holder.
        source.hole = source.hole.filter(|&hole| hole >= progress);
        let reached = source.reached.max(span.end);
        let open = source.open.iter().find(|&&(_, token)| token != span.token);
        let open = open.map(|&(first, _)| first);
        open.into_iter().chain(source.hole).chain(span.unsettled).fold(reached, u64::min)
    }

    /// The transaction is committed.
    pub(crate) fn commit(&mut self, moves: &Moves) {
        if let Some(span) = &moves.span {
            if let Some(source) = self.sources.get_mut(&*span.source) {
                source.reached = source.reached.max(span.end);
            }
            self.end(&span.source, span.first, span.token, span.unsettled);
        }
        moves.named.iter().for_each(|(source, progress)| self.set(source, *progress));
    }

    /// The transaction has ended with nothing committed.
    pub(crate) fn give_back(&mut self, source: &str, first: u64, token: u64) {
        self.sources.entry(source.to_owned()).or_default();
        self.end(source, first, token, Some(first));
    }

    fn end(&mut self, source: &str, first: u64, token: u64, unsettled: Option<u64>) {
        let Some(entry) = self.sources.get_mut(source) else { return };
        entry.open.remove(&(first, token));
        entry.hole = entry.hole.into_iter().chain(unsettled).min();
        if entry.open.is_empty() && entry.hole.is_none() {
            self.sources.remove(source);
        }
    }

    /// The progress was set by name: what lies before is the caller's to answer for.
    fn set(&mut self, source: &str, progress: u64) {
        if let Some(source) = self.sources.get_mut(source) {
            source.hole = source.hole.filter(|&hole| hole >= progress);
            source.reached = progress;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: u64, end: u64, token: u64) -> Span {
        Span { source: "s".into(), first, end, unsettled: None, token }
    }

    /// The progress that a commit brings.
    fn commit(positions: &mut Positions, span: Span) -> u64 {
        let reached = positions.reach(&span, 0);
        positions.commit(&Moves { span: Some(span), named: Vec::new() });
        reached
    }

    #[test]
    fn progress_stops_before_what_is_open_and_goes_on_when_it_ends() {
        let mut positions = Positions::default();
        positions.begin("s", 0, 1);
        positions.begin("s", 100, 2);
        positions.begin("s", 200, 3);
        assert_eq!(commit(&mut positions, span(100, 200, 2)), 0);
        assert_eq!(commit(&mut positions, span(0, 100, 1)), 200);
        assert_eq!(commit(&mut positions, span(200, 300, 3)), 300);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn what_was_given_back_holds_progress_until_it_comes_again() {
        let mut positions = Positions::default();
        positions.begin("s", 0, 1);
        positions.give_back("s", 0, 1);
        positions.begin("s", 100, 2);
        assert_eq!(commit(&mut positions, span(100, 200, 2)), 0);
        positions.begin("s", 0, 3);
        let unsettled = Some(40);
        assert_eq!(commit(&mut positions, Span { unsettled, ..span(0, 100, 3) }), 40);
        positions.begin("s", 40, 4);
        assert_eq!(commit(&mut positions, span(40, 100, 4)), 200);
        assert!(positions.sources.is_empty());
    }

    #[test]
    fn progress_that_is_set_by_name_passes_what_was_given_back() {
        let mut positions = Positions::default();
        positions.begin("s", 0, 1);
        positions.give_back("s", 0, 1);
        positions.commit(&Moves { span: None, named: vec![("s".into(), 50)] });
        positions.begin("s", 100, 2);
        assert_eq!(commit(&mut positions, span(100, 200, 2)), 200);
    }
    #[test]
    fn what_was_settled_by_its_holder_holds_nothing() {
        let mut positions = Positions::default();
        positions.begin("s", 10, 1);
        positions.commit(&Moves {
            span: Some(Span { unsettled: Some(10), ..span(10, 20, 1) }),
            named: Vec::new(),
        });
        positions.begin("s", 20, 2);
        assert_eq!(positions.reach(&span(20, 30, 2), 10), 10);
        assert_eq!(positions.reach(&span(20, 30, 2), 20), 30);
    }
}
