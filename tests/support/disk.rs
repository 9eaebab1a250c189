//! Looking at, and tampering with, the files of a store on a memory disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::{fmt, io};

use firstseen::testing::{File, Lock, MemoryDisk, Region, Storage};

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

/// Where a [`HookedDisk`] lets something happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    Lock,
    Allocate,
    Write,
    /// Of a file's contents.
    Sync,
}

type Hook = Box<dyn FnOnce() + Send>;
type Hooks = Arc<Mutex<Vec<(Before, Hook)>>>;

/// A disk on which something happens, once, just before an operation.
#[derive(Clone)]
pub struct HookedDisk {
    disk: MemoryDisk,
    hooks: Hooks,
}

impl HookedDisk {
    pub fn new(disk: &MemoryDisk) -> HookedDisk {
        HookedDisk { disk: disk.clone(), hooks: Hooks::default() }
    }

    /// Before the next operation of this kind.
    pub fn once(&self, before: Before, hook: impl FnOnce() + Send + 'static) {
        self.hooks.lock().unwrap().push((before, Box::new(hook)));
    }

    fn file(&self, file: io::Result<Box<dyn File>>) -> io::Result<Box<dyn File>> {
        Ok(Box::new(HookedFile { file: file?, hooks: Arc::clone(&self.hooks) }))
    }
}

fn run(hooks: &Hooks, before: Before) {
    let hook = {
        let mut hooks = hooks.lock().unwrap();
        let at = hooks.iter().position(|(of, _)| *of == before);
        at.map(|at| hooks.remove(at).1)
    };
    if let Some(hook) = hook {
        hook();
    }
}

impl fmt::Debug for HookedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookedDisk").finish_non_exhaustive()
    }
}

impl Storage for HookedDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.file(self.disk.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.file(self.disk.open(path))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.file(self.disk.open_write(path))
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
        run(&self.hooks, Before::Lock);
        self.disk.lock(path)
    }
}

struct HookedFile {
    file: Box<dyn File>,
    hooks: Hooks,
}

impl fmt::Debug for HookedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl File for HookedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        run(&self.hooks, Before::Write);
        self.file.write_at(buf, offset)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        run(&self.hooks, Before::Allocate);
        self.file.allocate(offset, len)
    }

    fn fill(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.fill(offset, len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        run(&self.hooks, Before::Sync);
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        run(&self.hooks, Before::Sync);
        self.file.sync_all()
    }

    fn map(&self, len: usize) -> io::Result<Region> {
        self.file.map(len)
    }
}
