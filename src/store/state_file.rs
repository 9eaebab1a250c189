//! The state file: written when a table is sealed, and room for it set aside before it is needed.
//!
//! The log that had the changes goes with the seal, so the state must be written first. On a disk that
//! the log has filled there would be no room for it, and without it none could be freed. So a commit
//! that makes the state outgrow what is set aside sets more aside, or is refused.

use super::catalog::write_file;
use super::core::Core;
use super::upkeep::Upkeep;
use crate::error::{Error, Result};
use crate::format::names;
use crate::log::Need;
use crate::planted::{Bug, planted};
use crate::sync::{Ordering, lock};

impl Core {
    /// Makes sure that there is room on the disk for the state with `more` bytes.
    pub(crate) fn reserve_for_state(&self, more: usize) -> Result<()> {
        let need = (lock(&self.state).memory_bytes() + more) as u64;
        if need <= self.state_room.load(Ordering::Relaxed) {
            return Ok(());
        }
        let room = self.hold_upkeep().catalog.set_reserve_aside(need)?;
        self.state_room.store(room, Ordering::Relaxed);
        Ok(())
    }
}

impl Upkeep {
    /// Writes a state file, if the state has changed since the last one. Its number, zero for an empty
    /// state, and the count of changes.
    pub(super) fn write_state(&mut self, core: &Core) -> Result<Option<(u64, u64)>> {
        let number = self.catalog.manifest.next_run;
        let (bytes, changes, lsn) = {
            let state = lock(&core.state);
            if state.changes() == self.state_changes {
                return Ok(None);
            }
            let bytes = (!state.is_empty()).then(|| state.encode(&core.store, number));
            (bytes, state.changes(), state.lsn())
        };
        // A manifest must not know of commits that the log may lose.
        if !planted(Bug::StateAheadOfLog) {
            core.log.wait(lsn, Need::Synced)?;
        }
        let Some(bytes) = bytes else { return Ok(Some((0, changes))) };
        match write_state_file(core, number, &bytes) {
            Err(Error::DiskFull { .. }) if self.catalog.open_reserve() => {
                core.state_room.store(0, Ordering::Relaxed);
                write_state_file(core, number, &bytes)?;
            }
            written => written?,
        }
        Ok(Some((number, changes)))
    }

    /// Sets aside again what was used, if there is room by now.
    pub(super) fn set_reserve_aside_again(&mut self, core: &Core) {
        let state = lock(&core.state).memory_bytes() as u64;
        if let Ok(room) = self.catalog.set_reserve_aside(state) {
            core.state_room.store(room, Ordering::Relaxed);
        }
    }
}

/// Writes a state file and makes it durable, with its name. On an error nothing of it is left.
fn write_state_file(core: &Core, number: u64, bytes: &[u8]) -> Result<()> {
    let (path, storage) = (names::state(&core.dir, number), &*core.options.storage);
    // One of this number that is there was left by a step that failed: no manifest names it.
    let _ = storage.remove(&path);
    let written = write_file(storage, &path, bytes)
        .and_then(|()| storage.sync_dir(&core.dir).map_err(|e| Error::io("sync", &core.dir, e)));
    written.inspect_err(|_| core.remove_file(&path))
}
