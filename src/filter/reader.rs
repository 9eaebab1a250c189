//! Reading the window filter, a batch at a time.
//!
//! The promise: "absent" is certain for the ids of every generation that was sealed into the filter
//! before the caller pinned the tables that it looks into. A view may be kept as long as a batch
//! lasts: what it took for complete stays complete, and what was not yet is a "maybe".

use super::{
    block::{self, Block},
    place::Place,
};
use crate::key::Fingerprint;
use crate::mem::prefetch;

/// How many ids ahead a batch asks for cache lines. Measured: from 48 to 256 is much the same.
const AHEAD: usize = 64;

/// A view of a [`WindowFilter`](super::WindowFilter) for one batch.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    blocks: &'a [Block],
    /// Blocks from here on are not complete: "maybe".
    ready: u64,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(blocks: &'a [Block], ready: u64) -> Reader<'a> {
        Reader { blocks, ready }
    }

    /// Asks for the cache line of `fp`, some tens of ids before [`Reader::may_contain`] needs it.
    #[inline]
    pub fn prefetch(&self, fp: Fingerprint) {
        prefetch::read(&self.blocks[self.block_of(fp) as usize]);
    }

    /// Whether a sealed generation may hold `fp`. False is certain, provided the caller had pinned
    /// the tables that it looks into before it took this view; true proves nothing.
    #[inline]
    #[must_use]
    pub fn may_contain(&self, fp: Fingerprint) -> bool {
        let block = self.block_of(fp);
        block >= self.ready || block::holds(&self.blocks[block as usize], fp.lo)
    }

    /// [`Reader::may_contain`] for each id of a batch, in order, with the lines asked for ahead:
    /// a rolling distance keeps them coming, where group after group lets them run dry.
    #[inline]
    pub fn may_contain_each(&self, batch: &[Fingerprint], mut each: impl FnMut(usize, bool)) {
        let (first, later) = batch.split_at(batch.len().min(AHEAD));
        for &fp in first {
            self.prefetch(fp);
        }
        for (i, (&fp, &ahead)) in batch.iter().zip(later).enumerate() {
            self.prefetch(ahead);
            each(i, self.may_contain(fp));
        }
        for (i, &fp) in batch.iter().enumerate().skip(later.len()) {
            each(i, self.may_contain(fp));
        }
    }

    #[inline]
    fn block_of(&self, fp: Fingerprint) -> u64 {
        Place::new(self.blocks.len() as u64).block_of(fp.hi)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::super::{WindowFilter, testing::fingerprints};

    proptest! {
        #[test]
        fn a_batch_is_each_of_its_ids(len in 0..300_usize, seed: u64) {
            let ids: Vec<_> = fingerprints(seed).take(2 * len).collect();
            let filter = WindowFilter::new(10).unwrap();
            filter.set_ready(9);
            ids[..len].iter().for_each(|&fp| filter.add(fp));
            let mut seen = Vec::new();
            filter.reader().may_contain_each(&ids, |i, maybe| seen.push((i, maybe)));
            let each = ids.iter().map(|&fp| filter.may_contain(fp)).enumerate();
            prop_assert_eq!(seen, each.collect::<Vec<_>>());
        }
    }
}
