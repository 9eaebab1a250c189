//! Numbers that look random and follow from a seed (SplitMix64).

use std::time::Duration;

/// A sequence of numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The sequence of `stream` under `seed`; different streams have nothing in common.
    pub fn new(seed: u64, stream: u64) -> Rng {
        Rng { state: mix(seed).wrapping_add(mix(stream.wrapping_add(0x5eed))) }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A number from zero to one.
    pub fn share(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64
    }

    /// A duration of which each order of magnitude between the two is as likely.
    pub fn log_uniform(&mut self, from: Duration, to: Duration) -> Duration {
        from.mul_f64((to.as_secs_f64() / from.as_secs_f64()).powf(self.share()))
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
