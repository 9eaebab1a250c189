//! `L`, the yardstick: random 64-byte reads a second that prefetching reaches here and now, on huge
//! pages, with one thread. Other figures are given as ratios to it, because machines differ and
//! this one may be busy.

use std::{
    hint::black_box,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use firstseen::internals::{Words, prefetch};

use super::{AHEAD, BATCH, keys::Random, rolling};

const LINE_WORDS: usize = 8;

/// Memory to read lines from.
pub(crate) struct LineRate {
    words: Words,
}

impl LineRate {
    /// `bytes` of huge-page memory, written once: pages never written share one page of zeros.
    pub(crate) fn new(bytes: u64) -> LineRate {
        let lines = usize::try_from(bytes / 64).expect("fits memory").max(1);
        let words = Words::zeroed(lines * LINE_WORDS).expect("memory");
        for word in words.iter().step_by(LINE_WORDS) {
            word.store(1, Ordering::Relaxed);
        }
        LineRate { words }
    }

    /// Nanoseconds a line, group after group prefetched and then read. `L` is its inverse.
    pub(crate) fn grouped_ns(&self, time: Duration) -> f64 {
        let lines = self.words.as_chunks::<LINE_WORDS>().0;
        self.median_ns(time, |batch| {
            let mut sum = 0;
            for group in batch.chunks(AHEAD) {
                group.iter().for_each(|&at| prefetch::read(&lines[at]));
                group.iter().for_each(|&at| sum += self.read(at));
            }
            sum
        })
    }

    /// Nanoseconds a line, prefetched at a rolling distance.
    pub(crate) fn rolling_ns(&self, time: Duration) -> f64 {
        let lines = self.words.as_chunks::<LINE_WORDS>().0;
        self.median_ns(time, |batch| {
            let mut sum = 0;
            rolling(batch, |at| prefetch::read(&lines[at]), |at| sum += self.read(at));
            sum
        })
    }

    /// All words of a line.
    #[inline(always)]
    fn read(&self, at: usize) -> u64 {
        let line = &self.words.as_chunks::<LINE_WORDS>().0[at];
        line.iter().map(|word| word.load(Ordering::Relaxed)).sum()
    }

    fn median_ns(&self, time: Duration, mut read: impl FnMut(&[usize]) -> u64) -> f64 {
        let lines = self.words.len() / LINE_WORDS;
        let mut random = Random(0x11e5);
        let mut batch = [0; BATCH];
        let mut rounds = Vec::new();
        let end = Instant::now() + time;
        while Instant::now() < end {
            batch.fill_with(|| ((u128::from(random.word()) * lines as u128) >> 64) as usize);
            let start = Instant::now();
            black_box(read(black_box(&batch)));
            rounds.push(start.elapsed());
        }
        rounds.sort_unstable();
        rounds[rounds.len() / 2].as_nanos() as f64 / BATCH as f64
    }
}
