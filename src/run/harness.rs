//! Runs for benches.

use std::path::Path;

use super::{Merge, ReadMode, Records, Run, RunSpec, RunWriter};
use crate::error::Result;
use crate::key::Fingerprint;
use crate::sys::File;
use crate::time::{Ticks, Timestamp};

const STORE: [u8; 16] = *b"a store of bench";

/// An open run.
#[derive(Debug)]
pub struct BenchRun(Run);

/// Writes ascending records as a run; returns the length of the file.
pub fn write(file: Box<dyn File>, path: &Path, records: &[(u128, u8)]) -> Result<u64> {
    let spec = RunSpec {
        store: STORE,
        number: 1,
        generation: 1,
        ticks: Ticks { base: Timestamp::MIN, micros: 1 },
        expected: records.len() as u64,
        filter_bits_per_id: 10,
    };
    let mut writer = RunWriter::new(file, path, spec)?;
    for chunk in records.chunks(1024) {
        let chunk = chunk.iter().map(|&(bits, tick)| (Fingerprint::from_u128(bits), tick));
        writer.extend(&chunk.collect::<Vec<_>>())?;
    }
    Ok(writer.finish()?.bytes)
}

impl BenchRun {
    /// Opens what [`write`] wrote.
    pub fn open(file: Box<dyn File>, path: &Path, mode: ReadMode) -> Result<BenchRun> {
        Run::open(file, path.to_path_buf(), &STORE, 1, mode).map(BenchRun)
    }

    /// The tick of a fingerprint.
    #[inline]
    pub fn get(&self, bits: u128) -> Result<Option<u8>> {
        Ok(self.0.get(Fingerprint::from_u128(bits))?.tick)
    }

    /// How many of a batch, those at the indices `asked`, are found.
    pub fn find_each(&self, batch: &[Fingerprint], asked: &[u32]) -> Result<usize> {
        let mut found = 0;
        self.0.get_each(batch, asked, |_, lookup| found += usize::from(lookup.tick.is_some()))?;
        Ok(found)
    }

    /// Adds to `out` those of a batch, of the indices `asked`, that the filter lets through.
    pub fn filter_each(
        &self,
        batch: &[Fingerprint],
        asked: &[u32],
        out: &mut Vec<u32>,
    ) -> Result<()> {
        self.0.filter_each(batch, asked, out)
    }

    /// What the filter says of a fingerprint.
    #[inline]
    pub fn may_contain(&self, bits: u128) -> Result<bool> {
        self.0.filter_may_contain(Fingerprint::from_u128(bits))
    }
}

/// Merges runs; returns how many records came out.
pub fn merge(runs: &[BenchRun]) -> Result<u64> {
    let mut records = 0;
    Merge::new(runs.iter().map(|run| run.0.cursor()).collect()).each_chunk(|chunk| {
        records += std::hint::black_box(chunk).len() as u64;
        Ok(())
    })?;
    Ok(records)
}
