//! The call of the system that begins to write out what it has in its cache.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use rustix::io::Errno;

/// Begins to write the dirty pages of `len` bytes from `offset` to the medium, and waits for none of them to be there. What
/// fails of it later is told to the next sync of the file; what fails at once may have been told to nobody else. A `len`
/// of 0 is all that follows.
pub(super) fn begin(file: &File, offset: i64, len: i64) -> rustix::io::Result<()> {
    // SAFETY: the call takes numbers alone, and the descriptor is open for as long as `file` is borrowed.
    let begun = unsafe {
        libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE)
    };
    match begun {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}
