//! A run's own filter: a split-block Bloom filter, one cache line a lookup.
//!
//! A block is 512 bits, eight words of which each gets one bit of every key. The top bits of the
//! fingerprint choose the block, so that ascending records fill the filter from front to back and
//! it can be streamed to the file. The bits inside come from `lo` times a constant, taken above bit
//! 16: the filters in front of the runs use `lo` itself, and with the same bits their false
//! positives would be this one's too.

use crate::format::run::{BLOCK, BLOCKS_PER_PAGE, FILTER_PAGE, Page};
use crate::key::Fingerprint;
use crate::planted::{Bug, planted};

/// 2^64 divided by the golden ratio, made odd: spreads `lo` before its bits are taken.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

const WORDS: usize = BLOCK / 8;

/// One block, where it is held in memory: a cache line of its own.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Block([u8; BLOCK]);

impl Block {
    pub(crate) fn bytes(&self) -> &[u8; BLOCK] {
        &self.0
    }

    #[cfg(feature = "sled")]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; BLOCK] {
        &mut self.0
    }
}

#[cfg(feature = "sled")]
impl Default for Block {
    fn default() -> Block {
        Block([0; BLOCK])
    }
}

/// How many blocks give `bits_per_id` to each of `expected` records; at least one.
pub(crate) fn blocks_for(expected: u64, bits_per_id: u32) -> u64 {
    let bits = u128::from(expected) * u128::from(bits_per_id);
    let blocks = bits.div_ceil(BLOCK as u128 * 8).max(1);
    u64::try_from(blocks).expect("2^64 ids at 2^32 bits are 2^87 blocks, more than any file")
}

/// The block of a fingerprint, of `blocks`. Monotone in the fingerprint.
#[inline]
pub(crate) fn block_of(fingerprint: Fingerprint, blocks: u64) -> u64 {
    ((u128::from(fingerprint.hi) * u128::from(blocks)) >> 64) as u64
}

/// The page of the file, and the byte in it, at which a block stands.
#[inline]
pub(super) fn place_of(block: u64) -> (u64, usize) {
    (FILTER_PAGE + block / BLOCKS_PER_PAGE, (block % BLOCKS_PER_PAGE) as usize * BLOCK)
}

/// The number of the bit that a fingerprint has in each word of its block. Callers shift by it modulo 64.
#[inline]
fn bits(fingerprint: Fingerprint) -> [u32; WORDS] {
    let hash = match planted(Bug::RunFilterCorrelated) {
        false => fingerprint.lo.wrapping_mul(SPREAD) >> 16,
        true => fingerprint.lo,
    };
    std::array::from_fn(|word| (hash >> (6 * word)) as u32)
}

/// Sets the bits of fingerprints in the block that is theirs.
#[inline]
pub(crate) fn insert(block: &mut [u8; BLOCK], fingerprints: impl Iterator<Item = Fingerprint>) {
    let (bytes, _) = block.as_chunks_mut::<8>();
    let mut words: [u64; WORDS] = std::array::from_fn(|word| u64::from_le_bytes(bytes[word]));
    for fingerprint in fingerprints {
        for (word, bit) in words.iter_mut().zip(bits(fingerprint)) {
            *word |= 1_u64.wrapping_shl(bit);
        }
    }
    for (bytes, word) in bytes.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
}

/// Whether a fingerprint may have been inserted in this block.
#[inline]
pub(crate) fn may_contain(block: &[u8; BLOCK], fingerprint: Fingerprint) -> bool {
    let (words, _) = block.as_chunks::<8>();
    let words = words.iter().map(|&word| u64::from_le_bytes(word));
    words.zip(bits(fingerprint)).fold(1, |all, (word, bit)| all & word.wrapping_shr(bit)) != 0
}

/// The block that begins at byte `at` of a filter page.
#[inline]
pub(super) fn block_at(page: &Page, at: usize) -> &[u8; BLOCK] {
    page[at..at + BLOCK].try_into().expect("a block")
}

/// The blocks of a filter page, without its checksum.
pub(super) fn blocks_of(page: &Page) -> impl Iterator<Item = Block> {
    page.as_chunks::<BLOCK>().0.iter().take(BLOCKS_PER_PAGE as usize).map(|&bytes| Block(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_in_range_and_ascend_with_the_fingerprint() {
        assert_eq!(blocks_for(0, 10), 1);
        assert_eq!(blocks_for(512, 10), 10);
        assert_eq!(blocks_for(513, 10), 11);
        let at = |hi| block_of(Fingerprint { hi, lo: 0 }, 1_000_003);
        assert_eq!((at(0), at(u64::MAX)), (0, 1_000_002));
        assert!(at(1 << 40) <= at(1 << 41));
    }

    #[test]
    fn what_was_inserted_is_found() {
        let mut block = [0; BLOCK];
        for lo in (0..50).map(|i: u64| i.wrapping_mul(0x1234_5678_9abc_def1)) {
            insert(&mut block, std::iter::once(Fingerprint { hi: 0, lo }));
            assert!(may_contain(&block, Fingerprint { hi: 0, lo }));
        }
        assert!(!may_contain(&[0; BLOCK], Fingerprint { hi: 0, lo: 7 }));
    }
}
