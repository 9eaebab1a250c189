//! How the records of one run are packed: chosen once, from how many there will be.

use super::SUM_AT;
use super::page::BODY_AT;

/// Buckets of a page.
pub(super) const BUCKETS: u32 = 64;

/// Records of a page in the narrowest shape.
pub(super) const CAPACITY_MAX: usize = capacity(Shape::BITS_MIN + 8);

/// The widest record that can start at any bit and still be loaded as 16 bytes.
const WIDTH_UNALIGNED_MAX: u32 = 128 - 7;

/// Enough for every division of fewer than 2^22 units, the most a page spans, by a scale of up to 2^16: rounding up
/// adds less than one part in 2^22 of a bucket.
const INVERSE_BITS: u32 = 22 + 16;

const fn capacity(width: u32) -> usize {
    (SUM_AT - BODY_AT) * 8 / width as usize
}

/// How the records of one run are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bits of a record's distance from the start of its bucket.
    remainder_bits: u32,
    /// Width of a bucket in units of 2^(remainder_bits - 16).
    bucket_scale: u32,
    /// 2^[`INVERSE_BITS`] divided by `bucket_scale`, rounded up.
    inverse_scale: u64,
    /// Bits from one record to the next.
    width: u32,
    capacity: usize,
}

impl Shape {
    /// So that a bucket is at least 2^64 wide and the first record of a page always fits.
    const BITS_MIN: u32 = 80;
    /// So that a record fits 128 bits.
    const BITS_MAX: u32 = 120;
    const SCALE_BITS: u32 = 16;

    /// A shape by its two parameters, if they are in range.
    pub(crate) fn new(remainder_bits: u32, bucket_scale: u32) -> Option<Shape> {
        let bits_fit = (Self::BITS_MIN..=Self::BITS_MAX).contains(&remainder_bits);
        if !bits_fit || !(1..=1 << Self::SCALE_BITS).contains(&bucket_scale) {
            return None;
        }
        let width = match remainder_bits + 8 {
            width @ ..=WIDTH_UNALIGNED_MAX => width,
            _ => 128,
        };
        Some(Shape {
            remainder_bits,
            bucket_scale,
            inverse_scale: (1_u64 << INVERSE_BITS).div_ceil(u64::from(bucket_scale)),
            width,
            capacity: capacity(width),
        })
    }

    /// The shape for a run of `expected` evenly spread records: the narrowest in which a page is
    /// normally closed because it is full.
    ///
    /// A full page's span varies by 6 % (one over the root of its records). With 4.5 % of slack
    /// early closing costs as much as one more bit a record would, so that is the least; where the
    /// bits allow more the slack is a fifth, not more, because a wider bucket holds more records and
    /// only 15 can be counted.
    pub(crate) fn for_expected(expected: u64) -> Shape {
        let spacing = u128::MAX / u128::from(expected.max(1));
        for bits in Self::BITS_MIN..=Self::BITS_MAX {
            let widest = Shape::new(bits, 1 << Self::SCALE_BITS).expect("bits in range");
            let snug = (spacing / u128::from(BUCKETS)).saturating_mul(widest.capacity as u128);
            if u128::from(widest.bucket_start(1)) << 64 >= snug.saturating_add(snug / 22)
                || bits == Self::BITS_MAX
            {
                let roomy = snug.saturating_add(snug / 5) >> (bits - Self::SCALE_BITS);
                let scale = roomy.clamp(1, 1 << Self::SCALE_BITS) as u32;
                return Shape::new(bits, scale).expect("scale in range");
            }
        }
        unreachable!("the loop returns at its last turn")
    }

    pub(crate) fn remainder_bits(self) -> u32 {
        self.remainder_bits
    }

    pub(crate) fn bucket_scale(self) -> u32 {
        self.bucket_scale
    }

    /// Records of a full page.
    pub(crate) fn capacity(self) -> usize {
        self.capacity
    }

    /// Bits of a unit above the low 64: a unit is at least 2^64, so whole units are counted in top halves alone.
    #[inline]
    fn unit_bits_hi(self) -> u32 {
        self.remainder_bits - Self::SCALE_BITS - 64
    }

    /// The top half of the largest remainder.
    #[inline]
    pub(super) fn remainder_hi_max(self) -> u64 {
        u64::MAX >> (128 - self.remainder_bits)
    }

    /// Bucket and remainder of a record `delta` above the base, both in top halves: the lower ones are the same.
    /// `None` beyond the last bucket.
    #[inline]
    pub(super) fn place(self, delta: u64) -> Option<(u32, u64)> {
        let units = delta >> self.unit_bits_hi();
        if units >= u64::from(BUCKETS * self.bucket_scale) {
            return None;
        }
        let bucket = ((units * self.inverse_scale) >> INVERSE_BITS) as u32;
        Some((bucket, delta - self.bucket_start(bucket)))
    }

    /// How far above the base a bucket begins, in top halves. The lower half is 0.
    #[inline]
    pub(super) fn bucket_start(self, bucket: u32) -> u64 {
        u64::from(bucket * self.bucket_scale) << self.unit_bits_hi()
    }

    /// Byte and bit within it at which record `index` begins.
    #[inline]
    pub(super) fn position(self, index: usize) -> (usize, u32) {
        let bit = index * self.width as usize;
        (BODY_AT + bit / 8, (bit % 8) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_of_a_page_always_fits() {
        for expected in [0, 1, 100, 10_000_000, 1 << 50, u64::MAX] {
            let shape = Shape::for_expected(expected);
            assert!(shape.place(0).is_some(), "{shape:?}");
        }
    }

    #[test]
    fn more_records_take_fewer_bits_each() {
        let bits = |expected| Shape::for_expected(expected).remainder_bits();
        assert_eq!((bits(1_000), bits(10_000_000), bits(100_000_000)), (120, 107, 104));
        assert_eq!(Shape::for_expected(10_000_000).capacity(), 281);
    }

    #[test]
    fn multiplying_by_the_inverse_is_dividing_by_the_scale() {
        for scale in 1..=1 << Shape::SCALE_BITS {
            let shape = Shape::new(80, scale).unwrap();
            for bucket in 0..BUCKETS {
                let first = u64::from(bucket * scale);
                let last = first + u64::from(scale) - 1;
                assert_eq!(shape.place(first), Some((bucket, 0)));
                assert_eq!(shape.place(last), Some((bucket, last - first)));
            }
        }
    }

    #[test]
    fn a_place_is_a_bucket_and_what_is_left() {
        let shape = Shape::new(107, 50_000).unwrap();
        let width = shape.bucket_start(1);
        assert_eq!(shape.place(0), Some((0, 0)));
        assert_eq!(shape.place(5 * width + 3), Some((5, 3)));
        assert_eq!(shape.place(64 * width - 1), Some((63, width - 1)));
        assert_eq!(shape.place(64 * width), None);
        assert_eq!(shape.bucket_start(5), 5 * width);
    }
}
