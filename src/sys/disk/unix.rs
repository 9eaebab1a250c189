//! Files on Unix: positioned I/O, owner-only modes, no links followed, room allocated for real.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::io::Errno;

/// Options from which every file is opened.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Creates one folder.
pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(dir)
}

/// Syncs a folder. Some network and user-space file systems know no such call; on those a name is
/// as durable as they make it.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    match fs::File::open(dir)?.sync_all() {
        Err(e) if is_any(&e, &[Errno::INVAL, Errno::NOTSUP, Errno::NOSYS]) => Ok(()),
        other => other,
    }
}

pub(super) fn read_at(file: &fs::File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buf, offset)
}

pub(super) fn write_at(file: &fs::File, buf: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(buf, offset)
}

/// Reserves blocks and extends the file; `Unsupported` where the file system cannot.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn allocate(file: &fs::File, offset: u64, len: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    rustix::io::retry_on_intr(|| fallocate(file, FallocateFlags::empty(), offset, len)).map_err(
        |errno| match errno {
            Errno::OPNOTSUPP | Errno::NOSYS => io::ErrorKind::Unsupported.into(),
            errno => errno.into(),
        },
    )
}

/// Other systems have no call that reserves room without a risk to what the file holds.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn allocate(_file: &fs::File, _offset: u64, _len: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Has the system read into its cache; on other systems than these, nothing.
pub(super) fn will_read(file: &fs::File, offset: u64, len: u64) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(len) = std::num::NonZeroU64::new(len) {
        let _ = rustix::fs::fadvise(file, offset, Some(len), rustix::fs::Advice::WillNeed);
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (file, offset, len);
}

/// Has the system begin to write out, where it does so for such a file.
#[cfg(target_os = "linux")]
pub(super) fn write_out(file: &fs::File, offset: u64, len: u64) -> io::Result<()> {
    let (Ok(offset), Ok(len @ 1..)) = (i64::try_from(offset), i64::try_from(len)) else {
        return Ok(());
    };
    match rustix::io::retry_on_intr(|| super::write_out::begin(file, offset, len)) {
        Err(Errno::NOSYS | Errno::INVAL | Errno::SPIPE | Errno::PERM | Errno::OPNOTSUPP) => Ok(()),
        begun => Ok(begun?),
    }
}

/// Other systems have no call that begins without waiting.
#[cfg(not(target_os = "linux"))]
pub(super) fn write_out(_file: &fs::File, _offset: u64, _len: u64) -> io::Result<()> {
    Ok(())
}

/// Bytes that this process may still fill.
#[cfg(feature = "sled")]
pub(super) fn free_bytes(dir: &Path) -> io::Result<Option<u64>> {
    let found = rustix::fs::statvfs(dir)?;
    Ok(found.f_bavail.checked_mul(found.f_frsize))
}

fn is_any(error: &io::Error, errnos: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| errnos.contains(&errno))
}
