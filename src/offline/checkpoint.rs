//! Copies of a store that can be opened.
//!
//! 1. Take a snapshot: every file that is needed is open, so none can be lost any more.
//! 2. Measure the log: what verifies now is what the copy will have. It reaches at least to the point
//!    of the state file, which the manifest names only once the log up to there is durable.
//! 3. Give the state file, runs and their values a second name, or copy them; copy of each log segment
//!    what was measured.
//! 4. Read the state of the copy; open each run of it and hold it against the manifest.
//! 5. Write `STORE`, then the manifest, whose segments are those that were copied.
//!
//! So ids, progress, state, outcomes and what is prepared are those of one moment: they all come from
//! files that the manifest lists and from one prefix of the log.

use std::path::Path;
use std::sync::Arc;

use super::dest::Dest;
use super::log::{Part, parts};
use super::snapshot::{RunFile, RunSource, Snapshot, StateFile, ValuesFile};
use super::through::{copy_bytes, copy_through};
use crate::config::Backend;
use crate::error::{Error, Result};
use crate::format::names;
use crate::format::superblock::Superblock;
use crate::store::layout::{backend_of, read_manifest};
use crate::sys::{File, Storage};

/// How a copy is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Files that never change get a second name.
    Link,
    /// It shares nothing with the store.
    Copy,
    /// The same, with this backend.
    Into(Backend),
}

/// See [`checkpoint`](super::checkpoint).
pub(crate) fn checkpoint_in(storage: &Arc<dyn Storage>, dir: &Path, dest: &Path) -> Result<()> {
    copy_store(storage, dir, dest, How::Link)
}

/// See [`restore`](super::restore).
pub(super) fn restore_in(storage: &Arc<dyn Storage>, from: &Path, dest: &Path) -> Result<()> {
    copy_store(storage, from, dest, How::Copy)
}

/// See [`migrate`](super::migrate).
pub(super) fn migrate_in(
    storage: &Arc<dyn Storage>,
    from: &Path,
    dest: &Path,
    backend: Backend,
) -> Result<()> {
    copy_store(storage, from, dest, How::Into(backend))
}

fn copy_store(storage: &Arc<dyn Storage>, dir: &Path, dest: &Path, how: How) -> Result<()> {
    copy_snapshot(storage, Snapshot::take(&**storage, dir)?, dir, dest, how)
}

/// Copies what a snapshot was taken of.
pub(crate) fn copy_snapshot(
    storage: &Arc<dyn Storage>,
    mut snapshot: Snapshot,
    dir: &Path,
    dest: &Path,
    how: How,
) -> Result<()> {
    let parts = parts(&mut snapshot)?;
    let from = backend_of(&snapshot.superblock)?;
    let backend = match how {
        How::Into(backend) => backend,
        How::Link | How::Copy => from,
    };
    let Snapshot { superblock, mut manifest, files, .. } = snapshot;
    // Of claims that are in the log by now, tokens may have been reserved since.
    let now = read_manifest(&**storage, dir, &superblock.store)?;
    manifest.next_fence = manifest.next_fence.max(now.next_fence);
    let dest = Dest::claim(storage, dest, backend)?;
    for state in files.states {
        let to = names::state(dest.dir(), state.number);
        let file = copy_file(&*state.file, &state.path, &**storage, &to, how)?;
        StateFile { path: to, file, ..state }.read(&superblock.store)?;
    }
    if (from, backend) == (Backend::Mapped, Backend::Mapped) {
        copy_files(files.runs, &parts, &superblock, &dest, how)?;
    } else {
        copy_through(files.runs, &parts, &superblock, &mut manifest, &dest)?;
    }
    // What was copied is durable when the manifest is.
    (manifest.last_segment, manifest.last_len) = match parts.last() {
        Some(part) => (part.header.number, part.tail.end),
        None => (manifest.first_segment.saturating_sub(1), 0),
    };
    dest.finish(&superblock, manifest)
}

/// Copies runs and log of a store that has them in files of their own.
fn copy_files(
    runs: Vec<RunSource>,
    parts: &[Part],
    superblock: &Superblock,
    dest: &Dest<'_>,
    how: How,
) -> Result<()> {
    for run in runs {
        if let RunSource::File(run) = run {
            copy_run(run, superblock, dest, how)?;
        }
    }
    for part in parts {
        let to = names::segment(dest.dir(), part.header.number);
        copy_prefix(&*part.file, &part.path, part.tail.end, &**dest.storage(), &to)?;
    }
    Ok(())
}

fn copy_run(run: RunFile, superblock: &Superblock, dest: &Dest<'_>, how: How) -> Result<()> {
    let storage = &**dest.storage();
    let RunFile { number, entry, path, file, values } = run;
    let to = names::run(dest.dir(), number);
    let file = copy_file(&*file, &path, storage, &to, how)?;
    let values = match values {
        Some(values) => {
            let to = names::values(dest.dir(), number);
            let file = copy_file(&*values.file, &values.path, storage, &to, how)?;
            Some(ValuesFile { path: to, file, ..values })
        }
        None => None,
    };
    RunFile { number, entry, path: to, file, values }.open(superblock).map(drop)
}

/// Gives an immutable file a second name, or copies it; what has that name then.
fn copy_file(
    from: &dyn File,
    path: &Path,
    storage: &dyn Storage,
    to: &Path,
    how: How,
) -> Result<Box<dyn File>> {
    let linked = how == How::Link
        && match storage.link(path, to) {
            // Another file has taken its place, or its generation has expired, since the snapshot.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            linked => linked.map(|()| true).map_err(|e| Error::io("link", path, e))?,
        };
    if !linked {
        let len = from.len().map_err(|e| Error::io("measure", path, e))?;
        copy_prefix(from, path, len, storage, to)?;
    }
    storage.open(to).map_err(|e| Error::io("open", to, e))
}

/// Copies the first `len` bytes of `from` into a new file, and makes them durable.
fn copy_prefix(
    from: &dyn File,
    path: &Path,
    len: u64,
    storage: &dyn Storage,
    to: &Path,
) -> Result<()> {
    let file = storage.create(to).map_err(|e| Error::io("create", to, e))?;
    file.allocate(0, len).map_err(|e| Error::io("allocate", to, e))?;
    copy_bytes(from, path, len, &*file, to)?;
    file.sync_all().map_err(|e| Error::io("sync", to, e))
}
