//! A file that takes what is left of a disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// The file. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Filler(PathBuf);

impl Filler {
    /// Takes all but `spare` bytes of a disk, and what is given back later as far as it can be had. Nothing if
    /// less is left.
    pub(crate) fn new(disk: &Path, spare: u64) -> Filler {
        let path = disk.join("filler");
        if let Ok(file) = File::create(&path) {
            let left = statvfs(disk).map_or(0, |disk| disk.f_bavail * disk.f_frsize);
            let mut length = 0;
            let mut step = left.saturating_sub(spare);
            // Others take room, too: what cannot be had at once is taken in smaller steps.
            while step >= 4096 {
                match fallocate(&file, FallocateFlags::empty(), length, step) {
                    Ok(()) => length += step,
                    Err(_) => step /= 2,
                }
                let left = statvfs(disk).map_or(0, |disk| disk.f_bavail * disk.f_frsize);
                step = step.min(left.saturating_sub(spare));
            }
        }
        Filler(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
