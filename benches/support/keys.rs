//! Uniform fingerprints: at random, and as ascending runs that need no memory.

use firstseen::Fingerprint;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    #[inline]
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn fingerprint(&mut self) -> Fingerprint {
        Fingerprint::from_u128(u128::from(self.word()) << 64 | u128::from(self.word()))
    }

    /// Replaces the batch by random fingerprints.
    pub(crate) fn fill(&mut self, batch: &mut [Fingerprint]) {
        batch.fill_with(|| self.fingerprint());
    }
}

/// A sorted run of about `ids` uniform fingerprints: the gaps are exponential, as between sorted
/// uniform numbers, so that blocks get a Poisson load.
pub(crate) struct Run {
    random: Random,
    hi: u64,
    gap: f64,
}

impl Run {
    pub(crate) fn new(seed: u64, ids: u64) -> Run {
        let gap = u64::MAX as f64 / ids as f64;
        let random = Random(seed);
        Run { random, hi: 0, gap }
    }
}

impl Iterator for Run {
    type Item = Fingerprint;

    fn next(&mut self) -> Option<Fingerprint> {
        let uniform = ((self.random.word() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        self.hi = self.hi.checked_add((-uniform.ln() * self.gap) as u64)?;
        let lo = u128::from(self.random.word());
        Some(Fingerprint::from_u128(u128::from(self.hi) << 64 | lo))
    }
}
