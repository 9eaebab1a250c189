//! Another candidate for the front: buckets of one cache line whose entries are a tag of the
//! fingerprint and the number of its generation. A match names the generation to read.
//!
//! A full line spills into the next, so a search ends at a match or at a line with a free entry.

use std::sync::atomic::Ordering;

use firstseen::{
    Fingerprint,
    internals::{Words, prefetch},
};

use super::{filters::Filter, keys::Random, rolling};

const LINE_WORDS: usize = 8;

/// Entries of `LANE` bits, of which the low `GENERATION` bits are a number from 1 up; 0 is free.
pub(crate) struct Tagged<const LANE: u32, const GENERATION: u32> {
    words: Words,
}

impl<const LANE: u32, const GENERATION: u32> Tagged<LANE, GENERATION> {
    /// A one in each entry of a word.
    const ONES: u64 = u64::MAX / ((1 << LANE) - 1);
    /// The tags of a word.
    const TAGS: u64 = Self::ONES * (((1 << LANE) - 1) & !((1 << GENERATION) - 1));

    /// Room for `ids` ids at a load of 4/5.
    pub(crate) fn new(ids: u64) -> Self {
        let lines = (ids * u64::from(LANE) * 5 / 4).div_ceil(512) as usize;
        let words = Words::zeroed(lines * LINE_WORDS).expect("memory");
        Tagged { words }
    }

    #[inline(always)]
    fn lines(&self) -> usize {
        self.words.len() / LINE_WORDS
    }

    #[inline(always)]
    fn line_of(&self, fp: Fingerprint) -> usize {
        (((fp.as_u128() >> 64) * self.lines() as u128) >> 64) as usize
    }

    /// The tag, never 0, in its place within an entry.
    #[inline(always)]
    fn tag_of(fp: Fingerprint) -> u64 {
        ((fp.as_u128() as u64) >> (64 - LANE + GENERATION)).max(1) << GENERATION
    }

    /// Not 0 when an entry is 0: its top bit, for the lowest such entry.
    #[inline(always)]
    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(Self::ONES) & !word & (Self::ONES << (LANE - 1))
    }

    /// Whether the tag occurs, and in how many lines that was searched.
    #[inline(always)]
    fn search(&self, fp: Fingerprint) -> (bool, u64) {
        let tags = Self::ONES * Self::tag_of(fp);
        let mut at = self.line_of(fp);
        let mut lines = 1;
        loop {
            let (mut found, mut free) = (0, 0);
            for word in &self.words[at * LINE_WORDS..][..LINE_WORDS] {
                let word = word.load(Ordering::Relaxed);
                found |= Self::zeros((word ^ tags) & Self::TAGS);
                free |= Self::zeros(word);
            }
            if found != 0 || free != 0 {
                return (found != 0, lines);
            }
            at = (at + 1) % self.lines();
            lines += 1;
        }
    }

    #[inline(always)]
    fn add_one(&self, generation: u64, fp: Fingerprint) {
        let entry = Self::tag_of(fp) | (generation + 1);
        let mut at = self.line_of(fp) * LINE_WORDS;
        loop {
            let word = self.words[at].load(Ordering::Relaxed);
            let free = Self::zeros(word);
            if free != 0 {
                let shift = free.trailing_zeros() + 1 - LANE;
                self.words[at].store(word | entry << shift, Ordering::Relaxed);
                return;
            }
            at = (at + 1) % self.words.len();
        }
    }
}

impl<const LANE: u32, const GENERATION: u32> Filter for Tagged<LANE, GENERATION> {
    fn add(&mut self, generation: u64, run: &[Fingerprint]) {
        run.iter().for_each(|&fp| self.add_one(generation, fp));
    }

    fn probe(&self, batch: &[Fingerprint]) -> usize {
        let mut hits = 0;
        rolling(
            batch,
            |fp| prefetch::read(&self.words[self.line_of(fp) * LINE_WORDS]),
            |fp| hits += usize::from(self.search(fp).0),
        );
        hits
    }

    fn bytes(&self) -> u64 {
        self.words.len() as u64 * 8
    }

    fn lines_per_probe(&self) -> f64 {
        let mut random = Random(0x7a99);
        let probes = 100_000;
        let lines: u64 = (0..probes).map(|_| self.search(random.fingerprint()).1).sum();
        lines as f64 / f64::from(probes)
    }

    fn add_again(&self) -> bool {
        false
    }
}
