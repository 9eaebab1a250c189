//! Writes a store as a stream: generation by generation, the records of its runs and of its part of
//! the log merged.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::super::log::{Part, parts};
use super::super::snapshot::{RunSource, Snapshot};
use super::super::survey::Survey;
use crate::backend::{Sealed, ValuesInOrder};
use crate::error::{Corruption, Error, Result};
use crate::format::checksum::Salt;
use crate::format::export::{
    Block, FORGOTTEN_MAX, RECORDS_MAX, STREAM, StreamHeader, VALUES_MAX, preamble, salt,
};
use crate::format::manifest::ForgottenEntry;
use crate::format::superblock::Superblock;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::{LatestValues, Merge, Record, Records};
use crate::sys::Storage;
use crate::time::Ticks;

/// See [`export`](super::super::export).
pub(crate) fn export_in(storage: &dyn Storage, dir: &Path, out: &mut dyn Write) -> Result<u64> {
    export_snapshot(Snapshot::take(storage, dir)?, out)
}

/// Writes what a snapshot was taken of.
pub(crate) fn export_snapshot(mut snapshot: Snapshot, out: &mut dyn Write) -> Result<u64> {
    // The database is read up to the end.
    let _held = snapshot.held.take();
    let parts = parts(&mut snapshot)?;
    let survey = Survey::new(&snapshot.manifest).with_values().read(&parts)?;
    let forgotten = survey.forgotten_entries();
    let mut stream = Stream::start(out, &snapshot.superblock)?;
    stream.push(&Block::Header(header(&snapshot, &survey, forgotten.len())))?;
    for entries in forgotten.chunks(FORGOTTEN_MAX) {
        stream.push(&Block::Forgotten(entries.to_vec()))?;
    }
    let superblock = snapshot.superblock.clone();
    for (number, generation) in by_generation(snapshot, &parts)? {
        let values = survey.values(number);
        generation.write(number, &superblock, values, &forgotten, &mut stream)?;
    }
    let Totals { generations, records, values } = stream.totals;
    stream.push(&Block::End { generations, records, values })?;
    stream.out.flush().map_err(|e| Error::io("write", Path::new(STREAM), e))?;
    Ok(records)
}

fn header(snapshot: &Snapshot, survey: &Survey, forgotten: usize) -> StreamHeader {
    let Snapshot { superblock, manifest, .. } = snapshot;
    StreamHeader {
        identity: superblock.identity,
        slices: manifest.slices,
        key: superblock.key,
        created: superblock.created,
        window: manifest.window,
        time_source: manifest.time_source,
        high_water: survey.high_water,
        complete_since: manifest.complete_since,
        next_generation: survey.next_generation,
        forgotten: forgotten as u64,
    }
}

/// What was written so far.
#[derive(Clone, Copy, Default)]
struct Totals {
    generations: u64,
    records: u64,
    values: u64,
}

/// Blocks on their way out.
struct Stream<'a> {
    out: &'a mut dyn Write,
    salt: Salt,
    offset: u64,
    totals: Totals,
    /// The generation's block, until there is something of it.
    pending: Option<Block>,
}

impl<'a> Stream<'a> {
    fn start(out: &'a mut dyn Write, superblock: &Superblock) -> Result<Stream<'a>> {
        let (salt, totals) = (salt(&superblock.store), Totals::default());
        let mut stream = Stream { out, salt, offset: 0, totals, pending: None };
        stream.put(&preamble(&superblock.store))?;
        Ok(stream)
    }

    fn push(&mut self, block: &Block) -> Result<()> {
        match block {
            Block::Records(records) => self.totals.records += records.len() as u64,
            Block::Values(values) => self.totals.values += values.len() as u64,
            _ => {}
        }
        if let Some(generation) = self.pending.take() {
            self.totals.generations += 1;
            self.put(&generation.encode(self.salt, self.offset))?;
        }
        self.put(&block.encode(self.salt, self.offset))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|e| Error::io("write", Path::new(STREAM), e))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

/// Where the records of a generation are.
struct Sources<'a> {
    ticks: Ticks,
    runs: Vec<RunSource>,
    parts: Vec<&'a Part>,
}

/// Sorts runs and segments by their generation.
fn by_generation(snapshot: Snapshot, parts: &[Part]) -> Result<BTreeMap<u64, Sources<'_>>> {
    let fresh = |ticks| Sources { ticks, runs: Vec::new(), parts: Vec::new() };
    let listed = snapshot.manifest.generations.iter().map(|g| (g.number, fresh(g.ticks)));
    let mut generations: BTreeMap<u64, Sources<'_>> = listed.collect();
    for part in parts {
        let generation =
            generations.entry(part.generation()).or_insert_with(|| fresh(part.ticks()));
        check_ticks(&part.path, generation.ticks, part.ticks())?;
        generation.parts.push(part);
    }
    for run in snapshot.files.runs {
        let number = run.entry().map_or(0, |entry| entry.generation);
        let generation = generations.get_mut(&number).ok_or_else(|| Corruption {
            path: run.path(),
            offset: 0,
            what: "run",
            expected: "a generation that the manifest lists".into(),
            found: format!("generation {number}"),
        })?;
        generation.runs.push(run);
    }
    Ok(generations)
}

