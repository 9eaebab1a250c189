//! What a store's folder holds, in numbers.

use std::path::Path;
use std::time::Duration;

use super::log::parts;
use super::snapshot::{RunSource, Snapshot, open_if_there};
use super::state::{InDoubt, in_doubt};
use super::survey::Survey;
use crate::config::{Backend, TimeSource};
use crate::error::{Error, Result};
use crate::format::manifest::RunEntry;
use crate::format::{VERSION, names};
use crate::identity::IdentityKind;
use crate::store::layout::{backend_of, identity_of, time_source_of};
use crate::sys::Storage;
use crate::time::Timestamp;

/// What a store's folder holds: see [`inspect`](super::inspect).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// How ids are told apart.
    pub identity: IdentityKind,
    /// Where its log and its runs are kept.
    pub backend: Backend,
    /// When the store was created.
    pub created: Timestamp,
    /// The version of its format.
    pub format_version: u32,
    /// How many manifests it has had.
    pub sequence: u64,
    /// How long an id is remembered.
    pub window: Duration,
    /// What its time follows.
    pub time_source: TimeSource,
    /// The latest store time on disk.
    pub high_water: Timestamp,
    /// Ids first seen from here on are remembered; of earlier ones some were dropped.
    /// [`Timestamp::MAX`] while a [catch-up](crate::CatchUp) has not finished.
    pub complete_since: Timestamp,
    /// Generations that have runs, oldest first.
    pub generations: Vec<Generation>,
    /// Runs.
    pub runs: u64,
    /// Ids in runs.
    pub ids_in_runs: u64,
    /// Ids in the log, up to the last frame that verifies. A store that is open elsewhere may be
    /// adding to them.
    pub ids_in_log: u64,
    /// Segments of the log that an opening would replay.
    pub log_segments: u64,
    /// Bytes of them that verify.
    pub log_bytes: u64,
    /// Bytes at the ends of segments that an opening would drop.
    pub torn_bytes: u64,
    /// Bytes of all files of the store, with the room that is set aside.
    pub total_bytes: u64,
    /// Ids that were told to be forgotten and are kept track of.
    pub forgotten: u64,
    /// Ids that an outcome or the fingerprint of a payload is kept with: entries beside runs, and ids
    /// of the log.
    pub values: u64,
    /// Bytes of that: of the files beside runs, and in the log.
    pub values_bytes: u64,
    /// All sources and their progress, by name.
    pub sources: Vec<(String, u64)>,
    /// Keys of the state.
    pub state_keys: u64,
    /// Bytes of these keys and their values.
    pub state_bytes: u64,
    /// What is prepared and neither committed nor aborted, by token.
    pub in_doubt: Vec<InDoubt>,
}

impl Inspection {
    /// Ids on disk: in runs and in the log, expired ones that were not dropped yet included.
    #[must_use]
    pub fn ids(&self) -> u64 {
        self.ids_in_runs + self.ids_in_log
    }
}

/// One time slice of a store and its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generation {
    /// Its number; later generations have higher ones.
    pub number: u64,
    /// Its first moment.
    pub start: Timestamp,
    /// The moment after its last.
    pub end: Timestamp,
    /// How many runs it has.
    pub runs: u64,
    /// Ids in them.
    pub ids: u64,
    /// Bytes of them, with what is kept with their ids.
    pub bytes: u64,
}

pub(super) fn inspect(storage: &dyn Storage, dir: &Path) -> Result<Inspection> {
    let mut snapshot = Snapshot::take(storage, dir)?;
    let parts = parts(&mut snapshot)?;
    let (values, values_bytes) = values_beside_runs(&mut snapshot)?;
    let Snapshot { superblock, manifest, .. } = &snapshot;
    let survey = Survey::new(manifest).with_state(snapshot.state()?).with_values().read(&parts)?;
    let logged = survey.values_total();
    let generations = manifest.generations.iter().map(|generation| {
        let runs = manifest.runs.iter().filter(|run| run.generation == generation.number);
        Generation {
            number: generation.number,
            start: generation.ticks.base,
            end: generation.ticks.end(),
            runs: runs.clone().count() as u64,
            ids: runs.clone().map(|run| run.records).sum(),
            bytes: runs.map(RunEntry::total_bytes).sum(),
        }
    });
    let mut found = Inspection {
        identity: identity_of(superblock)?,
        backend: backend_of(superblock)?,
        created: Timestamp::from_micros(superblock.created),
        format_version: VERSION,
        sequence: manifest.sequence,
        window: Duration::from_micros(manifest.window),
        time_source: time_source_of(manifest)?,
        high_water: survey.high_water,
        complete_since: manifest.complete_since,
        generations: generations.collect(),
        runs: manifest.runs.len() as u64,
        ids_in_runs: manifest.runs.iter().map(|run| run.records).sum(),
        ids_in_log: survey.ids,
        log_segments: parts.len() as u64,
        log_bytes: parts.iter().map(|part| part.tail.end).sum(),
        torn_bytes: parts.iter().map(|part| part.tail.torn).sum(),
        total_bytes: total_bytes(storage, dir)?,
        forgotten: survey.forgotten.len() as u64,
        values: values + logged.0,
        values_bytes: values_bytes + logged.1,
        sources: Vec::new(),
        state_keys: 0,
        state_bytes: 0,
        in_doubt: Vec::new(),
    };
    let state = survey.into_state();
    for entry in state.scan(b"") {
        found.state_keys += 1;
        found.state_bytes += (entry.key.len() + entry.value.len()) as u64;
    }
    found.sources = state.sources();
    found.in_doubt = in_doubt(&state);
    Ok(found)
}

/// How many ids have something kept with them beside runs, and the bytes of that.
fn values_beside_runs(snapshot: &mut Snapshot) -> Result<(u64, u64)> {
    let store = &snapshot.superblock.store;
    snapshot.files.runs.iter_mut().try_fold((0, 0), |(entries, bytes), run| {
        let found = match run {
            RunSource::File(file) => match file.values.take().map(|file| file.open(store)) {
                Some(values) => values.map(|values| (values.entries(), values.bytes()))?,
                None => (0, 0),
            },
            RunSource::Open(run) => (run.values(), run.entry().values),
            RunSource::Broken(entry, _) => (0, entry.values),
        };
        Ok((entries + found.0, bytes + found.1))
    })
}

/// Bytes of all files in a folder, and in its folders down to `depth`.
fn folder_bytes(storage: &dyn Storage, path: &Path, depth: u32) -> Result<u64> {
    let mut bytes = 0;
    for name in storage.list(path).map_err(|e| Error::io("read", path, e))? {
        let path = path.join(name);
        // What is not a file is a folder; one that is gone by now takes nothing.
        bytes += match storage.open(&path).and_then(|file| file.len()) {
            Ok(len) => len,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
            Err(_) if depth > 0 => folder_bytes(storage, &path, depth - 1)?,
            Err(e) => return Err(Error::io("measure", &path, e)),
        };
    }
    Ok(bytes)
}

/// Bytes of all files of the store. One that is gone by now takes none.
fn total_bytes(storage: &dyn Storage, dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for name in storage.list(dir).map_err(|e| Error::io("read", dir, e))? {
        let path = dir.join(&name);
        match names::parse(&name) {
            names::Kind::Foreign => continue,
            names::Kind::Database => {
                bytes += folder_bytes(storage, &path, 1)?;
                continue;
            }
            _ => {}
        }
        if let Some(file) = open_if_there(storage, &path)? {
            bytes += file.len().map_err(|e| Error::io("measure", &path, e))?;
        }
    }
    Ok(bytes)
}
