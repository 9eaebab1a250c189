//! One block: a cache line of 8 words, in which an id owns one bit of each word.
//!
//! The bit in word `i` is bits `6i..6i + 6` of `lo`; the top 16 bits of `lo` are not used. One bit
//! a word costs a little against eight bits anywhere (see `params`) and buys eight independent
//! tests without a multiplication. The promise: once `add` is visible, `holds` answers true, and
//! no operation of this file ever clears a bit. Only a store of a whole image does.

use crate::sync::{AtomicU64, Ordering};

/// Words of a block.
pub(super) const WORDS: usize = 8;

/// A block in memory.
pub(super) type Block = [AtomicU64; WORDS];

/// The words of a block as plain numbers: what a block is to become.
pub type Image = [u64; WORDS];

/// The number of the bit that `lo` owns in word `word`. Callers shift by it modulo 64.
#[inline]
fn bit(lo: u64, word: usize) -> u32 {
    (lo >> (6 * word)) as u32
}

/// Not 0 when half a block holds the bits of `lo`; `from` is the number of its first word.
#[inline]
fn half_holds(half: &[AtomicU64], lo: u64, from: usize) -> u64 {
    half.iter()
        .zip(from..)
        .fold(1, |all, (word, i)| all & word.load(Ordering::Relaxed).wrapping_shr(bit(lo, i)))
}

/// Whether the block may hold the id; false is certain.
///
/// One branch, between the halves: it sends away 19 of 20 absent ids and is foretold as often,
/// which measured faster than eight words without a branch and than a branch after each word.
#[inline]
pub(super) fn holds(block: &Block, lo: u64) -> bool {
    let (first, second) = block.split_at(WORDS / 2);
    half_holds(first, lo, 0) != 0 && half_holds(second, lo, WORDS / 2) != 0
}

/// Puts the id into the block. For one writer at a time: two at once lose bits.
#[inline]
pub(super) fn add(block: &Block, lo: u64) {
    for (i, word) in block.iter().enumerate() {
        let old = word.load(Ordering::Relaxed);
        word.store(old | 1_u64.wrapping_shl(bit(lo, i)), Ordering::Relaxed);
    }
}

/// Puts the id into an image.
#[inline]
pub(super) fn add_to_image(image: &mut Image, lo: u64) {
    for (i, word) in image.iter_mut().enumerate() {
        *word |= 1_u64.wrapping_shl(bit(lo, i));
    }
}

/// Makes the block what the image says. For one writer at a time.
#[inline]
pub(super) fn replace(block: &Block, image: &Image) {
    for (word, new) in block.iter().zip(image) {
        word.store(*new, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(block: &Block) -> Image {
        std::array::from_fn(|i| block[i].load(Ordering::Relaxed))
    }

    #[test]
    fn one_bit_a_word_from_48_bits() {
        let lo = 0xffff_0000_0000_0000 | (5 << 6) | (63 << 42);
        let block = Block::default();
        add(&block, lo);
        assert_eq!(words(&block), [1, 1 << 5, 1, 1, 1, 1, 1, 1 << 63]);
        assert!(holds(&block, lo & 0x0000_ffff_ffff_ffff));
        assert!(!holds(&block, lo ^ (1 << 47)));
    }

    #[test]
    fn every_word_counts() {
        let full = Block::default();
        add(&full, 0);
        for missing in 0..WORDS {
            let mut image = words(&full);
            image[missing] = !1;
            replace(&full, &image);
            assert!(!holds(&full, 0), "word {missing}");
            add(&full, 0);
            assert!(holds(&full, 0));
        }
    }

    proptest! {
        #[test]
        fn added_is_held_and_images_agree(ids: Vec<u64>) {
            let block = Block::default();
            let mut image = Image::default();
            for &lo in &ids {
                add(&block, lo);
                add_to_image(&mut image, lo);
            }
            prop_assert_eq!(words(&block), image);
            prop_assert!(ids.iter().all(|&lo| holds(&block, lo)));
        }
    }
}
