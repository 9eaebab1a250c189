//! Snapshots of what is in a database: by way of its vault, which nobody else may have open.
//!
//! Whoever does not have the store open takes its lock for as long as the snapshot lives; if somebody has,
//! that is an error. The owner takes the snapshot through its own vault, with upkeep stopped.

use std::path::Path;
use std::sync::Arc;

use super::snapshot::{Files, RunSource, SegmentFile, Snapshot, expected_segments};
use crate::backend::{Place, Vault, check_backend, open_vault};
use crate::error::{Error, Result};
use crate::format::names;
use crate::format::superblock::Superblock;
use crate::run::ReadMode;
use crate::store::layout::{NEVER_USED, backend_of, read_manifest, read_store};
use crate::sys::{Lock, Storage, disk};

/// What a database's cache may take its share of.
pub(super) const MEMORY: u64 = 256 << 20;

/// A vault that was opened for the snapshot, under the lock of its store.
#[derive(Debug)]
pub(super) struct Held {
    /// None of a store that was never used: its process died before it had made one.
    vault: Option<Arc<dyn Vault>>,
    _lock: Box<dyn Lock>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.vault.iter().for_each(|vault| vault.close());
    }
}

impl Held {
    pub(super) fn open(storage: &dyn Storage, dir: &Path, superblock: &Superblock) -> Result<Held> {
        let backend = backend_of(superblock)?;
        check_backend(backend, storage)?;
        let path = dir.join(names::LOCK);
        let lock = storage.lock(&path).map_err(|e| Error::io("lock", &path, e))?;
        let lock = lock.ok_or_else(|| Error::Locked {
            path: dir.to_path_buf(),
            holder: disk::holder(&path),
        })?;
        if read_manifest(storage, dir, &superblock.store)?.sequence == NEVER_USED {
            return Ok(Held { vault: None, _lock: lock });
        }
        let storage: Arc<dyn Storage> = Arc::new(disk::Disk);
        let place = Place {
            storage: &storage,
            dir,
            store: superblock.store,
            read_mode: ReadMode::Positioned,
            memory_budget: MEMORY,
        };
        Ok(Held { vault: Some(open_vault(backend, &place, false)?), _lock: lock })
    }

    /// A snapshot of the store, which keeps it.
    pub(super) fn into_snapshot(self, storage: &dyn Storage, dir: &Path) -> Result<Snapshot> {
        let snapshot = snapshot_through(self.vault.as_deref(), storage, dir)?;
        Ok(Snapshot { held: Some(self), ..snapshot })
    }
}

/// A snapshot of a store by way of its vault, if it has one by now. Nothing is sealed, merged or expired
/// meanwhile.
pub(super) fn snapshot_through(
    vault: Option<&dyn Vault>,
    storage: &dyn Storage,
    dir: &Path,
) -> Result<Snapshot> {
    let (superblock, manifest) = read_store(storage, dir)?;
    let mut files = Files::default();
    let Some(vault) = vault else {
        return Ok(Snapshot { superblock, manifest, files, held: None });
    };
    for &entry in &manifest.runs {
        match vault.open_run(&entry) {
            Ok(run) => files.runs.push(RunSource::Open(run)),
            Err(Error::WindowIncomplete { missing }) => files.missing.push(missing),
            Err(error) => files.runs.push(RunSource::Broken(entry, error)),
        }
    }
    if manifest.state != 0 {
        files.open_state(storage, dir, manifest.state)?;
    }
    let listed = vault.segments(manifest.first_segment)?;
    let last = listed.last().copied().unwrap_or(0).max(manifest.last_segment);
    for number in expected_segments(&listed, manifest.first_segment, last) {
        let path = vault.segment_path(number);
        match listed.binary_search(&number) {
            Ok(_) => {
                let file = vault.open_segment(number)?;
                files.segments.push(SegmentFile { number, path, file });
            }
            Err(_) => files.missing.push(path),
        }
    }
    Ok(Snapshot { superblock, manifest, files, held: None })
}
