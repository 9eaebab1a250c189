//! The same for a store that is open, with what its callers were told written out first.

use std::io::Write;
use std::path::Path;

use super::checkpoint::{How, copy_snapshot};
use super::held::snapshot_through;
use super::snapshot::Snapshot;
use super::transfer::export_snapshot;
use crate::error::Result;
use crate::log::Need;
use crate::store::Store;
use crate::store::core::Core;
use crate::store::pool::Holding;

impl Store {
    /// Makes a copy of the store, in the folder `dest`, that can be opened; calls go on meanwhile, but with
    /// [`Backend::Sled`](crate::Backend) nothing is sealed before the copy is made, so those that let
    /// in more than two tables of ids wait for it.
    /// It has every id that was acknowledged before the call. See
    /// [`offline::checkpoint`](crate::offline::checkpoint), which does the same without the handle.
    ///
    /// # Errors
    ///
    /// [`Misuse`](crate::Error::Misuse) if `dest` is not empty, [`DiskFull`](crate::Error::DiskFull),
    /// I/O, and [`Corrupt`](crate::Error::Corrupt) or
    /// [`WindowIncomplete`](crate::Error::WindowIncomplete) if the store's files are not what they
    /// should be. On an error `dest` is left as it was.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let store = firstseen::Store::open(dir.path().join("orders.seen"))?;
    /// # let copy = dir.path().join("copy");
    /// store.check_and_insert(&["order-1"])?;
    /// store.checkpoint(&copy)?;
    /// assert!(firstseen::Store::open(&copy)?.contains(&["order-1"])?[0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn checkpoint(&self, dest: impl AsRef<Path>) -> Result<()> {
        let core = self.core();
        core.check_usable()?;
        core.log.wait(core.log.staged(), Need::Written)?;
        match core.snapshot()? {
            None => super::checkpoint_in(&core.options.storage, &core.dir, dest.as_ref()),
            Some((snapshot, _upkeep)) => {
                let storage = &core.options.storage;
                copy_snapshot(storage, snapshot, &core.dir, dest.as_ref(), How::Link)
            }
        }
    }

    /// Writes the store as one stream of bytes and returns how many records that are; calls go on
    /// meanwhile, with [`Backend::Sled`](crate::Backend) as in [`Store::checkpoint`]: there `out` must not
    /// wait for calls to this store. See [`offline::export`](crate::offline::export). Seals first, so
    /// that the log's records need no memory.
    ///
    /// # Errors
    ///
    /// As [`Store::seal`], what `out` says, and [`Corrupt`](crate::Error::Corrupt) or
    /// [`WindowIncomplete`](crate::Error::WindowIncomplete) if the store's files are not what they should be.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let store = firstseen::Store::open(dir.path())?;
    /// store.check_and_insert(&["order-1"])?;
    /// let mut stream = Vec::new();
    /// assert_eq!(store.export(&mut stream)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export(&self, out: &mut dyn Write) -> Result<u64> {
        self.seal()?;
        let core = self.core();
        core.log.wait(core.log.staged(), Need::Written)?;
        match core.snapshot()? {
            None => super::export_in(&*core.options.storage, &core.dir, out),
            Some((snapshot, _upkeep)) => export_snapshot(snapshot, out),
        }
    }
}

impl Core {
    /// What cannot be read beside its owner, with upkeep stopped for as long as it is held; `None` if it
    /// can be.
    fn snapshot(&self) -> Result<Option<(Snapshot, Holding<'_>)>> {
        if self.vault.is_in_files() {
            return Ok(None);
        }
        let upkeep = self.hold_upkeep();
        self.check_usable()?;
        let snapshot = snapshot_through(Some(&*self.vault), &*self.options.storage, &self.dir)?;
        snapshot.check_complete()?;
        Ok(Some((snapshot, upkeep)))
    }
}
