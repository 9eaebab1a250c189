//! The manifest: the one list of live files, and what must outlive them. Replaced as a whole.

use std::path::Path;

use super::checksum::Salt;
use super::{StoreId, VERSION, u32_at, u64_at};
use crate::error::{Corruption, Error, Result};
use crate::key::Fingerprint;
use crate::time::{Ticks, Timestamp};

/// First bytes of the file.
pub(crate) const MAGIC: &[u8; 8] = b"FSMANIF\0";

/// Stands for [`Manifest::complete_since`] while a catch-up has not finished: what the store knows has
/// gaps anywhere.
pub(crate) const CATCHING_UP: Timestamp = Timestamp::MAX;

const HEADER: usize = 136;
const GENERATION: usize = 24;
const RUN: usize = 40;
const FORGOTTEN: usize = 32;

/// One generation that has runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GenerationEntry {
    /// Its number; later generations have higher ones.
    pub(crate) number: u64,
    /// How its records remember time.
    pub(crate) ticks: Ticks,
}

/// One live run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunEntry {
    /// The number in its file name.
    pub(crate) number: u64,
    /// The generation it belongs to.
    pub(crate) generation: u64,
    /// How many records it has.
    pub(crate) records: u64,
    /// Length of its file.
    pub(crate) bytes: u64,
    /// Length of the values file beside it; 0 if it has none.
    pub(crate) values: u64,
}

impl RunEntry {
    /// Length of its files.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.bytes.saturating_add(self.values)
    }
}

/// An id that was told to be forgotten: records of it up to `at` do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ForgottenEntry {
    /// The id.
    pub(crate) fingerprint: Fingerprint,
    /// When it was forgotten.
    pub(crate) at: Timestamp,
    /// When it was seen again since; `Timestamp::MAX` if it was not.
    pub(crate) seen_again: Timestamp,
}

/// The content of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Counts the manifests of the store, from one.
    pub(crate) sequence: u64,
    /// How long an id is remembered, in microseconds.
    pub(crate) window: u64,
    /// How many generations a window is cut into.
    pub(crate) slices: u32,
    /// What store time follows: see `config::TimeSource::code`.
    pub(crate) time_source: u32,
    /// The latest store time when the manifest was written.
    pub(crate) high_water: Timestamp,
    /// Ids first seen from here on are remembered; of earlier ones some were dropped. Or [`CATCHING_UP`].
    pub(crate) complete_since: Timestamp,
    /// The lowest number of a segment that is not yet in a run.
    pub(crate) first_segment: u64,
    /// The highest number of a segment that existed when the manifest was written; lower than
    /// `first_segment` if there was none.
    pub(crate) last_segment: u64,
    /// How many bytes of that segment were durable then; 0 if that was not known. What is shorter now has
    /// lost some.
    pub(crate) last_len: u64,
    /// The number of the next run.
    pub(crate) next_run: u64,
    /// The number of the next generation.
    pub(crate) next_generation: u64,
    /// The number of the state file; zero if there is none.
    pub(crate) state: u64,
    /// Fencing tokens from here on were never given out.
    pub(crate) next_fence: u64,
    /// Generations that have runs, oldest first.
    pub(crate) generations: Vec<GenerationEntry>,
    /// Live runs, oldest first.
    pub(crate) runs: Vec<RunEntry>,
    /// Forgotten ids.
    pub(crate) forgotten: Vec<ForgottenEntry>,
}

impl Manifest {
    /// Notes the highest segment, and how much of it is durable. Where that is not known, what was known
    /// of the same segment still holds.
    pub(crate) fn set_last_segment(&mut self, number: u64, durable: Option<u64>) {
        let before = if number == self.last_segment { self.last_len } else { 0 };
        (self.last_segment, self.last_len) = (number, durable.unwrap_or(before).max(before));
    }

