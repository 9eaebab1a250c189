//! The storage seam: everything the engine asks of files goes through [`Storage`] and [`File`].
//!
//! | module | what it is |
//! |---|---|
//! | `disk` | real files |
//! | `mmap` | mappings of them; all mapping unsafe |
//! | `region` | bytes of an immutable file, mapped or held |
//!
//! The engine never sees `std::fs`. A test can therefore put a storage underneath that fails, tears
//! or forgets, and the engine above it is the shipped one. The rules the engine keeps in return:
//! a file is written by [`File::write_at`] only, whatever that does below; a file is mapped to be read
//! only when nothing writes to it any more, and is never truncated afterwards.

use std::fmt;
use std::io;
use std::path::Path;

use crate::planted::{Bug, planted};

pub(crate) mod disk;
mod mmap;
mod region;

pub use region::Region;

/// A place where files live: a disk, or a test's idea of one.
///
/// Names are durable only after [`Storage::sync_dir`] on their folder, contents only after
/// [`File::sync_data`] or [`File::sync_all`].
pub trait Storage: Send + Sync + fmt::Debug + 'static {
    /// Creates a folder and its parents, readable by the owner alone, and makes their names durable.
    /// An existing folder is fine.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// The names of the entries of a folder, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates a file for reading and writing, readable by the owner alone. It must not exist.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens an existing file for reading and writing.
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Puts `from` in the place of `to`, in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Open handles and mappings of it stay valid.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder, where that is possible at all.
    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let _ = dir;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes a second name for a file, or a copy where the file system has no hard links.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that are free for this process on the disk of a folder; `None` where nobody can tell.
    #[cfg(feature = "sled")]
    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        let _ = dir;
        Ok(None)
    }

    /// Refuses a symbolic link in the place of a file or folder. Whoever opens it asks no more: this is for
    /// those who are sent to a path.
    fn refuse_link(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Ok(())
    }

    /// Whether the paths are those of the system, so that somebody else can be sent to one.
    fn is_of_the_system(&self) -> bool {
        false
    }

    /// Bytes that nobody can guess, for names and keys: those of the system's random source.
    fn random(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Takes the exclusive lock on a file, creating it; `None` if somebody else has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
}

/// One open file. All methods may be called from any thread.
#[allow(clippy::len_without_is_empty)] // Asking can fail, and nobody asks for empty files.
pub trait File: Send + Sync + fmt::Debug {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Reads at `offset` into `buf`; returns how many bytes, 0 at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes a part of `buf` at `offset`; returns how many bytes. See [`write_all_at`].
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes sure that the `len` bytes from `offset` have room on the disk, extending the file with
    /// zeros where it is shorter. Where the system cannot promise room the file is only extended.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Has the pages of `len` bytes from `offset` ready to be written to. They have room, and were never
    /// written. What is written there then takes the place of zeros, and a sync of it has no more to note than the
    /// bytes. Whoever gains nothing by that does nothing.
    fn fill(&self, offset: u64, len: u64) -> io::Result<()> {
        let _ = (offset, len);
        Ok(())
    }

    /// Has what is written to the `len` bytes from `offset`, which were filled, copied into a mapping of them from now
    /// on, until something is written behind them or the file is truncated. A page that the system cannot give ends
    /// the process then; those that it cannot give now are written to as before. Where there is no such mapping
    /// nothing changes.
    fn map_to_write(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Says that `len` bytes from `offset` will be read soon, so that the reads of many places overlap. The call
    /// waits for none of them. It is a hint: whoever cannot take it does nothing, and the reading that follows tells
    /// what is wrong.
    fn will_read(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Says that `len` bytes from `offset`, which were written, will be synced and not be written again, so that they are
    /// on their way to the medium before. The call waits for none of them to be there: only a sync makes them durable.
    /// Whoever has no such call does nothing. An error is one of the medium: as after a failed sync, what was written may be
    /// gone, and no later sync may tell.
    fn write_out(&self, offset: u64, len: u64) -> io::Result<()> {
        let _ = (offset, len);
        Ok(())
    }

    /// Cuts or extends the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes the contents durable, and as much metadata as reading them back needs.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes contents and metadata durable.
    fn sync_all(&self) -> io::Result<()>;

    /// The first `len` bytes as memory. Nobody may write to or truncate the file afterwards.
    fn map(&self, len: usize) -> io::Result<Region>;
}

/// An exclusive lock on a file, released when dropped.
pub trait Lock: Send + Sync + fmt::Debug {}

/// Writes all of `buf` at `offset`, across short writes and interruptions.
pub(crate) fn write_all_at(file: &dyn File, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match file.write_at(buf, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) if planted(Bug::ShortWriteIgnored) => return Ok(()),
            Ok(n) => {
                buf = &buf[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Fills `buf` from `offset`; a file that ends before is an `UnexpectedEof`.
pub(crate) fn read_exact_at(
    file: &dyn File,
    mut buf: &mut [u8],
    mut offset: u64,
) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_at(buf, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
