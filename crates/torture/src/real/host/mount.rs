//! Mounted file systems, unmounted when dropped.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::place::Place;
use crate::case::Promise;

/// A mounted file system.
#[derive(Debug)]
pub(crate) struct Mount {
    point: PathBuf,
}

impl Mount {
    pub(super) fn new(source: &Path, point: PathBuf, kind: &str, options: &str) -> Promise<Mount> {
        fs::create_dir_all(&point).map_err(|error| format!("{}: {error}", point.display()))?;
        let options = CString::new(options).expect("options have no zero");
        mount(source, &point, kind, MountFlags::NOATIME, options.as_c_str())
            .map_err(|error| format!("cannot mount {}: {error}", source.display()))?;
        Ok(Mount { point })
    }

    pub(crate) fn point(&self) -> &Path {
        &self.point
    }

    /// Unmounts it, once nobody uses it any more.
    pub(super) fn end(self) -> Promise {
        let mut patience = 500;
        while let Err(error) = unmount(&self.point, UnmountFlags::empty()) {
            if patience == 0 {
                return Err(format!("cannot unmount {}: {error}", self.point.display()));
            }
            patience -= 1;
            thread::sleep(Duration::from_millis(2));
        }
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Whoever uses it still keeps what is there; nobody else sees it.
        let _ = unmount(&self.point, UnmountFlags::DETACH);
    }
}

/// A disk in memory, of a size.
#[derive(Debug)]
pub(crate) struct MemoryDisk {
    mount: Mount,
    _place: Place,
}

impl MemoryDisk {
    pub(crate) fn new(bytes: u64) -> Promise<MemoryDisk> {
        let place = Place::new()?;
        let point = place.join("disk");
        let mount = Mount::new(Path::new("tmpfs"), point, "tmpfs", &format!("size={bytes}"))?;
        Ok(MemoryDisk { mount, _place: place })
    }

    pub(crate) fn point(&self) -> &Path {
        self.mount.point()
    }
}
