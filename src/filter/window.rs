//! The window filter: one Bloom filter for all sealed generations.
//!
//! # The promise, and why it holds
//!
//! A reader never gets "absent" for a live id of a sealed generation:
//!
//! 1. *While it is built.* `ready` counts the blocks, from block 0 up, that hold every id that they
//!    should; a block at or above it answers "maybe". The writer completes blocks, then raises
//!    `ready` (Release); a reader loads it once a batch (Acquire) and so sees those blocks complete.
//! 2. *When a run is added.* The bits are relaxed stores. The caller publishes the sealed generation
//!    afterwards, with a Release of its own (the switch that takes the index away), and a reader
//!    **first** loads, with Acquire, which tables it will look into and **then** asks the filter. So
//!    whoever no longer finds the id in the index finds its bits here. The other order is a bug:
//!    filter, switch, index would miss the id in both.
//! 3. *While it is swept.* [`WindowFilter::rewrite`] replaces words under the readers. A racing reader sees each
//!    word old or new, in any mixture. The old word has the bit of every id added before; the new
//!    one was computed from all live runs, so has the bit of every *live* id. A live id's bit is
//!    thus set in each word whichever of the two is read, and no word is ever cleared in between.
//! 4. *One writer.* `add`, `rewrite` and `set_ready` load, change and store without a
//!    read-modify-write: two writers at once could lose a bit, which is a false "absent". The caller
//!    has one background thread, or a lock, for all three.

use std::{
    io,
    ops::{Range, RangeInclusive},
};

use super::{
    block::{self, Block, Image, WORDS},
    place::Place,
    range::RangeBuilder,
    reader::Reader,
};
use crate::key::Fingerprint;
use crate::mem::Words;
use crate::sync::{AtomicU64, Ordering};

/// One Bloom filter for all sealed generations; any number of readers, one writer at a time.
#[derive(Debug)]
pub struct WindowFilter {
    words: Words,
    place: Place,
    /// Blocks `0..ready` are complete. Only rises. Release in `set_ready`, Acquire in `reader`.
    ready: AtomicU64,
}

impl WindowFilter {
    /// An empty filter of `blocks` blocks, of which none is ready: it answers "maybe" to everything
    /// until [`WindowFilter::set_ready`].
    ///
    /// # Errors
    ///
    /// When the memory is not to be had.
    ///
    /// # Panics
    ///
    /// When `blocks` is 0.
    pub fn new(blocks: u64) -> io::Result<WindowFilter> {
        let place = Place::new(blocks);
        let words = usize::try_from(blocks)
            .ok()
            .and_then(|blocks| blocks.checked_mul(WORDS))
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(WindowFilter { words: Words::zeroed(words)?, place, ready: AtomicU64::new(0) })
    }

