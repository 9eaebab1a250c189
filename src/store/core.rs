//! What all handles of a store, and the threads that care for it, share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bell::Bell;
use super::budget::{Budget, Sizes};
use super::call::Coldness;
use super::catch_up::Begun;
use super::counters::Counters;
use super::open::Recovery;
use super::options::Options;
use super::pace::Pace;
use super::rotation::Rotation;
use super::transaction::{Fences, InDoubt, LoggedState, Positions};
use super::upkeep::Upkeep;
use crate::backend::Vault;
use crate::claim::Claims;
use crate::config::Durability;
use crate::error::{Error, Result};
use crate::format::StoreId;
use crate::format::manifest::{CATCHING_UP, ForgottenEntry, Manifest};
use crate::identity::Identity;
use crate::index::Table;
use crate::log::{Log, Lsn, Need};
use crate::planted::{Bug, planted};
use crate::sync::gate::Gate;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, lock};
use crate::sys::Lock;
use crate::time::Timestamp;
use crate::window::{Forgotten, StoreClock, View};

/// See the module documentation.
pub(crate) struct Core {
    pub(crate) dir: PathBuf,
    pub(crate) store: StoreId,
    pub(crate) options: Options,
    /// Of its tables and its filter.
    pub(crate) budget: std::sync::Arc<Budget>,
    /// Where segments and runs are kept.
    pub(crate) vault: std::sync::Arc<dyn Vault>,
    pub(crate) identity: Identity,
    pub(crate) window: Duration,
    pub(crate) clock: StoreClock,
    pub(crate) gate: Gate<View>,
    pub(crate) log: Log,
    pub(crate) forgotten: Forgotten,
    pub(crate) claims: Claims,
    pub(crate) fences: Fences,
    pub(crate) state: Mutex<LoggedState>,
    /// How long a state file may be for which space is set aside on the disk.
    pub(crate) state_room: AtomicU64,
    /// What is prepared, by token. Taken after `state`.
    pub(crate) prepared: Mutex<HashMap<Vec<u8>, InDoubt>>,
    /// Taken after `state`.
    pub(crate) positions: Mutex<Positions>,
    /// Ids first seen before this may have been dropped; in microseconds.
    pub(crate) complete_since: AtomicU64,
    /// The catch-up that the store is open for.
    pub(crate) catch_up: Option<Begun>,
    pub(crate) rotation: Mutex<Rotation>,
    /// Whether the next rotation starts a new generation though the old one's time is not over.
    pub(crate) cut_generation: AtomicBool,
    /// Empty tables for rotations to come.
    pub(crate) spares: Mutex<Vec<Table>>,
    pub(crate) upkeep: Mutex<Upkeep>,
    pub(crate) bell: Bell,
    pub(crate) pace: Pace,
    pub(crate) counters: Counters,
    pub(crate) coldness: Coldness,
    pub(crate) closed: AtomicBool,
    pub(crate) recovery: Recovery,
    /// Given up when the store is closed.
    pub(crate) lock: Mutex<Option<Box<dyn Lock>>>,
}

/// Nothing of what it keeps: that is others' data, and up to 128 MiB.
impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (dir, identity, window) = (&self.dir, &self.identity, &self.window);
        let mut shown = f.debug_struct("Core");
        shown.field("dir", dir).field("identity", identity).field("window", window);
        shown.finish_non_exhaustive()
    }
}

impl Core {
    /// Refuses work on a closed store.
    pub(crate) fn check_usable(&self) -> Result<()> {
        match self.closed.load(Ordering::Relaxed) {
            true => Err(Error::Closed),
            false => Ok(()),
        }
    }

    /// Waits until everything staged before `lsn` is as durable as promised.
    pub(crate) fn acknowledge(&self, lsn: Lsn) -> Result<()> {
        match self.options.durability {
            Durability::Buffered => self.log.wait(lsn, Need::Written),
            Durability::Sync if planted(Bug::AcknowledgedUnsynced) => {
                self.log.wait(lsn, Need::Written)
            }
            Durability::Sync => self.log.wait(lsn, Need::Synced),
            // What is due was synced before anything was inserted: see `sync_if_overdue`.
            Durability::Interval(_) => self.log.wait(lsn, Need::Written),
        }
    }

    /// Syncs the log if what is written has waited for all that `Interval` allows. Calls do so before
    /// they insert anything, so that a sync that fails has nothing of theirs to take back.
    pub(crate) fn sync_if_overdue(&self) -> Result<()> {
        match self.options.durability {
            Durability::Interval(most) if self.log.unsynced_for() >= most => {
                self.log.wait(self.log.staged(), Need::Synced)
            }
            _ => Ok(()),
        }
    }

    /// Syncs the log if what is written has waited for half of what `Interval` allows.
    pub(crate) fn sync_if_due(&self) -> Result<bool> {
        let Durability::Interval(most) = self.options.durability else { return Ok(false) };
        if self.log.unsynced_for() < most / 2 {
            return Ok(false);
        }
        self.log.wait(self.log.staged(), Need::Synced)?;
        Ok(true)
    }

    /// The time from which on everything that was seen is remembered.
    pub(crate) fn complete_since(&self) -> Timestamp {
        Timestamp::from_micros(self.complete_since.load(Ordering::Relaxed))
    }

    /// What every manifest says beside its lists. Waits until what it says of forgotten ids is
    /// durable in the log too: a manifest must not know of calls that the log may lose.
    pub(crate) fn manifest_facts(&self) -> Result<Facts> {
        let forgotten = {
            // Not while a call has changed the set and not yet staged its frame.
            let _inside = self.gate.enter();
            self.forgotten.entries()
        };
        if !forgotten.is_empty() {
            self.log.wait(self.log.staged(), Need::Synced)?;
        }
        let catching_up = self.catch_up.as_ref().is_some_and(Begun::is_under_way);
        Ok(Facts {
            high_water: self.clock.high_water(),
            complete_since: if catching_up { CATCHING_UP } else { self.complete_since() },
            next_generation: lock(&self.rotation).next_generation,
            forgotten,
        })
    }

    /// Removes a segment that no list names any more. It is removed at the next opening if not now.
    pub(crate) fn remove_segment(&self, number: u64) {
        if let Err(error) = self.vault.remove_segment(number) {
            tracing::warn!(number, %error, "cannot remove a segment");
        }
    }

    /// Removes a file that no list names any more. It is removed at the next opening if not now.
    pub(crate) fn remove_file(&self, path: &Path) {
        if let Err(error) = self.options.storage.remove(path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove a file");
        }
    }

    /// How large what is made now is to be.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes::new(&self.options, &self.budget)
    }
}

/// The parts of a manifest that change by themselves.
#[derive(Debug)]
pub(crate) struct Facts {
    high_water: Timestamp,
    complete_since: Timestamp,
    next_generation: u64,
    forgotten: Vec<ForgottenEntry>,
}

impl Facts {
    /// Puts them into a manifest.
    pub(crate) fn apply(self, manifest: &mut Manifest) {
        manifest.high_water = self.high_water;
        manifest.complete_since = self.complete_since;
        manifest.next_generation = self.next_generation;
        manifest.forgotten = self.forgotten;
    }
}
