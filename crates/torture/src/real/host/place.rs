//! Folders that are named after their process, so that what a dead one left behind is found and removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mount::{UnmountFlags, unmount};

use super::run;
use crate::case::Promise;

const PREFIX: &str = "firstseen-torture-";

/// A folder of this process, removed when dropped.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    /// A new folder: in memory where the system has such a place, as disks that fail are slow enough.
    pub(super) fn new() -> Promise<Place> {
        static SWEPT: Once = Once::new();
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        SWEPT.call_once(sweep);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = base().join(format!("{PREFIX}{}-{number}", process::id()));
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(Place(dir))
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left of it is found by the next process.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn base() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// Unmounts, detaches and removes what processes left that are gone.
fn sweep() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    // Those that were mounted last are unmounted first.
    let mut stale: Vec<&str> = points.filter(|point| is_stale(point)).collect();
    stale.reverse();
    for point in stale {
        let _ = unmount(point, UnmountFlags::DETACH);
    }
    for device in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let backing = fs::read_to_string(device.path().join("loop/backing_file"));
        if backing.is_ok_and(|backing| is_stale(&backing)) {
            let _ = run("losetup", &["-d", &format!("/dev/{}", device.file_name().display())]);
        }
    }
    for entry in fs::read_dir(base()).into_iter().flatten().flatten() {
        if is_stale(&entry.path().to_string_lossy()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a path belongs to a process that is gone, or dead and not buried yet: that one has no command line.
fn is_stale(path: &str) -> bool {
    let Some((_, rest)) = path.split_once(PREFIX) else { return false };
    let pid: Option<u32> = rest.split('-').next().and_then(|pid| pid.parse().ok());
    let lives = |pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
    pid.is_some_and(|pid| !lives(pid))
}