fn check_ticks(path: &Path, expected: Ticks, found: Ticks) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::from(Corruption {
        path: path.to_path_buf(),
        offset: 0,
        what: "ticks of a generation",
        expected: format!("{expected:?}"),
        found: format!("{found:?}"),
    }))
}

impl Sources<'_> {
    /// Writes the generation, its records and its values; nothing if there are none.
    fn write(
        self,
        number: u64,
        superblock: &Superblock,
        values: Vec<(Fingerprint, Value)>,
        forgotten: &[ForgottenEntry],
        stream: &mut Stream<'_>,
    ) -> Result<()> {
        let logged = self.logged()?;
        let mut runs = Vec::with_capacity(self.runs.len());
        for file in self.runs {
            let path = file.path();
            let run = file.open(superblock)?;
            check_ticks(&path, self.ticks, run.ticks())?;
            runs.push(run);
        }
        let expected = runs.iter().map(|run| run.records()).sum::<u64>() + logged.len() as u64;
        stream.pending = Some(Block::Generation { number, ticks: self.ticks, expected });
        write_records(&runs, logged, forgotten, stream)?;
        write_values(&runs, values, forgotten, stream)?;
        stream.pending = None;
        Ok(())
    }

    /// The records that are in the log, ascending, each id once.
    fn logged(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for part in &self.parts {
            part.each(&mut |logged| {
                if !logged.forget {
                    records.push((logged.fingerprint, logged.tick));
                }
                Ok(())
            })?;
        }
        records.sort_unstable();
        records.dedup_by_key(|&mut (id, _)| id);
        Ok(records)
    }
}

/// Writes the records of runs and log, but for those of forgotten ids.
fn write_records(
    runs: &[Arc<dyn Sealed>],
    logged: Vec<Record>,
    forgotten: &[ForgottenEntry],
    stream: &mut Stream<'_>,
) -> Result<()> {
    let mut sources: Vec<Box<dyn Records + '_>> =
        runs.iter().map(|run| run.records_from(0)).collect();
    sources.push(Box::new(logged.into_iter()));
    let mut block = Vec::with_capacity(RECORDS_MAX);
    Merge::new(sources).each_chunk(|chunk| {
        for &record in chunk.iter().filter(|(id, _)| find(forgotten, *id).is_none()) {
            block.push(record);
            if block.len() == RECORDS_MAX {
                stream.push(&Block::Records(std::mem::take(&mut block)))?;
            }
        }
        Ok(())
    })?;
    if !block.is_empty() {
        stream.push(&Block::Records(block))?;
    }
    Ok(())
}

/// Writes the values beside runs and in the log, but for those that were told to be forgotten.
fn write_values(
    runs: &[Arc<dyn Sealed>],
    logged: Vec<(Fingerprint, Value)>,
    forgotten: &[ForgottenEntry],
    stream: &mut Stream<'_>,
) -> Result<()> {
    let mut sources: Vec<ValuesInOrder<'_>> =
        runs.iter().map(|run| run.values_after(None)).collect();
    sources.push(Box::new(logged.into_iter().map(Ok)));
    let (mut block, mut bytes) = (Vec::new(), 0);
    for entry in LatestValues::new(sources)? {
        let (id, value) = entry?;
        if find(forgotten, id).is_some_and(|entry| value.time <= entry.at) {
            continue;
        }
        if bytes > 0 && bytes + value.entry_len() > VALUES_MAX {
            stream.push(&Block::Values(std::mem::take(&mut block)))?;
            bytes = 0;
        }
        bytes += value.entry_len();
        block.push((id, value));
    }
    if !block.is_empty() {
        stream.push(&Block::Values(block))?;
    }
    Ok(())
}

/// The entry of a forgotten id.
fn find(forgotten: &[ForgottenEntry], id: Fingerprint) -> Option<&ForgottenEntry> {
    let at = forgotten.binary_search_by_key(&id, |entry| entry.fingerprint).ok()?;
    Some(&forgotten[at])
}
