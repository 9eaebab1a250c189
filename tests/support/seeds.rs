//! Random choices that can be made again.

use std::env::var;

/// How many times as long as usual tests are to run.
pub fn scale() -> u64 {
    var("FIRSTSEEN_TEST_SCALE").map_or(1, |scale| scale.parse().expect("a whole number"))
}

/// Runs `test` with `count` seeds, scaled, or with the one that was asked for. A seed that fails is
/// printed.
pub fn with_seeds(count: u64, test: impl Fn(&mut Rng)) {
    let seeds = match var("FIRSTSEEN_TEST_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("a whole number");
            seed..seed + 1
        }
        Err(_) => 0..count * scale(),
    };
    for seed in seeds {
        let failing = PrintSeed(seed);
        test(&mut Rng::new(seed));
        std::mem::forget(failing);
    }
}

struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        eprintln!("replay this failure with FIRSTSEEN_TEST_SEED={}", self.0);
    }
}

/// A reproducible stream of choices (SplitMix64).
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}
