//! An open file of the memory disk.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::MutexGuard;

use super::world::World;
use super::{MemoryDisk, Op};
use crate::sys::{File, Region};

/// A handle of a file, under whatever name.
pub(super) struct MemoryFile {
    pub(super) disk: MemoryDisk,
    /// The name by which it was opened.
    pub(super) path: PathBuf,
    pub(super) inode: u64,
    pub(super) writable: bool,
}

impl MemoryFile {
    /// The world, for an operation that changes the file.
    fn step_to_write(&self, op: Op) -> io::Result<MutexGuard<'_, World>> {
        let world = self.disk.step(op)?;
        if self.writable { Ok(world) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    fn sync(&self, op: Op) -> io::Result<()> {
        let mut world = self.disk.world();
        let planned = world.plan.step(op);
        let stopped = world.plan.has_stopped();
        let inode = world.inode(self.inode);
        match planned {
            Ok(()) => inode.sync(),
            Err(_) if stopped => {}
            Err(_) => inode.fail_sync(),
        }
        planned
    }
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.world().inode(self.inode).len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.disk.step(Op::Read)?.inode(self.inode).read(buf, offset))
    }

    /// As real disks do, writes what there is room for, and is an error only if that is nothing.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let mut world = self.step_to_write(Op::Write)?;
        let room = world.len_max(self.inode).saturating_sub(offset);
        let limit = world.plan.write_limit.unwrap_or(usize::MAX);
        let count = buf.len().min(limit).min(usize::try_from(room).unwrap_or(usize::MAX));
        if count == 0 && !buf.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        world.inode(self.inode).write(&buf[..count], offset);
        Ok(count)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut world = self.step_to_write(Op::Allocate)?;
        let end = offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        if end > world.len_max(self.inode) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if end > world.inode(self.inode).len() {
            world.inode(self.inode).resize(end);
        }
        Ok(())
    }

    /// What was set aside is zeros already. Writing them can fail.
    fn fill(&self, _offset: u64, _len: u64) -> io::Result<()> {
        self.step_to_write(Op::Write).map(drop)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut world = self.step_to_write(Op::Truncate)?;
        if len > world.len_max(self.inode) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        world.inode(self.inode).resize(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(Op::SyncData)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(Op::SyncAll)
    }

    fn map(&self, len: usize) -> io::Result<Region> {
        let mut world = self.disk.step(Op::Map)?;
        let inode = world.inode(self.inode);
        if inode.len() < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        inode.mapped = true;
        let mut bytes = vec![0; len];
        inode.read(&mut bytes, 0);
        Ok(Region::from(bytes))
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.disk.world().close(self.inode);
    }
}

/// Path and mode; a disk inside would print all files.
impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, writable, .. } = self;
        f.debug_struct("MemoryFile").field("path", path).field("writable", writable).finish()
    }
}
