//! A disk in memory that keeps to the letter of the storage contract and to nothing beyond it.
//!
//! | module | what it is |
//! |---|---|
//! | `content` | bytes of a file, written and durable |
//! | `file` | an open file |
//! | `plan` | faults to come, operations done |
//! | `world` | names and files |
//!
//! What is written is volatile until it is synced, a name until its folder is. A test cuts the power
//! with [`MemoryDisk::crash`] or [`MemoryDisk::crash_with`], ends the process with
//! [`MemoryDisk::kill`], and plans errors by the number of the operation. The same calls in the same
//! order with the same seed always end in the same bytes.
//!
//! Where real systems are unkind, so is this one: a sync that failed has lost its data for later
//! syncs, a torn write keeps any of its 512-byte sectors, a file's length and its bytes survive
//! independently. One kindness is assumed: a rename is atomic. A file that was mapped must not
//! change; writing to it panics.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sys::{File, Lock, Storage};

mod content;
mod file;
mod plan;
mod world;

use file::MemoryFile;
pub use plan::Op;
use plan::{Chance, Plan};
use world::World;

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    world: Arc<Mutex<World>>,
}

impl MemoryDisk {
    /// An empty disk without limits or faults.
    #[must_use]
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// An empty disk on which the same calls in the same order have the same effects, to the byte: names
    /// and keys are drawn from `seed`, too.
    #[must_use]
    pub fn seeded(seed: u64) -> MemoryDisk {
        let disk = MemoryDisk::new();
        disk.world().random = Some(Chance::new(seed));
        disk
    }

    /// The disk after a power cut that kept only what was durable. This one goes on as it was.
    #[must_use]
    pub fn crash(&self) -> MemoryDisk {
        self.world().after_crash(None).into()
    }

    /// The disk after a power cut that also kept a part, chosen by `seed`, of the sectors, lengths
    /// and names that were on their way.
    #[must_use]
    pub fn crash_with(&self, seed: u64) -> MemoryDisk {
        self.world().after_crash(Some(Chance::new(seed))).into()
    }

    /// The disk after the death of the process: everything written is there, locks are free. What
    /// was not durable still is not.
    #[must_use]
    pub fn kill(&self) -> MemoryDisk {
        self.world().after_kill().into()
    }

    /// Fails operation `number`, counted from 0 over the life of the disk, with no effect.
    pub fn fail_at(&self, number: u64, kind: io::ErrorKind) {
        self.world().plan.once.insert(number, kind);
    }

    /// Fails operation `number` and all that follow, with no effect at all: as if the process had
    /// ended there. So a sync among them loses nothing, as one of [`MemoryDisk::fail_at`] does.
    pub fn fail_from(&self, number: u64, kind: io::ErrorKind) {
        self.world().plan.sticky = Some((number, kind));
    }

    /// Forgets all planned faults and limits.
    pub fn heal(&self) {
        let mut world = self.world();
        world.plan = Plan { history: std::mem::take(&mut world.plan.history), ..Plan::default() };
        world.capacity = None;
    }

    /// Lets a write take at most `bytes` at a time, at least one; `None` lifts the limit.
    pub fn set_write_limit(&self, bytes: Option<usize>) {
        self.world().plan.write_limit = bytes.map(|bytes| bytes.max(1));
    }

    /// Room for `bytes` in all files that have a name or are open; `None` is without limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// Bytes of all files that have a name or are open.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.world().used()
    }

    /// How many operations there were: the number of the next one.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.world().plan.history.len() as u64
    }

    /// How many operations of one kind there were.
    #[must_use]
    pub fn count(&self, op: Op) -> u64 {
        self.world().plan.history.iter().filter(|&&done| done == op).count() as u64
    }

    /// Every operation so far; the place of each is its number.
    #[must_use]
    pub fn history(&self) -> Vec<Op> {
        self.world().plan.history.clone()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A panic inside leaves the world as it was: it is raised before anything changes.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, once the operation is counted and not to fail.
    fn step(&self, op: Op) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.world();
        world.plan.step(op)?;
        Ok(world)
    }

    fn handle(&self, world: &mut World, inode: u64, path: &Path, writable: bool) -> Box<dyn File> {
        world.inode(inode).handles += 1;
        Box::new(MemoryFile { disk: self.clone(), path: path.to_path_buf(), inode, writable })
    }
}

impl From<World> for MemoryDisk {
    fn from(world: World) -> MemoryDisk {
        MemoryDisk { world: Arc::new(Mutex::new(world)) }
    }
}

impl Storage for MemoryDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(Op::CreateDir)?.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.step(Op::List)?.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut world = self.step(Op::Create)?;
        let inode = world.create(path)?;
        Ok(self.handle(&mut world, inode, path, true))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut world = self.step(Op::Open)?;
        let inode = world.find(path)?;
        Ok(self.handle(&mut world, inode, path, false))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut world = self.step(Op::OpenWrite)?;
        let inode = world.find(path)?;
        Ok(self.handle(&mut world, inode, path, true))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Op::Rename)?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Op::Remove)?.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(Op::RemoveDir)?.remove_dir(dir)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Op::Link)?.link(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(Op::SyncDir)?.sync_dir(dir)
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        match &mut self.world().random {
            Some(chance) => bytes.fill_with(|| chance.below(256) as u8),
            None => getrandom::fill(&mut bytes)?,
        }
        Ok(bytes)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut world = self.step(Op::Lock)?;
        if world.find(path).is_err() {
            world.create(path)?;
        }
        if !world.locks.insert(path.to_path_buf()) {
            return Ok(None);
        }
        Ok(Some(Box::new(MemoryLock { disk: self.clone(), path: path.to_path_buf() })))
    }
}

#[derive(Debug)]
struct MemoryLock {
    disk: MemoryDisk,
    path: PathBuf,
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.disk.world().locks.remove(&self.path);
    }
}

#[cfg(test)]
mod tests;
