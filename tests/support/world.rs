//! Where a model test has its store: on a disk in memory, or in a folder.

use std::path::PathBuf;
use std::sync::Arc;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{Backend, Builder, Store};
use tempfile::TempDir;

use super::files::copy_folder;

/// Where a store is, and what its next opening finds.
#[derive(Debug, Clone)]
pub enum World {
    Memory(MemoryDisk),
    /// Real files. A kill is made by copying them: with one thread and no upkeep in the background
    /// nothing is under way then.
    Folder {
        backend: Backend,
        all: Arc<TempDir>,
        /// Which copy it is.
        life: u32,
    },
}

impl World {
    pub fn folder(backend: Backend) -> World {
        World::Folder { backend, all: Arc::new(tempfile::tempdir().unwrap()), life: 0 }
    }

    /// Opens a store here, with this clock and without upkeep in the background.
    pub fn builder(&self, clock: &ManualClock) -> Builder {
        let builder = Store::builder().clock(Arc::new(clock.clone())).background(false);
        match self {
            World::Memory(disk) => builder.storage(Arc::new(disk.clone())),
            World::Folder { backend, .. } => builder.backend(*backend),
        }
    }

    pub fn path(&self) -> PathBuf {
        match self {
            World::Memory(_) => "/store".into(),
            World::Folder { all, life, .. } => all.path().join(life.to_string()),
        }
    }

    /// What a kill of the process leaves. The store goes on in the world that was.
    pub fn kill(&self) -> World {
        match self {
            World::Memory(disk) => World::Memory(disk.kill()),
            World::Folder { backend, all, life } => {
                let next =
                    World::Folder { backend: *backend, all: Arc::clone(all), life: life + 1 };
                copy_folder(&self.path(), &next.path());
                next
            }
        }
    }

    /// What a power cut leaves: without a seed, all that was not synced is gone.
    pub fn power_cut(&self, seed: Option<u64>) -> World {
        match (self, seed) {
            (World::Memory(disk), None) => World::Memory(disk.crash()),
            (World::Memory(disk), Some(seed)) => World::Memory(disk.crash_with(seed)),
            (World::Folder { .. }, _) => panic!("nobody can cut the power of real files"),
        }
    }

    /// Whether the power can be cut.
    pub fn has_power(&self) -> bool {
        matches!(self, World::Memory(_))
    }
}
