//! Memory of the process, bytes on the disk.

use std::io;
use std::path::Path;

/// Memory of this process, where the system tells.
pub(super) fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Bytes of all files in a folder.
pub(super) fn disk_bytes(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let meta = entry?.metadata()?;
        sum += if meta.is_file() { meta.len() } else { 0 };
    }
    Ok(sum)
}
