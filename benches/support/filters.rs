//! The candidates for the filter behind one face, and the Bloom filters of record.

use fastbloom::BloomFilter as FastBloom;
use firstseen::{
    Fingerprint,
    internals::{WindowFilter, filter_params as params},
};
use probabilistic_collections::bloom::BloomFilter as RecordBloom;

/// Sealed generations of the window.
pub(crate) const GENERATIONS: u64 = 8;

/// A filter as the bench sees it.
pub(crate) trait Filter {
    /// Adds a piece of a generation's sorted run.
    fn add(&mut self, generation: u64, run: &[Fingerprint]);

    /// How many ids of the batch may be known.
    fn probe(&self, batch: &[Fingerprint]) -> usize;

    fn bytes(&self) -> u64;

    /// Cache lines that the probe of an absent id touches, on average.
    fn lines_per_probe(&self) -> f64;

    /// Whether the same ids can be added again without harm.
    fn add_again(&self) -> bool {
        true
    }
}

fn window_filter(ids: u64, bits: u32) -> WindowFilter {
    let filter = WindowFilter::new(params::blocks_for(ids, bits)).expect("memory");
    filter.set_ready(filter.blocks());
    filter
}

/// One filter for all generations.
pub(crate) struct Window(pub(crate) WindowFilter);

impl Window {
    pub(crate) fn new(ids: u64, bits: u32) -> Window {
        Window(window_filter(ids, bits))
    }
}

impl Filter for Window {
    fn add(&mut self, _: u64, run: &[Fingerprint]) {
        run.iter().for_each(|&fp| self.0.add(fp));
    }

    fn probe(&self, batch: &[Fingerprint]) -> usize {
        let mut hits = 0;
        let reader = self.0.reader();
        reader.may_contain_each(batch, |_, maybe| hits += usize::from(maybe));
        hits
    }

    fn bytes(&self) -> u64 {
        self.0.blocks() * params::BLOCK_BYTES
    }

    fn lines_per_probe(&self) -> f64 {
        1.0
    }
}

/// One filter for each generation.
pub(crate) struct PerGeneration(Vec<WindowFilter>);

impl PerGeneration {
    pub(crate) fn new(ids: u64, bits: u32) -> PerGeneration {
        let one = |_| window_filter(ids / GENERATIONS, bits);
        PerGeneration((0..GENERATIONS).map(one).collect())
    }
}

impl Filter for PerGeneration {
    fn add(&mut self, generation: u64, run: &[Fingerprint]) {
        let filter = &self.0[generation as usize];
        run.iter().for_each(|&fp| filter.add(fp));
    }

    fn probe(&self, batch: &[Fingerprint]) -> usize {
        let mut hits = vec![false; batch.len()];
        for filter in &self.0 {
            let reader = filter.reader();
            reader.may_contain_each(batch, |i, maybe| hits[i] |= maybe);
        }
        hits.iter().filter(|&&hit| hit).count()
    }

    fn bytes(&self) -> u64 {
        self.0.iter().map(|f| f.blocks() * params::BLOCK_BYTES).sum()
    }

    fn lines_per_probe(&self) -> f64 {
        GENERATIONS as f64
    }
}

/// `fastbloom`, given the hash that we have.
pub(crate) struct Fast(FastBloom);

impl Fast {
    pub(crate) fn new(ids: u64, bits: u32) -> Fast {
        let builder = FastBloom::with_num_bits((ids * u64::from(bits)) as usize);
        Fast(builder.expected_items(ids as usize))
    }
}

impl Filter for Fast {
    fn add(&mut self, _: u64, run: &[Fingerprint]) {
        for fp in run {
            self.0.insert_hash(fp.as_u128() as u64);
        }
    }

    fn probe(&self, batch: &[Fingerprint]) -> usize {
        let known = |fp: &&Fingerprint| self.0.contains_hash(fp.as_u128() as u64);
        batch.iter().filter(known).count()
    }

    fn bytes(&self) -> u64 {
        self.0.num_bits() as u64 / 8
    }

    fn lines_per_probe(&self) -> f64 {
        let ones: u64 = self.0.iter().map(|word| u64::from(word.count_ones())).sum();
        until_clear(ones as f64 / self.0.num_bits() as f64)
    }
}

/// `probabilistic-collections`, which hashes by itself.
pub(crate) struct Record {
    filter: RecordBloom<u128>,
    bits: u64,
}

impl Record {
    pub(crate) fn new(ids: u64, bits: u32) -> Record {
        let bits = ids * u64::from(bits);
        Record { filter: RecordBloom::from_item_count(bits as usize, ids as usize), bits }
    }
}

impl Filter for Record {
    fn add(&mut self, _: u64, run: &[Fingerprint]) {
        run.iter().for_each(|fp| self.filter.insert(&fp.as_u128()));
    }

    fn probe(&self, batch: &[Fingerprint]) -> usize {
        let known = |fp: &&Fingerprint| self.filter.contains(&fp.as_u128());
        batch.iter().filter(known).count()
    }

    fn bytes(&self) -> u64 {
        self.bits / 8
    }

    fn lines_per_probe(&self) -> f64 {
        until_clear(self.filter.count_ones() as f64 / self.bits as f64)
    }
}

/// Bits looked at until one is clear, each in a line of its own.
fn until_clear(fill: f64) -> f64 {
    1.0 / (1.0 - fill)
}
