//! Which block belongs to a fingerprint, and which fingerprints belong to a block.
//!
//! The block of a fingerprint is `hi * blocks / 2^64`, in 128 bits: uniform for any number of
//! blocks, without a division, right beyond 2^32 blocks, and *monotone*. So ascending fingerprints
//! meet ascending blocks, and the ids of a range of blocks are one slice of every sorted run.
//! The promise to the filter: the mapping is total and never changes, so that an id is looked for
//! where it was put.

use std::ops::{Range, RangeInclusive};

/// The mapping for one number of blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// At least one.
    blocks: u64,
}

impl Place {
    /// The mapping on `blocks` blocks.
    ///
    /// # Panics
    ///
    /// When `blocks` is 0.
    pub(super) fn new(blocks: u64) -> Place {
        assert!(blocks > 0, "a filter has at least one block");
        Place { blocks }
    }

    /// The number of blocks.
    #[inline]
    pub(super) fn blocks(self) -> u64 {
        self.blocks
    }

    /// The block of a fingerprint with these top bits; below `blocks()`.
    #[inline]
    pub(super) fn block_of(self, hi: u64) -> u64 {
        ((u128::from(hi) * u128::from(self.blocks)) >> 64) as u64
    }

    /// The smallest `hi` of block `block`: `ceil(block * 2^64 / blocks)`.
    ///
    /// # Panics
    ///
    /// When there is no such block.
    pub(super) fn first_hi_of(self, block: u64) -> u64 {
        assert!(block < self.blocks, "block {block} of {}", self.blocks);
        (u128::from(block) << 64).div_ceil(u128::from(self.blocks)) as u64
    }

    /// Every `hi` of a range of blocks, which must not be empty. Inclusive, because the last block
    /// ends at `u64::MAX`.
    ///
    /// # Panics
    ///
    /// When the range is empty or reaches beyond the last block.
    pub(super) fn hi_range(self, range: Range<u64>) -> RangeInclusive<u64> {
        assert!(
            range.start < range.end && range.end <= self.blocks,
            "blocks {range:?} of {}",
            self.blocks
        );
        let last = match range.end {
            end if end == self.blocks => u64::MAX,
            end => self.first_hi_of(end) - 1,
        };
        self.first_hi_of(range.start)..=last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first `hi` of a block is in it, the one before is in the block before.
    fn assert_boundary(place: Place, block: u64) {
        let first = place.first_hi_of(block);
        assert_eq!(place.block_of(first), block, "{place:?}");
        match block {
            0 => assert_eq!(first, 0),
            _ => assert_eq!(place.block_of(first - 1), block - 1, "{place:?}"),
        }
        let of_block = place.hi_range(block..block + 1);
        assert_eq!(*of_block.start(), first);
        assert_eq!(place.block_of(*of_block.end()), block);
    }

    #[test]
    fn boundaries_are_exact() {
        let sizes = [1, 2, 3, 7, 1000, (1 << 20) + 1, 1 << 32, 1 << 33];
        for blocks in sizes.into_iter().chain([(1 << 33) + 12_345, u64::MAX]) {
            let place = Place::new(blocks);
            for block in [0, 1, 2, blocks / 3, blocks / 2, blocks - 1] {
                if block < blocks {
                    assert_boundary(place, block);
                }
            }
            assert_eq!(place.block_of(u64::MAX), blocks - 1);
            assert_eq!(place.hi_range(0..blocks), 0..=u64::MAX);
        }
    }

    #[test]
    #[should_panic(expected = "block 3 of 3")]
    fn no_block_behind_the_last() {
        Place::new(3).first_hi_of(3);
    }

    #[test]
    #[should_panic(expected = "blocks 2..4 of 3")]
    fn no_range_behind_the_last() {
        Place::new(3).hi_range(2..4);
    }

    proptest! {
        #[test]
        fn any_boundary_is_exact(blocks in 1..=u64::MAX, at: u64) {
            let place = Place::new(blocks);
            assert_boundary(place, at % blocks);
        }

        #[test]
        fn order_is_kept(blocks in 1..=u64::MAX, a: u64, b: u64) {
            let place = Place::new(blocks);
            prop_assert!(place.block_of(a.min(b)) <= place.block_of(a.max(b)));
        }
    }
}
