//! Several sorted sources as one.
//!
//! A tree of losers: each inner node keeps the source that lost there, the winner of all stands at
//! the top. Taking a record replays one path from leaf to root, log2(sources) comparisons. One
//! fingerprint in several sources comes out once, with its smallest tick: the id was first seen then.

use super::Record;
use crate::error::Result;
use crate::key::Fingerprint;

/// A source of records in strictly ascending order.
pub(crate) trait Sorted {
    /// The next record; `None` at the end, and ever after, also after an error.
    fn next_record(&mut self) -> Result<Option<Record>>;
}

/// The head of a source, as it plays. An exhausted source loses to every other.
#[derive(Debug, Clone, Copy)]
struct Player {
    fingerprint: u128,
    /// The index of the source; [`EXHAUSTED`] more once it has ended.
    source: u32,
    tick: u8,
}

const EXHAUSTED: u32 = 1 << 31;

impl Player {
    #[inline]
    fn beats(&self, other: &Player) -> bool {
        (self.fingerprint, self.source) < (other.fingerprint, other.source)
    }
}

/// All records of several sources, ascending, each fingerprint once. Ends after the first error.
#[derive(Debug)]
pub(crate) struct Merge<S> {
    sources: Vec<S>,
    /// `losers[0]` is the winner of all; the children of node `n` are `2n` and `2n + 1`, and the leaf
    /// of source `s` is node `s + sources.len()`.
    losers: Vec<Player>,
}

impl<S: Sorted> Merge<S> {
    /// Takes the first record of each source.
    pub(crate) fn new(mut sources: Vec<S>) -> Result<Merge<S>> {
        let count = sources.len();
        assert!(count < EXHAUSTED as usize, "more sources than files can be open");
        let mut winners = Vec::with_capacity(2 * count);
        let nobody = Player { fingerprint: u128::MAX, source: EXHAUSTED, tick: 0 };
        winners.resize(count, nobody);
        for (index, source) in sources.iter_mut().enumerate() {
            winners.push(head(source, index as u32)?);
        }
        let mut losers = vec![nobody; count.max(1)];
        for node in (1..count).rev() {
            let (left, right) = (winners[2 * node], winners[2 * node + 1]);
            (winners[node], losers[node]) =
                if right.beats(&left) { (right, left) } else { (left, right) };
        }
        losers[0] = winners.get(1).copied().unwrap_or(nobody);
        Ok(Merge { sources, losers })
    }

    /// Takes the winner's next record, and finds the new winner.
    #[inline]
    fn replay(&mut self) -> Result<()> {
        let source = self.losers[0].source;
        let mut player = head(&mut self.sources[source as usize], source)?;
        let mut node = (source as usize + self.sources.len()) / 2;
        while node > 0 {
            let other = self.losers[node];
            let lost = other.beats(&player);
            self.losers[node] = if lost { player } else { other };
            player = if lost { other } else { player };
            node /= 2;
        }
        self.losers[0] = player;
        Ok(())
    }

    fn end(&mut self) {
        self.losers[0].source = EXHAUSTED;
    }
}

impl<S: Sorted> Sorted for Merge<S> {
    #[inline]
    fn next_record(&mut self) -> Result<Option<Record>> {
        let Player { fingerprint, source, mut tick } = self.losers[0];
        if source >= EXHAUSTED {
            return Ok(None);
        }
        loop {
            if let Err(error) = self.replay() {
                self.end();
                return Err(error);
            }
            let next = self.losers[0];
            if next.fingerprint != fingerprint || next.source >= EXHAUSTED {
                return Ok(Some((Fingerprint::from_u128(fingerprint), tick)));
            }
            tick = tick.min(next.tick);
        }
    }
}

impl<S: Sorted> Iterator for Merge<S> {
    type Item = Result<Record>;

    #[inline]
    fn next(&mut self) -> Option<Result<Record>> {
        self.next_record().transpose()
    }
}

#[inline]
fn head(from: &mut impl Sorted, source: u32) -> Result<Player> {
    Ok(match from.next_record()? {
        Some((fingerprint, tick)) => Player { fingerprint: fingerprint.as_u128(), source, tick },
        None => Player { fingerprint: u128::MAX, source: source | EXHAUSTED, tick: 0 },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    struct Given(std::vec::IntoIter<Result<Record>>);

    impl Sorted for Given {
        fn next_record(&mut self) -> Result<Option<Record>> {
            self.0.next().transpose()
        }
    }

    fn given(records: impl IntoIterator<Item = (u128, u8)>) -> Given {
        let record = |(bits, tick)| Ok((Fingerprint::from_u128(bits), tick));
        Given(records.into_iter().map(record).collect::<Vec<_>>().into_iter())
    }

    #[test]
    fn nothing_merges_to_nothing() {
        assert_eq!(Merge::<Given>::new(Vec::new()).unwrap().count(), 0);
        assert_eq!(Merge::new(vec![given([]), given([])]).unwrap().count(), 0);
    }

    #[test]
    fn the_error_of_a_source_ends_the_merge() {
        let broken =
            Given(vec![Ok((Fingerprint::from_u128(1), 0)), Err(Error::Closed)].into_iter());
        let mut merge = Merge::new(vec![broken, given([(5, 0)])]).unwrap();
        assert!(merge.next().unwrap().is_err());
        assert!(merge.next().is_none());
    }

    proptest! {
        #[test]
        fn merging_agrees_with_one_map(
            sources in prop::collection::vec(
                prop::collection::btree_map(
                    prop_oneof![0..40_u128, Just(u128::MAX), any::<u128>()],
                    any::<u8>(),
                    0..30,
                ),
                0..9,
            ),
        ) {
            let mut expected = BTreeMap::new();
            for (&bits, &tick) in sources.iter().flatten() {
                expected.entry(bits).and_modify(|t: &mut u8| *t = tick.min(*t)).or_insert(tick);
            }
            let merge = Merge::new(sources.into_iter().map(given).collect()).unwrap();
            let merged: Vec<_> = merge.map(|r| r.map(|(f, t)| (f.as_u128(), t)).unwrap()).collect();
            prop_assert_eq!(merged, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
