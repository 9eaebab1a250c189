//! Files on Windows: positioned I/O that moves no shared cursor the store relies on.
//!
//! Not promised here: owner-only modes (a new file takes the folder's access list), room allocated
//! ahead, and names made durable by a call of their own: the system has no folder sync, NTFS writes
//! names through its journal in order. A mapped file cannot be removed until its mapping is gone.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// `FILE_FLAG_OPEN_REPARSE_POINT`: open a symbolic link itself, so that it can be refused.
const OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// Options from which every file is opened.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(OPEN_REPARSE_POINT);
    options
}

/// Creates one folder.
pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir(dir)
}

/// Does nothing: Windows cannot sync a folder.
pub(super) fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn read_at(file: &fs::File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buf, offset)
}

pub(super) fn write_at(file: &fs::File, buf: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(buf, offset)
}

/// The system reserves no room through the calls that std has.
pub(super) fn allocate(_file: &fs::File, _offset: u64, _len: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing: std has no call that tells the system.
pub(super) fn will_read(_file: &fs::File, _offset: u64, _len: u64) {}

/// Nothing: std has no call that begins without waiting.
pub(super) fn write_out(_file: &fs::File, _offset: u64, _len: u64) -> io::Result<()> {
    Ok(())
}

/// Nothing: std has no call that tells.
#[cfg(feature = "sled")]
pub(super) fn free_bytes(_dir: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}
