//! Several sorted sources as one.
//!
//! Records are merged in rounds. Of each source some are in memory; the least of their last ones is the
//! *bound* of the round: all that is not above it is in memory, so every record that any source has of such
//! a fingerprint. These are merged two lists at a time, in a tree: `log2(sources)` comparisons a record, and
//! no branch on which of two is the lesser, for that is what no processor foretells. One fingerprint in
//! several sources comes out once, with its smallest tick: the id was first seen then.
//!
//! A round uses up what some source has in memory, and costs each of the others a binary search. So there
//! are no more rounds than chunks, whatever the spread of the fingerprints.
//!
//! Memory: of each source fewer than [`HELD_MIN`] records and a chunk, and as many twice on their way out.
//! Of runs, whose chunks are pages, that is 45 KiB a source.

use std::hint::select_unpredictable;

use super::{Record, Records};
use crate::error::Result;
use crate::key::Fingerprint;

/// How many records of a source that goes on are in memory at the start of a round, at least: so many that
/// what a round costs beside its records does not count.
const HELD_MIN: usize = 256;

/// All records of several sources, ascending, each fingerprint once. Ends after the first error.
#[derive(Debug)]
pub(crate) struct Merge<S> {
    sources: Vec<Held<S>>,
    spare: Vec<Record>,
}

impl<S: Records> Merge<S> {
    pub(crate) fn new(sources: Vec<S>) -> Merge<S> {
        let held = |source| Held { source, records: Vec::new(), at: 0, ended: false };
        Merge { sources: sources.into_iter().map(held).collect(), spare: Vec::new() }
    }
}

impl<S: Records> Records for Merge<S> {
    fn next_chunk(&mut self, out: &mut Vec<Record>) -> Result<()> {
        if let Err(error) = self.sources.iter_mut().try_for_each(Held::fill) {
            self.sources.clear();
            return Err(error);
        }
        let bound = self.sources.iter().filter_map(Held::bound).min();
        let lists = self.sources.iter_mut().map(|source| source.take(bound));
        let lists: Vec<_> = lists.filter(|list| !list.is_empty()).collect();
        merge(&lists, out, &mut self.spare);
        Ok(())
    }
}

/// A source, and those of its records that are in memory.
#[derive(Debug)]
struct Held<S> {
    source: S,
    records: Vec<Record>,
    /// Those before have been taken.
    at: usize,
    /// Whether the source has no more than those.
    ended: bool,
}

impl<S: Records> Held<S> {
    fn fill(&mut self) -> Result<()> {
        if self.ended || self.records.len() - self.at >= HELD_MIN {
            return Ok(());
        }
        self.records.drain(..self.at);
        self.at = 0;
        while self.records.len() < HELD_MIN && !self.ended {
            let before = self.records.len();
            self.source.next_chunk(&mut self.records)?;
            self.ended = self.records.len() == before;
        }
        Ok(())
    }

    /// The fingerprint up to which all of its records are in memory; `None` if all are.
    fn bound(&self) -> Option<Fingerprint> {
        self.records.last().map(|&(id, _)| id).filter(|_| !self.ended)
    }

    /// Takes the records that are not above `bound`.
    fn take(&mut self, bound: Option<Fingerprint>) -> &[Record] {
        let rest = &self.records[self.at..];
        let within = bound.map_or(rest.len(), |bound| rest.partition_point(|&(id, _)| id <= bound));
        self.at += within;
        &rest[..within]
    }
}

/// Appends the records of all `lists` to `out`. What `spare` has behind its end is lost, what it has is kept.
fn merge(lists: &[&[Record]], out: &mut Vec<Record>, spare: &mut Vec<Record>) {
    match lists {
        [] => {}
        [list] => out.extend_from_slice(list),
        [a, b] => merge_two(a, b, out),
        _ => {
            let (left, right) = lists.split_at(lists.len() / 2);
            let begin = spare.len();
            merge(left, spare, out);
            let middle = spare.len();
            merge(right, spare, out);
            merge_two(&spare[begin..middle], &spare[middle..], out);
            spare.truncate(begin);
        }
    }
}

