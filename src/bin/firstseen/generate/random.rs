//! Random numbers: SplitMix64 (Steele, Lea, Flood 2014), as a stream and as a function.

/// The step of the counter: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number at `index` of the stream of `seed`.
pub(super) fn at(seed: u64, index: u64) -> u64 {
    mix(seed.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP)))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of random numbers.
#[derive(Debug)]
pub(super) struct Random {
    seed: u64,
    next: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random { seed, next: 0 }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.next += 1;
        at(self.seed, self.next - 1)
    }

    /// Evenly spread over [0, 1), in steps of 2^-53.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponentially spread with mean 1.
    ///
    /// By comparisons alone (von Neumann 1951): a logarithm differs between machines in its last bit.
    pub(super) fn exponential(&mut self) -> f64 {
        for whole in 0_u32.. {
            let first = self.unit();
            let (mut last, mut falling) = (first, true);
            loop {
                let next = self.unit();
                if next >= last {
                    break;
                }
                (last, falling) = (next, !falling);
            }
            if falling {
                return f64::from(whole) + first;
            }
        }
        unreachable!("each round succeeds with probability 0.63")
    }
}

/// A random order of `0..len`, as a function: the number that stands at `index`.
///
/// A Feistel network of four rounds over the next power of four; numbers outside are sent through
/// again until they fall inside, which takes less than four rounds in the mean.
pub(super) fn shuffled(seed: u64, index: u64, len: u64) -> u64 {
    debug_assert!(index < len);
    let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
    let half = bits.div_ceil(2);
    let mask = (1_u64 << half) - 1;
    let mut number = index;
    loop {
        let (mut left, mut right) = (number >> half, number & mask);
        for round in 0..4 {
            (left, right) = (right, left ^ (at(seed ^ round, right) & mask));
        }
        number = (left << half) | right;
        if number < len {
            return number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_numbers_come_out() {
        // From the reference code of SplitMix64, seed 1234567.
        let mut random = Random::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([random.next(), random.next()], expected);
    }

    #[test]
    fn the_spread_is_exponential() {
        let mut random = Random::new(5);
        let drawn: Vec<f64> = (0..100_000).map(|_| random.exponential()).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let above_two = drawn.iter().filter(|age| **age > 2.0).count();
        assert!((0.99..1.01).contains(&mean), "{mean}");
        assert!((13_200..13_900).contains(&above_two), "e^-2 is 0.1353: {above_two}");
    }

    #[test]
    fn a_shuffle_gives_each_number_once() {
        for len in [1, 2, 3, 17, 64, 1000] {
            let mut found: Vec<u64> = (0..len).map(|index| shuffled(7, index, len)).collect();
            assert!(len < 17 || found.windows(2).any(|pair| pair[0] > pair[1]));
            found.sort_unstable();
            assert!(found.iter().copied().eq(0..len), "{len}");
        }
    }
}
