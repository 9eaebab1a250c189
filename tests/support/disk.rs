//! Looking at, and tampering with, the files of a store on a memory disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use firstseen::testing::{File, Lock, MemoryDisk, Storage};

pub const DIR: &str = "/store";

pub fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// The names in the folder, in order.
pub fn names(disk: &MemoryDisk) -> Vec<String> {
    let mut names = disk.list(Path::new(DIR)).unwrap();
    names.sort_unstable();
    names
}

/// The names that end so, in order.
pub fn files(disk: &MemoryDisk, end: &str) -> Vec<String> {
    names(disk).into_iter().filter(|name| name.ends_with(end)).collect()
}

pub fn read(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let file = disk.open(&path(name)).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

/// Puts other bytes in the place of a file, durably.
pub fn overwrite(disk: &MemoryDisk, name: &str, bytes: &[u8]) {
    let _ = disk.remove(&path(name));
    let file = disk.create(&path(name)).unwrap();
    if !bytes.is_empty() {
        assert_eq!(file.write_at(bytes, 0).unwrap(), bytes.len());
    }
    file.sync_all().unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
}

/// Flips a bit of one byte.
pub fn flip(disk: &MemoryDisk, name: &str, at: usize) {
    let mut bytes = read(disk, name);
    bytes[at] ^= 1 << (at % 8);
    overwrite(disk, name, &bytes);
}

/// Bytes of all files.
pub fn bytes_in_all(disk: &MemoryDisk) -> u64 {
    names(disk).iter().map(|name| disk.open(&path(name)).unwrap().len().unwrap()).sum()
}

type Hook = Box<dyn FnOnce() + Send>;

/// A disk on which something happens just before the lock is taken.
pub struct BeforeLock {
    disk: MemoryDisk,
    hook: Mutex<Option<Hook>>,
}

impl BeforeLock {
    pub fn new(disk: MemoryDisk, hook: impl FnOnce() + Send + 'static) -> BeforeLock {
        BeforeLock { disk, hook: Mutex::new(Some(Box::new(hook))) }
    }
}

impl std::fmt::Debug for BeforeLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BeforeLock").finish_non_exhaustive()
    }
}

impl Storage for BeforeLock {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.disk.open(path)
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.disk.open_write(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.link(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let hook = self.hook.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        self.disk.lock(path)
    }
}
