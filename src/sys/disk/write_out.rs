//! Having the system begin to write out what it has in its cache.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd;

/// Begins to write the dirty pages of `len` bytes from `offset` to the medium, and waits for none of them. A write that
/// fails is told to the next sync of the file, as one is that the system has begun by itself.
pub(super) fn begin(file: &File, offset: u64, len: u64) {
    let (Ok(offset), Ok(len)) = (libc::off64_t::try_from(offset), libc::off64_t::try_from(len))
    else {
        return;
    };
    // SAFETY: the call takes numbers alone, and the descriptor is open for as long as `file` is borrowed.
    let begun = unsafe {
        libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE)
    };
    if begun != 0 {
        let error = std::io::Error::last_os_error();
        tracing::debug!(%error, "cannot have a file written out ahead of its sync");
    }
}
