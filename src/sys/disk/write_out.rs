//! Having the system begin to write out what it has in its cache.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Begins to write the dirty pages of `len` bytes from `offset` to the medium, and waits for none of them to be there. What
/// fails of it later is told to the next sync of the file; what fails at once may have been told to nobody else.
pub(super) fn begin(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else {
        return Ok(());
    };
    if len == 0 {
        // To the system this is all of the file.
        return Ok(());
    }
    loop {
        // SAFETY: the call takes numbers alone, and the descriptor is open for as long as `file` is borrowed.
        let begun = unsafe {
            libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE)
        };
        if begun == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            // It is not done here, or not for such a file.
            Some(libc::ENOSYS | libc::EINVAL | libc::ESPIPE | libc::EPERM | libc::EOPNOTSUPP) => {
                return Ok(());
            }
            _ => return Err(error),
        }
    }
}
