//! Writes a store as a stream: generation by generation, the records of its runs and of its part of
//! the log merged.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::super::log::{Part, Survey, parts, survey};
use super::super::snapshot::{RunFile, Snapshot};
use crate::error::{Corruption, Error, Result};
use crate::format::checksum::Salt;
use crate::format::export::{
    Block, FORGOTTEN_MAX, RECORDS_MAX, STREAM, StreamHeader, preamble, salt,
};
use crate::format::manifest::ForgottenEntry;
use crate::format::superblock::Superblock;
use crate::run::{Cursor, Merge, Record, Run, Sorted};
use crate::sys::Storage;
use crate::time::Ticks;

/// See [`export`](super::super::export).
pub(crate) fn export_in(storage: &dyn Storage, dir: &Path, out: &mut dyn Write) -> Result<u64> {
    let mut snapshot = Snapshot::take(storage, dir)?;
    let parts = parts(&mut snapshot)?;
    let survey = survey(&snapshot.manifest, &parts)?;
    let forgotten = survey.forgotten_entries();
    let mut stream = Stream::start(out, &snapshot.superblock)?;
    stream.push(&Block::Header(header(&snapshot, &survey, forgotten.len())))?;
    for entries in forgotten.chunks(FORGOTTEN_MAX) {
        stream.push(&Block::Forgotten(entries.to_vec()))?;
    }
    let superblock = snapshot.superblock.clone();
    let (mut generations, mut records) = (0, 0);
    for (number, generation) in by_generation(snapshot, &parts)? {
        let written = generation.write(number, &superblock, &forgotten, &mut stream)?;
        generations += u64::from(written > 0);
        records += written;
    }
    stream.push(&Block::End { generations, records })?;
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

/// Blocks on their way out.
struct Stream<'a> {
    out: &'a mut dyn Write,
    salt: Salt,
    offset: u64,
}

impl<'a> Stream<'a> {
    fn start(out: &'a mut dyn Write, superblock: &Superblock) -> Result<Stream<'a>> {
        let mut stream = Stream { out, salt: salt(&superblock.store), offset: 0 };
        stream.put(&preamble(&superblock.store))?;
        Ok(stream)
    }

    fn push(&mut self, block: &Block) -> Result<()> {
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
    runs: Vec<RunFile>,
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
        let number = run.entry.map_or(0, |entry| entry.generation);
        let generation = generations.get_mut(&number).ok_or_else(|| Corruption {
            path: run.path.clone(),
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
    /// Writes the generation and its records; nothing if there are none.
    fn write(
        self,
        number: u64,
        superblock: &Superblock,
        forgotten: &[ForgottenEntry],
        stream: &mut Stream<'_>,
    ) -> Result<u64> {
        let logged = self.logged()?;
        let mut runs = Vec::with_capacity(self.runs.len());
        for file in self.runs {
            let path = file.path.clone();
            let run = file.open(superblock)?;
            check_ticks(&path, self.ticks, run.ticks())?;
            runs.push(run);
        }
        let expected = runs.iter().map(Run::records).sum::<u64>() + logged.len() as u64;
        let mut sources: Vec<Source<'_>> =
            runs.iter().map(|run| Source::Run(run.cursor())).collect();
        sources.push(Source::Log(logged.into_iter()));
        let mut records = 0;
        let mut block = Vec::with_capacity(RECORDS_MAX);
        for record in Merge::new(sources)? {
            let record = record?;
            if forgotten.binary_search_by_key(&record.0, |entry| entry.fingerprint).is_ok() {
                continue;
            }
            if records == 0 {
                stream.push(&Block::Generation { number, ticks: self.ticks, expected })?;
            }
            records += 1;
            block.push(record);
            if block.len() == RECORDS_MAX {
                stream.push(&Block::Records(std::mem::take(&mut block)))?;
            }
        }
        if !block.is_empty() {
            stream.push(&Block::Records(block))?;
        }
        Ok(records)
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

/// Where a merge gets records from.
enum Source<'a> {
    Run(Cursor<'a>),
    Log(std::vec::IntoIter<Record>),
}

impl Sorted for Source<'_> {
    fn next_record(&mut self) -> Result<Option<Record>> {
        match self {
            Source::Run(cursor) => cursor.next_record(),
            Source::Log(records) => Ok(records.next()),
        }
    }
}