/// Appends the records of two lists to `out`.
fn merge_two(mut a: &[Record], mut b: &[Record], out: &mut Vec<Record>) {
    while !a.is_empty() && !b.is_empty() {
        // So many can be taken without asking whether one of the lists has ended.
        let sure = a.len().min(b.len());
        let (mut i, mut j) = (0, 0);
        out.extend((0..sure).map(|_| {
            let (x, y) = (&a[i], &b[j]);
            let (is_x, from_a, from_b) = match x.0.hi == y.0.hi {
                false => (x.0.hi < y.0.hi, x.0.hi < y.0.hi, x.0.hi > y.0.hi),
                true => next_of_tie(x, y),
            };
            i += usize::from(from_a);
            j += usize::from(from_b);
            *select_unpredictable(is_x, x, y)
        }));
        (a, b) = (&a[i..], &b[j..]);
    }
    out.extend_from_slice(a);
    out.extend_from_slice(b);
}

/// Where the top 64 bits are the same: whether `x` is next, and of which of the lists a record is done with. Of one
/// fingerprint in both the smaller tick is.
#[cold]
fn next_of_tie(x: &Record, y: &Record) -> (bool, bool, bool) {
    (x <= y, x.0 <= y.0, y.0 <= x.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, VecDeque};

    /// What comes chunk by chunk.
    struct Given(VecDeque<Result<Vec<Record>>>);

    impl Records for Given {
        fn next_chunk(&mut self, out: &mut Vec<Record>) -> Result<()> {
            self.0.pop_front().transpose().map(|chunk| out.extend(chunk.unwrap_or_default()))
        }
    }

    fn record((bits, tick): (u128, u8)) -> Record {
        (Fingerprint::from_u128(bits), tick)
    }

    fn given(records: impl IntoIterator<Item = (u128, u8)>, chunk: usize) -> Given {
        let records: Vec<_> = records.into_iter().map(record).collect();
        Given(records.chunks(chunk).map(|chunk| Ok(chunk.to_vec())).collect())
    }

    fn merged(sources: Vec<Given>) -> Vec<Record> {
        let (records, read) = Merge::new(sources).read_all();
        read.unwrap();
        records
    }

    #[test]
    fn nothing_merges_to_nothing() {
        assert_eq!(merged(Vec::new()), []);
        assert_eq!(merged(vec![given([], 1), given([], 1)]), []);
    }

    #[test]
    fn the_error_of_a_source_ends_the_merge() {
        for before in [0, 1, 1_000] {
            let first = (0..before).map(|n| (n, 0));
            let mut broken = given(first, HELD_MIN);
            broken.0.extend([Err(Error::Closed), Ok(vec![record((5_000, 0))])]);
            let mut merge = Merge::new(vec![broken, given((0..5_000).map(|n| (n, 0)), 100)]);
            let mut out = Vec::new();
            while merge.next_chunk(&mut out).is_ok() {
                assert!(!out.is_empty());
            }
            let read = out.len() as u128;
            assert!(read <= before && out.into_iter().eq((0..read).map(|n| record((n, 0)))));
            let mut out = Vec::new();
            merge.next_chunk(&mut out).unwrap();
            assert_eq!(out, []);
        }
    }

    /// Chunks of one source lie between two records of the other.
    #[test]
    fn sources_that_take_turns_come_out_in_order() {
        let part =
            |odd: u128| (0..20_000).filter(move |n| n / 1_500 % 2 == odd).map(|n| (n << 50, 1));
        let merged = merged(vec![given(part(0), 280), given([], 1), given(part(1), 280)]);
        assert!(merged.into_iter().eq((0..20_000).map(|n| record((n << 50, 1)))));
    }

    proptest! {
        #[test]
        fn merging_agrees_with_one_map(
            sources in prop::collection::vec(
                (
                    prop::collection::btree_map(
                        prop_oneof![
                            0..40_u128,
                            Just(u128::MAX),
                            any::<u128>(),
                            any::<u16>().prop_map(|n| u128::from(n) << 60),
                        ],
                        any::<u8>(),
                        0..900,
                    ),
                    1..400_usize,
                ),
                0..9,
            ),
        ) {
            let mut expected = BTreeMap::new();
            for (&bits, &tick) in sources.iter().flat_map(|(records, _)| records) {
                expected.entry(bits).and_modify(|t: &mut u8| *t = tick.min(*t)).or_insert(tick);
            }
            let sources = sources.into_iter().map(|(records, chunk)| given(records, chunk));
            let merged = merged(sources.collect());
            prop_assert!(merged.into_iter().eq(expected.into_iter().map(record)));
        }
    }
}
