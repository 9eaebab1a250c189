//! Sizes and rates of a filter: pure arithmetic.
//!
//! A block has 8 words of 64 bits and an id sets one bit in each. With `m` ids in a block a given
//! bit is still clear with probability `q^m`, `q = 63/64`, so an absent id of that block is a false
//! "maybe" with probability `(1 - q^m)^8`. Ids fall on blocks at random, so `m` is Poisson
//! distributed with mean `c = ids / blocks`, and a block that got more than its share costs more
//! than a lighter one saves. Expanding the power and using `E[x^m] = exp(-c (1 - x))`:
//!
//! ```text
//! rate = sum over j = 0..=8 of (-1)^j * C(8, j) * exp(-c * (1 - q^j))
//! ```
//!
//! The promise: this is the *expected* rate over uniform fingerprints, and it holds for ids that an
//! adversary chose as well, because the fingerprint is keyed.

/// Bits of a block: one cache line.
pub const BLOCK_BITS: u64 = 512;

/// Bytes of a block.
pub const BLOCK_BYTES: u64 = BLOCK_BITS / 8;

/// The blocks that give each of `ids` ids `bits_per_id` bits; at least one.
#[must_use]
pub fn blocks_for(ids: u64, bits_per_id: u32) -> u64 {
    let bits = u128::from(ids) * u128::from(bits_per_id);
    let blocks = bits.div_ceil(u128::from(BLOCK_BITS));
    u64::try_from(blocks).unwrap_or(u64::MAX).max(1)
}

/// Memory of a filter of `blocks` blocks, in bytes; `None` where 64 bits do not hold it.
#[must_use]
pub fn memory_bytes(blocks: u64) -> Option<u64> {
    blocks.checked_mul(BLOCK_BYTES)
}

/// The expected share of absent ids for which a filter with `ids` ids in `blocks` blocks answers
/// "maybe". Good to about 1e-13, absolute; 1 when there are no blocks.
#[must_use]
pub fn false_positive_rate(ids: u64, blocks: u64) -> f64 {
    const CHOOSE: [f64; 9] = [1.0, -8.0, 28.0, -56.0, 70.0, -56.0, 28.0, -8.0, 1.0];
    if blocks == 0 {
        return 1.0;
    }
    let mean = ids as f64 / blocks as f64;
    let mut clear = 1.0; // q^j
    let mut rate = 0.0;
    for signed in CHOOSE {
        rate += signed * f64::exp(-mean * (1.0 - clear));
        clear *= 63.0 / 64.0;
    }
    rate.clamp(0.0, 1.0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{
        super::{WindowFilter, testing::fingerprints},
        *,
    };

    /// The same sum, term by term over the load of a block.
    fn by_load(mean: f64) -> f64 {
        let mut weight = f64::exp(-mean);
        let mut rate = 0.0;
        for load in 0..1000 {
            rate += weight * (1.0 - (63.0_f64 / 64.0).powi(load)).powi(8);
            weight *= mean / f64::from(load + 1);
        }
        rate
    }

    #[test]
    fn closed_form_is_the_poisson_sum() {
        for load in [1, 8, 25, 32, 43, 51, 64, 128, 500] {
            let expected = by_load(f64::from(load));
            let rate = false_positive_rate(u64::try_from(load).unwrap() * 1000, 1000);
            assert!((rate - expected).abs() < 1e-12, "{load}: {rate} {expected}");
        }
    }

    #[test]
    fn rates_at_the_usual_sizes() {
        let rate = |bits| false_positive_rate(100_000_000, blocks_for(100_000_000, bits));
        assert!((0.009..0.012).contains(&rate(10)), "{}", rate(10));
        assert!((0.0038..0.0048).contains(&rate(12)), "{}", rate(12));
        assert!((0.0007..0.0010).contains(&rate(16)), "{}", rate(16));
    }

    #[test]
    fn ends_of_the_scale() {
        assert_eq!(blocks_for(0, 16), 1);
        assert_eq!(blocks_for(32, 16), 1);
        assert_eq!(blocks_for(33, 16), 2);
        assert_eq!(blocks_for(u64::MAX, 512), u64::MAX);
        assert_eq!(blocks_for(u64::MAX, u32::MAX), u64::MAX);
        assert_eq!(memory_bytes(1 << 33), Some(1 << 39));
        assert_eq!(memory_bytes(u64::MAX), None);
        assert!(false_positive_rate(0, 1) < 1e-12);
        assert!(false_positive_rate(u64::MAX, 1) > 0.999);
        assert!(false_positive_rate(0, 0) > 0.999);
    }

    #[test]
    fn the_rate_is_the_expected_one() {
        let ids: Vec<_> = fingerprints(1).take(200_000).collect();
        for bits in [10, 12, 16] {
            let blocks = blocks_for(200_000, bits);
            let filter = WindowFilter::new(blocks).unwrap();
            filter.set_ready(blocks);
            ids.iter().for_each(|&fp| filter.add(fp));
            let reader = filter.reader();
            let absent = fingerprints(2).take(1_000_000);
            let hits = absent.filter(|&fp| reader.may_contain(fp)).count();
            let ratio = hits as f64 / 1e6 / false_positive_rate(200_000, blocks);
            assert!((0.8..1.25).contains(&ratio), "{bits} bits: {ratio} of the expected");
        }
    }
}
