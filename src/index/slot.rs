//! A slot: two words that hold a whole fingerprint and a tick.
//!
//! ```text
//! low word    the fingerprint's low 64 bits; 0 is an empty slot (a fingerprint whose low bits are
//!             zero stores 1 and sets `LOW_IS_ZERO` in the high word)
//! high word   OCCUPIED:1 LOW_IS_ZERO:1 displacement:6 tick:8 zeros rest
//! ```
//!
//! `rest` is the fingerprint's high 64 bits without the top bits that the home bucket implies. The
//! home bucket is the bucket where the slot stands less the displacement, so nothing of the 128 bits
//! is lost.

use crate::key::{Fingerprint, Record};

/// The fewest top bits that a bucket number takes: they make room for the fields above.
pub(crate) const BUCKET_BITS_MIN: u32 = 16;
/// The most: a table of 2^32 buckets would be 256 GiB.
pub(crate) const BUCKET_BITS_MAX: u32 = 32;
/// How many buckets, the home included, may hold a fingerprint.
pub(crate) const REACH: usize = 1 << DISPLACEMENT_BITS;

/// Models explore every interleaving of every access: they need a table as small as can be.
const DISPLACEMENT_BITS: u32 = if cfg!(loom) { 1 } else { 6 };
const OCCUPIED: u64 = 1 << 63;
const LOW_IS_ZERO: u64 = 1 << 62;
const DISPLACEMENT_SHIFT: u32 = 56;
const TICK_SHIFT: u32 = 48;
const TICK_MASK: u64 = 0xff << TICK_SHIFT;

const _: () = {
    assert!(DISPLACEMENT_SHIFT + DISPLACEMENT_BITS <= 62, "the flags follow the displacement");
    assert!(TICK_SHIFT + 8 == DISPLACEMENT_SHIFT, "the tick precedes the displacement");
    assert!(64 - BUCKET_BITS_MIN == TICK_SHIFT, "the largest rest ends where the tick starts");
};

/// How fingerprints are packed in a table of `2^bucket_bits` home buckets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    bucket_bits: u32,
}

impl Layout {
    /// A layout for `2^bucket_bits` home buckets.
    pub(crate) fn new(bucket_bits: u32) -> Layout {
        assert!((BUCKET_BITS_MIN..=BUCKET_BITS_MAX).contains(&bucket_bits));
        Layout { bucket_bits }
    }

    /// Bits of a bucket number.
    pub(crate) fn bucket_bits(self) -> u32 {
        self.bucket_bits
    }

    /// How many home buckets there are. Models have the first one only.
    pub(crate) fn homes(self) -> usize {
        if cfg!(loom) { 1 } else { 1 << self.bucket_bits }
    }

    /// The bucket where a fingerprint is looked for first.
    pub(crate) fn home(self, fingerprint: Fingerprint) -> usize {
        (fingerprint.hi >> (64 - self.bucket_bits)) as usize
    }

    /// The low word of a fingerprint; never zero.
    pub(crate) fn low(fingerprint: Fingerprint) -> u64 {
        fingerprint.lo.max(1)
    }

    /// The high word of a fingerprint that stands in its home bucket; never zero.
    pub(crate) fn high(self, fingerprint: Fingerprint, tick: u8) -> u64 {
        let rest = fingerprint.hi & (u64::MAX >> self.bucket_bits);
        let zero = if fingerprint.lo == 0 { LOW_IS_ZERO } else { 0 };
        OCCUPIED | zero | u64::from(tick) << TICK_SHIFT | rest
    }

    /// The fingerprint and tick in a slot of `bucket`.
    pub(crate) fn unpack(self, bucket: usize, low: u64, high: u64) -> Record {
        let home = (bucket - displacement(high)) as u64;
        let rest = high & (u64::MAX >> self.bucket_bits);
        let lo = if high & LOW_IS_ZERO == 0 { low } else { 0 };
        (Fingerprint { hi: home << (64 - self.bucket_bits) | rest, lo }, tick(high))
    }
}

/// The high word `high`, of a fingerprint at home, as it is `displacement` buckets away.
pub(crate) fn displaced(high: u64, displacement: usize) -> u64 {
    debug_assert!(displacement < REACH);
    high | (displacement as u64) << DISPLACEMENT_SHIFT
}

/// Whether two high words, in slots with the same low word, are of the same fingerprint.
pub(crate) fn same(a: u64, b: u64) -> bool {
    (a ^ b) & !TICK_MASK == 0
}

/// The tick in a high word.
pub(crate) fn tick(high: u64) -> u8 {
    (high >> TICK_SHIFT) as u8
}

/// How many buckets from home a slot stands.
pub(crate) fn displacement(high: u64) -> usize {
    (high >> DISPLACEMENT_SHIFT) as usize & (REACH - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_of_a_fingerprint_is_lost(
            bits: u128, zero_low: bool, tick_in: u8, away in 0..REACH,
            bucket_bits in BUCKET_BITS_MIN..=BUCKET_BITS_MAX,
        ) {
            let bits = if zero_low { bits & !u128::from(u64::MAX) } else { bits };
            let fingerprint = Fingerprint::from_u128(bits);
            let layout = Layout::new(bucket_bits);
            let high = displaced(layout.high(fingerprint, tick_in), away);
            let bucket = layout.home(fingerprint) + away;
            let back = layout.unpack(bucket, Layout::low(fingerprint), high);
            prop_assert_eq!(back, (fingerprint, tick_in));
            prop_assert!(high != 0 && Layout::low(fingerprint) != 0);
            prop_assert!(same(high, displaced(layout.high(fingerprint, !tick_in), away)));
        }
    }

    #[test]
    fn a_low_word_of_zero_and_of_one_are_told_apart() {
        let layout = Layout::new(BUCKET_BITS_MIN);
        let [zero, one] = [0, 1].map(Fingerprint::from_u128);
        assert_eq!(Layout::low(zero), Layout::low(one));
        assert!(!same(layout.high(zero, 0), layout.high(one, 0)));
    }
}
