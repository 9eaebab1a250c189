//! Real files: the storage of a shipped store.
//!
//! Guarantees beyond those of [`Storage`]:
//!
//! - files and folders are created readable by their owner alone, and creating never reuses a file
//!   that is there;
//! - a symbolic link in the place of a file is refused and not followed, so a link planted in the
//!   folder cannot make the store write elsewhere;
//! - a full disk is an error of kind `StorageFull` (or `QuotaExceeded`) at the call that needs room.
//!
//! Where systems differ, the difference lives in `unix` and `windows`, under the same names.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use pieces::Pieces;

use super::{File, Lock, Region, Storage, mmap, write_all_at};
use crate::sync::{Mutex, OnceLock, lock};

mod pieces;
#[cfg(target_os = "linux")]
mod write_out;

#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

/// Longest content of a lock file that is looked at; a process id has at most ten digits.
const HOLDER_BYTES_MAX: u64 = 16;

/// So many are written at a time: large writes get large pages in the system's cache.
static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

/// The file systems of this machine.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Disk;

impl Storage for Disk {
    /// Each folder is made durable in its parent before the next one is created inside it, and so is
    /// one that exists already: whoever created it may have died before.
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if !dir.is_dir() {
            if let Some(parent) = parent_of(dir) {
                self.create_dir(parent)?;
            }
            match system::create_dir(dir) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
                other => other?,
            }
        } else if dir.file_name().is_none() {
            return Ok(()); // The root, "." or "..": nothing to name.
        }
        match system::sync_dir(parent_of(dir).unwrap_or(Path::new("."))) {
            // A parent that may be passed through but not read cannot be synced either.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other,
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        open(path, system::options().read(true).write(true).create_new(true))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        open(path, system::options().read(true))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        open(path, system::options().read(true).write(true))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::hard_link(from, to) {
            Ok(()) => Ok(()),
            // These are about the names and would stop a copy too.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) =>
            {
                Err(e)
            }
            // No hard links here, not across file systems, or too many: a copy serves as well.
            Err(_) => copy(from, to),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        system::sync_dir(dir)
    }

    #[cfg(feature = "sled")]
    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        system::free_bytes(dir)
    }

    fn refuse_link(&self, path: &Path) -> io::Result<()> {
        if path.is_symlink() { Err(link_refused()) } else { Ok(()) }
    }

    fn is_of_the_system(&self) -> bool {
        true
    }

    /// The process id of the holder is written into the file; see [`holder`].
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let options = &mut system::options();
        let mut file = open_file(path, options.read(true).write(true).create(true))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(e)) => return Err(e),
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Some(Box::new(DiskLock { file })))
    }
}

/// The process that last took the lock on `path`, where it can be read.
///
/// A hint for messages: the holder may have ended, or may not have written its id yet.
pub(crate) fn holder(path: &Path) -> Option<u32> {
    let file = open_file(path, system::options().read(true)).ok()?;
    let mut text = String::new();
    file.take(HOLDER_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// An open file of the disk.
#[derive(Debug)]
struct DiskFile {
    file: fs::File,
    /// Where it is written to through mappings; nothing where it never was.
    pieces: OnceLock<Mutex<Pieces>>,
}

impl File for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        system::read_at(&self.file, buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let mapped = self.pieces.get().and_then(|pieces| lock(pieces).write(buf, offset));
        mapped.map_or_else(|| system::write_at(&self.file, buf, offset), Ok)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        match system::allocate(&self.file, offset, len) {
            Err(e) if e.kind() == io::ErrorKind::Unsupported => {
                let end = offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
                if self.len()? < end { self.file.set_len(end) } else { Ok(()) }
            }
            other => other,
        }
    }

    fn fill(&self, offset: u64, len: u64) -> io::Result<()> {
        let end = offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        let mut at = offset;
        while at < end {
            let zeros = &ZEROS[..ZEROS.len().min(usize::try_from(end - at).unwrap_or(usize::MAX))];
            write_all_at(self, zeros, at)?;
            at += zeros.len() as u64;
        }
        Ok(())
    }

    fn map_to_write(&self, offset: u64, len: u64) {
        if let Some(end) = offset.checked_add(len) {
            lock(self.pieces.get_or_init(Mutex::default)).add(&self.file, offset..end);
        }
    }

    fn will_read(&self, offset: u64, len: u64) {
        system::will_read(&self.file, offset, len);
    }

    fn write_out(&self, offset: u64, len: u64) -> io::Result<()> {
        system::write_out(&self.file, offset, len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        // Nobody writes to what is being cut off.
        let mut pieces = self.pieces.get().map(lock);
        if let Some(pieces) = &mut pieces {
            pieces.clear();
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// A file that is shorter than `len` is an `UnexpectedEof`: touching memory beyond its end would
    /// be a SIGBUS.
    fn map(&self, len: usize) -> io::Result<Region> {
        if self.len()? < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if len == 0 {
            return Ok(Region::from(Vec::new()));
        }
        mmap::map_file(&self.file, len).map(Region::from)
    }
}

/// Held while the file is open; the system releases it also when the process is killed.
#[derive(Debug)]
struct DiskLock {
    file: fs::File,
}

impl Lock for DiskLock {}

impl Drop for DiskLock {
    /// Closing would be too late: a process that is being started keeps a copy of every open file until it
    /// runs its own program.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "cannot give up a lock; it ends with its file");
        }
    }
}

fn open(path: &Path, options: &mut fs::OpenOptions) -> io::Result<Box<dyn File>> {
    Ok(Box::new(DiskFile { file: open_file(path, options)?, pieces: OnceLock::default() }))
}

/// Opens, and says so where a symbolic link stands in the place of a file.
fn open_file(path: &Path, options: &mut fs::OpenOptions) -> io::Result<fs::File> {
    match options.open(path) {
        Ok(file) if file.metadata()?.is_symlink() => Err(link_refused()),
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists && path.is_symlink() => {
            Err(link_refused())
        }
        other => other,
    }
}

fn link_refused() -> io::Error {
    let text = "a symbolic link stands in the place of the file, and links are not followed";
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Copies a file and makes the copy's contents durable; a copy that fails is removed.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = open_file(from, system::options().read(true))?;
    let mut target = open_file(to, system::options().read(true).write(true).create_new(true))?;
    let copied = io::copy(&mut source, &mut target).and_then(|_| target.sync_all());
    if copied.is_err() {
        drop(target);
        let _ = fs::remove_file(to); // The first error is the one to tell.
    }
    copied
}

/// The folder that holds the name of `path`; `None` for the working folder and for roots.
fn parent_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|parent| *parent != Path::new(""))
}

#[cfg(test)]
mod tests;