    /// The number of blocks.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.place.blocks()
    }

    /// The smallest top half `hi` of a fingerprint that belongs to `block`.
    ///
    /// # Panics
    ///
    /// When there is no such block.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn first_hi_of(&self, block: u64) -> u64 {
        self.place.first_hi_of(block)
    }

    /// Every `hi` that belongs to a range of blocks.
    ///
    /// # Panics
    ///
    /// When the range is empty or reaches beyond the last block.
    #[must_use]
    pub fn hi_range(&self, range: Range<u64>) -> RangeInclusive<u64> {
        self.place.hi_range(range)
    }

    /// A view for one batch: what is ready is looked up once.
    #[inline]
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        // Acquire: with the Release of `set_ready`.
        let ready = self.ready.load(Ordering::Acquire);
        Reader::new(self.lines(), ready)
    }

    /// Asks for the cache line of `fp`. See [`Reader::prefetch`] for batches.
    #[inline]
    #[cfg(any(test, feature = "testing"))]
    pub fn prefetch(&self, fp: Fingerprint) {
        self.reader().prefetch(fp);
    }

    /// Whether a sealed generation may hold `fp`. See [`Reader::may_contain`] for batches.
    #[inline]
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn may_contain(&self, fp: Fingerprint) -> bool {
        self.reader().may_contain(fp)
    }

    /// Adds an id. Ascending ids meet ascending lines.
    ///
    /// The single writer only. A reader sees the bits once it has synchronised with something that
    /// the writer released afterwards.
    #[inline]
    pub fn add(&self, fp: Fingerprint) {
        let at = self.place.block_of(fp.hi);
        block::add(&self.lines()[at as usize], fp.lo);
    }

    /// A builder of images for this filter's blocks.
    #[must_use]
    pub fn range_builder(&self) -> RangeBuilder {
        RangeBuilder::new(self.place)
    }

    /// Replaces the blocks from `from_block` on by `images`.
    ///
    /// The single writer only. The images must hold every live id of these blocks that was ever
    /// added or whose generation is sealed; whatever else the blocks held is forgotten.
    ///
    /// # Panics
    ///
    /// When the images reach beyond the last block; nothing is changed then.
    pub fn rewrite(&self, from_block: u64, images: &[Image]) {
        let from = usize::try_from(from_block).expect("a block of this filter");
        let blocks = &self.lines()[from..][..images.len()];
        for (block, image) in blocks.iter().zip(images) {
            block::replace(block, image);
        }
    }

    /// How many blocks are complete, from block 0 up.
    #[must_use]
    pub fn ready(&self) -> u64 {
        // Acquire: with the Release of `set_ready`.
        self.ready.load(Ordering::Acquire)
    }

    /// Declares blocks `0..ready` complete: they hold every live id that belongs to them.
    ///
    /// The single writer only.
    ///
    /// # Panics
    ///
    /// When `ready` is more than all blocks, or less than before: a batch under way would go on to
    /// trust the blocks that became incomplete.
    pub fn set_ready(&self, ready: u64) {
        let before = self.ready.load(Ordering::Relaxed);
        assert!(
            (before..=self.blocks()).contains(&ready),
            "{ready} blocks ready, after {before} of {}",
            self.blocks()
        );
        // Release: with the Acquire of `reader`, which then sees these blocks' bits.
        self.ready.store(ready, Ordering::Release);
    }

    #[inline]
    fn lines(&self) -> &[Block] {
        self.words.as_chunks::<WORDS>().0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use proptest::prelude::*;

    use super::{super::testing::fingerprints, *};

    fn filled(blocks: u64, ids: &[Fingerprint]) -> WindowFilter {
        let filter = WindowFilter::new(blocks).unwrap();
        filter.set_ready(blocks);
        ids.iter().for_each(|&fp| filter.add(fp));
        filter
    }

    proptest! {
        #[test]
        fn never_absent_when_added(blocks in 1..2000_u64, ids: Vec<u128>) {
            let ids: Vec<_> = ids.into_iter().map(Fingerprint::from_u128).collect();
            let filter = filled(blocks, &ids);
            prop_assert!(ids.iter().all(|&fp| filter.may_contain(fp)));
        }

        #[test]
        fn a_rewrite_is_a_filter_of_the_same_ids(blocks in 1..200_u64, step in 1..50_u64, seed: u64) {
            let ids: Vec<_> = fingerprints(seed).take(500).collect();
            let (expired, live) = ids.split_at(100);
            let filter = filled(blocks, expired);
            let mut builder = filter.range_builder();
            for from in (0..blocks).step_by(step as usize) {
                let range = from..(from + step).min(blocks);
                let his = filter.hi_range(range.clone());
                builder.start(range);
                live.iter().filter(|fp| his.contains(&fp.hi)).for_each(|&fp| builder.add(fp));
                filter.rewrite(builder.from_block(), builder.images());
            }
            let added = filled(blocks, live);
            for (swept, added) in filter.words.iter().zip(&*added.words) {
                prop_assert_eq!(swept.load(Ordering::Relaxed), added.load(Ordering::Relaxed));
            }
        }
    }

    #[test]
    fn what_is_not_ready_may_hold_anything() {
        let filter = WindowFilter::new(1000).unwrap();
        let of = |block| Fingerprint { hi: filter.first_hi_of(block), lo: 0 };
        assert!(filter.may_contain(of(0)));
        filter.set_ready(600);
        let before = filter.reader();
        assert_eq!([of(0), of(599)].map(|fp| filter.may_contain(fp)), [false; 2]);
        assert_eq!([of(600), of(999)].map(|fp| filter.may_contain(fp)), [true; 2]);
        filter.set_ready(1000);
        assert!(!filter.may_contain(of(999)));
        assert!(before.may_contain(of(999)), "a view keeps what it knew");
    }

    #[test]
    #[should_panic(expected = "599 blocks ready, after 600 of 1000")]
    fn ready_never_falls() {
        let filter = WindowFilter::new(1000).unwrap();
        filter.set_ready(600);
        filter.set_ready(599);
    }

    #[test]
    #[should_panic(expected = "2 blocks ready, after 0 of 1")]
    fn no_more_ready_than_there_are() {
        WindowFilter::new(1).unwrap().set_ready(2);
    }

    /// Sweeps expired ids out, over and over, while readers ask for the live ones.
    #[test]
    fn a_sweep_never_hides_a_live_id() {
        let ids: Vec<_> = fingerprints(3).take(4000).collect();
        let (live, expired) = ids.split_at(2000);
        let filter = filled(101, &ids);
        let end = Instant::now() + Duration::from_millis(300);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while Instant::now() < end {
                        let reader = filter.reader();
                        assert!(live.iter().all(|&fp| reader.may_contain(fp)));
                    }
                });
            }
            let mut builder = filter.range_builder();
            builder.start(0..filter.blocks());
            live.iter().for_each(|&fp| builder.add(fp));
            while Instant::now() < end {
                filter.rewrite(0, builder.images());
                let left = expired.iter().filter(|&&fp| filter.may_contain(fp)).count();
                assert!(left < expired.len() / 2, "{left} expired ids are still in");
                expired.iter().for_each(|&fp| filter.add(fp));
            }
        });
    }
}
