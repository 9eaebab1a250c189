//! Copies of a store that can be opened.
//!
//! 1. Take a snapshot: every file that is needed is open, so none can be lost any more.
//! 2. Give runs and their values a second name, or copy them; copy of each log segment what verifies.
//! 3. Open each run of the copy and hold it against the manifest.
//! 4. Write `STORE`, then the manifest, whose segments are those that were copied.

use std::path::Path;
use std::sync::Arc;

use super::dest::Dest;
use super::log::parts;
use super::snapshot::{RunFile, Snapshot, ValuesFile};
use crate::error::{Error, Result};
use crate::format::names;
use crate::format::superblock::Superblock;
use crate::sys::{File, Storage, read_exact_at, write_all_at};

/// Bytes that are copied at once.
const CHUNK: u64 = 1 << 20;

/// How runs come into the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    Link,
    Copy,
}

/// See [`checkpoint`](super::checkpoint).
pub(crate) fn checkpoint_in(storage: &Arc<dyn Storage>, dir: &Path, dest: &Path) -> Result<()> {
    copy_store(storage, dir, dest, Runs::Link)
}

/// See [`restore`](super::restore).
pub(super) fn restore_in(storage: &Arc<dyn Storage>, from: &Path, dest: &Path) -> Result<()> {
    copy_store(storage, from, dest, Runs::Copy)
}

fn copy_store(storage: &Arc<dyn Storage>, dir: &Path, dest: &Path, how: Runs) -> Result<()> {
    let mut snapshot = Snapshot::take(&**storage, dir)?;
    let parts = parts(&mut snapshot)?;
    let Snapshot { superblock, mut manifest, files, .. } = snapshot;
    let dest = Dest::claim(storage, dest)?;
    for run in files.runs {
        copy_run(run, &superblock, &dest, how)?;
    }
    for part in &parts {
        let to = names::segment(dest.dir(), part.header.number);
        copy_prefix(&*part.file, &part.path, part.tail.end, &**storage, &to)?;
    }
    manifest.last_segment =
        parts.last().map_or(manifest.first_segment.saturating_sub(1), |part| part.header.number);
    dest.finish(&superblock, manifest)
}

fn copy_run(run: RunFile, superblock: &Superblock, dest: &Dest<'_>, how: Runs) -> Result<()> {
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
    how: Runs,
) -> Result<Box<dyn File>> {
    let linked = how == Runs::Link
        && match storage.link(path, to) {
            // Its generation has expired, or it was merged, since the snapshot.
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
    let mut buffer = vec![0; len.min(CHUNK) as usize];
    let mut offset = 0;
    while offset < len {
        let chunk = &mut buffer[..(len - offset).min(CHUNK) as usize];
        read_exact_at(from, chunk, offset).map_err(|e| Error::io("read", path, e))?;
        write_all_at(&*file, chunk, offset).map_err(|e| Error::io("write", to, e))?;
        offset += chunk.len() as u64;
    }
    file.sync_all().map_err(|e| Error::io("sync", to, e))
}
