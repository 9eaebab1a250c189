//! What a store's folder holds, read as it stands: what opening and offline tools have in common.

use std::path::Path;

use super::catalog::read_file;
use crate::config::{Backend, TimeSource};
use crate::error::{Corruption, Error, Result};
use crate::format::frame::HEADER as FRAME_HEADER;
use crate::format::manifest::{Manifest, RunEntry};
use crate::format::segment::{BYTES as HEADER, SegmentHeader, is_front};
use crate::format::snapshot::Snapshot;
use crate::format::superblock::Superblock;
use crate::format::{NUMBER_END, StoreId, names};
use crate::identity::IdentityKind;
use crate::state::State;
use crate::sys::{File, Storage};

/// The sequence number of a manifest that says: the store was made, and nothing was put in it yet. A
/// database it may not even have.
pub(crate) const NEVER_USED: u64 = 1;

/// Reads `STORE` and `MANIFEST`.
pub(crate) fn read_store(storage: &dyn Storage, dir: &Path) -> Result<(Superblock, Manifest)> {
    let path = dir.join(names::STORE);
    let bytes = read_file(storage, &path)?;
    let bytes = bytes.ok_or_else(|| Error::WindowIncomplete { missing: path.clone() })?;
    let superblock = Superblock::decode(&bytes, &path)?;
    let manifest = read_manifest(storage, dir, &superblock.store)?;
    Ok((superblock, manifest))
}

/// Reads `MANIFEST`.
pub(crate) fn read_manifest(
    storage: &dyn Storage,
    dir: &Path,
    store: &StoreId,
) -> Result<Manifest> {
    let path = dir.join(names::MANIFEST);
    let bytes = read_file(storage, &path)?;
    let bytes = bytes.ok_or_else(|| Error::WindowIncomplete { missing: path.clone() })?;
    let manifest = Manifest::decode(&bytes, store, &path)?;
    check_numbers(&manifest, &path)?;
    Ok(manifest)
}

/// Refuses numbers that nobody could count on from, or add up: that they verify does not make them true.
fn check_numbers(manifest: &Manifest, path: &Path) -> Result<()> {
    let Manifest { sequence, first_segment, next_run, next_generation, .. } = *manifest;
    let from_one = [sequence, first_segment, next_run, next_generation];
    let from_zero = [manifest.last_segment, manifest.state, manifest.next_fence];
    let generations = manifest.generations.iter().map(|generation| generation.number);
    let runs = manifest.runs.iter().flat_map(|run| [run.number, run.generation]);
    let mut all = from_one.into_iter().chain(from_zero).chain(generations).chain(runs);
    let wrong = all.find(|&number| number >= NUMBER_END);
    let wrong = wrong.or(from_one.into_iter().find(|&number| number == 0));
    let sum_of = |of: fn(&RunEntry) -> u64| {
        manifest.runs.iter().map(of).fold(0, |sum: u64, each| sum.saturating_add(each))
    };
    let sums = [sum_of(|run| run.records), sum_of(|run| run.bytes), sum_of(|run| run.values)];
    match wrong.or(sums.into_iter().find(|&sum| sum >= NUMBER_END)) {
        Some(number) => Err(damaged_number(path, 0, "manifest", number)),
        None => Ok(()),
    }
}

/// The damage of a number that cannot be one.
pub(crate) fn damaged_number(path: &Path, offset: u64, what: &'static str, found: u64) -> Error {
    let (path, expected) = (path.to_path_buf(), format!("numbers from 1, below {NUMBER_END}"));
    Corruption { path, offset, what, expected, found: found.to_string() }.into()
}

/// Reads state file `number`; an empty state if that is zero.
pub(crate) fn read_state(
    storage: &dyn Storage,
    dir: &Path,
    store: &StoreId,
    number: u64,
) -> Result<State> {
    if number == 0 {
        return Ok(State::default());
    }
    let path = names::state(dir, number);
    let bytes = read_file(storage, &path)?;
    let bytes = bytes.ok_or_else(|| Error::WindowIncomplete { missing: path.clone() })?;
    Ok(State::restore(&Snapshot::decode(&bytes, store, number, &path)?))
}

/// The identity that a store keeps.
pub(crate) fn identity_of(superblock: &Superblock) -> Result<IdentityKind> {
    IdentityKind::from_code(superblock.identity).ok_or_else(|| Error::InvalidOption {
        option: "identity",
        reason: format!("the store has number {}, unknown", superblock.identity),
    })
}

/// Where a store keeps its log and its runs.
pub(crate) fn backend_of(superblock: &Superblock) -> Result<Backend> {
    Backend::from_code(superblock.backend).ok_or_else(|| Error::InvalidOption {
        option: "backend",
        reason: format!("the store has number {}, unknown", superblock.backend),
    })
}

/// What a store's time follows.
pub(crate) fn time_source_of(manifest: &Manifest) -> Result<TimeSource> {
    TimeSource::from_code(manifest.time_source).ok_or_else(|| Error::InvalidOption {
        option: "time",
        reason: format!("the store has number {}, unknown", manifest.time_source),
    })
}

/// Whether the header of a segment was written to its end and has changed since: it neither verifies nor was its
/// write cut short, or never begun.
pub(super) fn header_has_changed(
    file: &dyn File,
    path: &Path,
    store: &StoreId,
    number: u64,
) -> Result<bool> {
    let mut bytes = [0; HEADER];
    let filled = read_at_most(file, path, &mut bytes)?;
    Ok(filled == HEADER && !is_front(&bytes, store, number))
}

/// Reads the header of a segment; `None` if the segment was created and its header never written, or not
/// to its end: nothing stands behind such a header.
pub(crate) fn read_segment_header(
    file: &dyn File,
    path: &Path,
    store: &StoreId,
    number: u64,
) -> Result<Option<SegmentHeader>> {
    // With the place of the first frame's header.
    let mut bytes = [0; HEADER + FRAME_HEADER];
    let filled = read_at_most(file, path, &mut bytes)?;
    let header = match SegmentHeader::decode(&bytes[..filled.min(HEADER)], store, number, path) {
        Err(Error::Corrupt(_)) if bytes[HEADER..].iter().all(|&byte| byte == 0) => return Ok(None),
        decoded => decoded?,
    };
    match &header {
        Some(header) if header.generation >= NUMBER_END => {
            Err(damaged_number(path, 40, "log segment header", header.generation))
        }
        _ => Ok(header),
    }
}

/// Reads from the start of a file, as much as it has; returns how much that is.
fn read_at_most(file: &dyn File, path: &Path, bytes: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("read", path, e)),
        }
    }
    Ok(filled)
}