    /// The bytes of the file.
    pub(crate) fn encode(&self, store: &StoreId) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        bytes.extend_from_slice(MAGIC);
        let mut put = |words: &[u64]| words.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
        let count = |n: usize| u64::try_from(n).expect("counts fit");
        put(&[u64::from(VERSION), self.sequence, self.window]);
        put(&[u64::from(self.slices) | u64::from(self.time_source) << 32]);
        put(&[self.high_water.as_micros(), self.complete_since.as_micros()]);
        put(&[self.first_segment, self.next_run, self.next_generation]);
        put(&[count(self.generations.len()), count(self.runs.len()), count(self.forgotten.len())]);
        put(&[self.last_segment, self.state, self.next_fence, self.last_len]);
        for g in &self.generations {
            put(&[g.number, g.ticks.base.as_micros(), g.ticks.micros]);
        }
        for r in &self.runs {
            put(&[r.number, r.generation, r.records, r.bytes, r.values]);
        }
        for f in &self.forgotten {
            let Fingerprint { hi, lo } = f.fingerprint;
            put(&[lo, hi, f.at.as_micros(), f.seen_again.as_micros()]);
        }
        debug_assert_eq!(bytes.len() + 8, self.encoded_len());
        let sum = Salt::new(store, MAGIC, 0).sum(0, &bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    fn encoded_len(&self) -> usize {
        HEADER
            + self.generations.len() * GENERATION
            + self.runs.len() * RUN
            + self.forgotten.len() * FORGOTTEN
            + 8
    }

    /// Reads the bytes of the file at `path`.
    pub(crate) fn decode(bytes: &[u8], store: &StoreId, path: &Path) -> Result<Manifest> {
        let corrupt = |offset: usize, expected: String, found: String| {
            let (path, offset) = (path.to_path_buf(), offset as u64);
            Error::from(Corruption { path, offset, what: "manifest", expected, found })
        };
        if bytes.len() < HEADER + 8 || &bytes[..8] != MAGIC {
            let found = format!("{} bytes", bytes.len());
            return Err(corrupt(0, "a manifest's first bytes".into(), found));
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            let path = path.to_path_buf();
            return Err(Error::Version { path, found: version, supported: VERSION });
        }
        let end = bytes.len() - 8;
        let (sum, stored) = (Salt::new(store, MAGIC, 0).sum(0, &bytes[..end]), u64_at(bytes, end));
        if sum != stored {
            let found = format!("{stored:016x}");
            return Err(corrupt(end, format!("checksum {sum:016x}"), found));
        }
        let word = |i: usize| u64_at(bytes, 8 + i * 8);
        let [generations, runs, forgotten] = [word(9), word(10), word(11)];
        let expected = [(generations, GENERATION), (runs, RUN), (forgotten, FORGOTTEN)]
            .iter()
            .try_fold(HEADER + 8, |len, &(n, each)| {
                usize::try_from(n).ok()?.checked_mul(each)?.checked_add(len)
            });
        if expected != Some(bytes.len()) {
            return Err(corrupt(80, "counts that fill the file".into(), format!("{end} bytes")));
        }
        Ok(decode_lists(bytes, &word))
    }
}

/// Reads a manifest whose checksum and length are right.
fn decode_lists(bytes: &[u8], word: &dyn Fn(usize) -> u64) -> Manifest {
    let time = Timestamp::from_micros;
    let (generations, rest) =
        bytes[HEADER..bytes.len() - 8].split_at(word(9) as usize * GENERATION);
    let (runs, forgotten) = rest.split_at(word(10) as usize * RUN);
    Manifest {
        sequence: word(1),
        window: word(2),
        slices: word(3) as u32,
        time_source: (word(3) >> 32) as u32,
        high_water: time(word(4)),
        complete_since: time(word(5)),
        first_segment: word(6),
        last_segment: word(12),
        last_len: word(15),
        state: word(13),
        next_fence: word(14),
        next_run: word(7),
        next_generation: word(8),
        generations: generations
            .chunks_exact(GENERATION)
            .map(|g| {
                let ticks = Ticks { base: time(u64_at(g, 8)), micros: u64_at(g, 16).max(1) };
                GenerationEntry { number: u64_at(g, 0), ticks }
            })
            .collect(),
        runs: runs
            .chunks_exact(RUN)
            .map(|r| RunEntry {
                number: u64_at(r, 0),
                generation: u64_at(r, 8),
                records: u64_at(r, 16),
                bytes: u64_at(r, 24),
                values: u64_at(r, 32),
            })
            .collect(),
        forgotten: forgotten
            .chunks_exact(FORGOTTEN)
            .map(|f| ForgottenEntry {
                fingerprint: Fingerprint { lo: u64_at(f, 0), hi: u64_at(f, 8) },
                at: time(u64_at(f, 16)),
                seen_again: time(u64_at(f, 24)),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let ticks = Ticks { base: Timestamp::from_secs(1), micros: 17 };
        Manifest {
            sequence: 8,
            window: 86_400_000_000,
            slices: 8,
            time_source: 1,
            high_water: Timestamp::from_secs(5),
            complete_since: Timestamp::from_secs(2),
            first_segment: 11,
            last_segment: 14,
            last_len: 4_096,
            state: 9,
            next_fence: 77,
            next_run: 12,
            next_generation: 13,
            generations: vec![GenerationEntry { number: 3, ticks }],
            runs: vec![
                RunEntry { number: 5, generation: 3, records: 100, bytes: 8192, values: 0 },
                RunEntry { number: 6, generation: 3, records: 100, bytes: 8192, values: 140 },
            ],
            forgotten: vec![ForgottenEntry {
                fingerprint: Fingerprint::from_u128(u128::MAX - 5),
                at: Timestamp::from_secs(3),
                seen_again: Timestamp::MAX,
            }],
        }
    }

    #[test]
    fn round_trips() {
        let bytes = sample().encode(&[4; 16]);
        assert_eq!(Manifest::decode(&bytes, &[4; 16], Path::new("MANIFEST")).unwrap(), sample());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = sample().encode(&[4; 16]);
        let decode = |bytes: &[u8]| Manifest::decode(bytes, &[4; 16], Path::new("MANIFEST"));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        assert!(Manifest::decode(&bytes, &[5; 16], Path::new("MANIFEST")).is_err());
    }
}
