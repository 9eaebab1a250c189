//! Copies log and runs through the seam, record by record: into another backend, or of one whose files
//! mean nothing by themselves.
//!
//! A run becomes one run of the same number, with its records, ticks and values; a segment one with the
//! same bytes, for the copy has the name of the store, which is in their checksums.

use std::path::Path;

use super::dest::Dest;
use super::log::Part;
use super::snapshot::RunSource;
use crate::backend::{RunTarget, Sealed, Vault};
use crate::compaction::write_run;
use crate::error::{Error, Result};
use crate::format::manifest::{Manifest, RunEntry};
use crate::format::superblock::Superblock;
use crate::sys::{File, read_exact_at, write_all_at};

/// Bytes that are copied at once.
const CHUNK: u64 = 1 << 20;

/// Copies all runs, and what was measured of the log, and lists them in `manifest`.
pub(super) fn copy_through(
    runs: Vec<RunSource>,
    parts: &[Part],
    superblock: &Superblock,
    manifest: &mut Manifest,
    dest: &Dest<'_>,
) -> Result<()> {
    let vault = dest.vault(&superblock.store)?;
    let mut copied = Vec::with_capacity(runs.len());
    for source in runs {
        copied.push(copy_run(&*source.open(superblock)?, &*vault)?);
    }
    manifest.runs = copied;
    for part in parts {
        copy_segment(part, &*vault)?;
    }
    vault.sync_names()?;
    vault.close();
    Ok(())
}

fn copy_run(run: &dyn Sealed, vault: &dyn Vault) -> Result<RunEntry> {
    let entry = run.entry();
    let target = RunTarget {
        number: entry.number,
        generation: entry.generation,
        ticks: run.ticks(),
        expected: entry.records,
    };
    let copy = write_run(vault, target, run.records_from(0), run.values_after(None))?;
    Ok(copy.entry())
}

fn copy_segment(part: &Part, vault: &dyn Vault) -> Result<()> {
    let number = part.header.number;
    let file = vault.create_segment(number)?;
    let to = vault.segment_path(number);
    copy_bytes(&*part.file, &part.path, part.tail.end, &*file, &to)?;
    file.sync_data().map_err(|e| Error::io("sync", &to, e))
}

/// Copies the first `len` bytes of `from` to the front of `to`.
pub(super) fn copy_bytes(
    from: &dyn File,
    path: &Path,
    len: u64,
    to: &dyn File,
    to_path: &Path,
) -> Result<()> {
    let mut buffer = vec![0; len.min(CHUNK) as usize];
    let mut offset = 0;
    while offset < len {
        let chunk = &mut buffer[..(len - offset).min(CHUNK) as usize];
        read_exact_at(from, chunk, offset).map_err(|e| Error::io("read", path, e))?;
        write_all_at(to, chunk, offset).map_err(|e| Error::io("write", to_path, e))?;
        offset += chunk.len() as u64;
    }
    Ok(())
}
