//! Every record on disk, in the order it is found.

use std::io;
use std::path::Path;

use super::log::parts;
use super::snapshot::Snapshot;
use super::survey::Survey;
use crate::error::{Error, Result};
use crate::key::Fingerprint;
use crate::run::Records;
use crate::sys::Storage;
use crate::time::{Ticks, Timestamp};

/// An id on disk: see [`dump`](super::dump).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Record {
    /// By what the id is known. The id itself is not kept.
    pub fingerprint: Fingerprint,
    /// When it was first seen, rounded down to the tick.
    pub first_seen: Timestamp,
    /// The generation that it belongs to.
    pub generation: u64,
}

pub(super) fn dump(
    storage: &dyn Storage,
    dir: &Path,
    each: &mut dyn FnMut(Record) -> io::Result<()>,
) -> Result<u64> {
    let mut snapshot = Snapshot::take(storage, dir)?;
    let parts = parts(&mut snapshot)?;
    let survey = Survey::new(&snapshot.manifest).read(&parts)?;
    let Snapshot { superblock, manifest, files, .. } = snapshot;
    let forgotten = survey.forgotten_entries();
    let mut records = 0;
    let mut give = |fingerprint: Fingerprint, first_seen: Timestamp, generation: u64| {
        records += 1;
        each(Record { fingerprint, first_seen, generation })
            .map_err(|e| Error::io("hand out a record of", dir, e))
    };
    let decided =
        |id: Fingerprint| forgotten.binary_search_by_key(&id, |entry| entry.fingerprint).is_ok();
    for file in files.runs {
        let run = file.open(&superblock)?;
        let (generation, ticks) = (run.generation(), run.ticks());
        run.records_from(0).each_chunk(|chunk| {
            let mut kept = chunk.iter().filter(|&&(id, _)| !decided(id));
            kept.try_for_each(|&(id, tick)| give(id, ticks.start_of(tick), generation))
        })?;
    }
    for part in &parts {
        part.each(&mut |logged| match logged.forget || decided(logged.fingerprint) {
            true => Ok(()),
            false => {
                let first_seen = part.ticks().start_of(logged.tick);
                give(logged.fingerprint, first_seen, part.generation())
            }
        })?;
    }
    let listed = manifest.generations.iter().map(|g| (g.number, g.ticks));
    let generations: Vec<(u64, Ticks)> =
        listed.chain(parts.iter().map(|part| (part.generation(), part.ticks()))).collect();
    for entry in forgotten.iter().filter(|entry| entry.seen_again != Timestamp::MAX) {
        let began = generations.iter().filter(|(_, ticks)| ticks.base <= entry.seen_again);
        let generation = began.map(|&(number, _)| number).max().unwrap_or(0);
        give(entry.fingerprint, entry.seen_again, generation)?;
    }
    Ok(records)
}
