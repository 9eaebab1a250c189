//! What all handles of a store, and its upkeep thread, share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bell::Bell;
use super::catch_up::Begun;
use super::counters::Counters;
use super::open::Recovery;
use super::options::Options;
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
    /// An empty table for the next rotation.
    pub(crate) spare: Mutex<Option<Table>>,
    pub(crate) upkeep: Mutex<Upkeep>,
    pub(crate) bell: Bell,
    /// For the thread that keeps to the sync interval.
    pub(crate) sync_bell: Bell,
    pub(crate) counters: Counters,
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

    /// Bits of a bucket number in an active table: what `active_ids` needs, or else what an eighth
    /// of the memory budget holds.
    pub(crate) fn bucket_bits(options: &Options) -> u32 {
        use crate::index::{BUCKET_BITS_MAX, BUCKET_BITS_MIN};
        let sizes = BUCKET_BITS_MIN..=BUCKET_BITS_MAX;
        let chosen = match options.active_ids {
            Some(ids) => sizes.clone().find(|&bits| Table::capacity(bits) >= ids),
            None => {
                let budget = usize::try_from(options.memory_budget / 8).unwrap_or(usize::MAX);
                sizes.clone().take_while(|&bits| Table::bytes(bits) <= budget).last()
            }
        };
        chosen.unwrap_or(if options.active_ids.is_some() { *sizes.end() } else { *sizes.start() })
    }

    /// How much log an active table may have before it is frozen though there is room for ids: small
    /// calls and what transactions bring take more of the log than of the table.
    pub(crate) fn log_limit(options: &Options) -> u64 {
        let ids = Core::table_limit(options) as u64;
        match options.max_bytes {
            Some(most) => (2 << 20) + ids * 56 + most / 32,
            None => (64 << 20) + ids * 128,
        }
    }

    /// How many bytes of values an active table may have before it is frozen.
    pub(crate) fn values_limit(options: &Options) -> usize {
        usize::try_from(options.memory_budget / 16).unwrap_or(usize::MAX)
    }

    /// How many ids an active table takes.
    pub(crate) fn table_limit(options: &Options) -> usize {
        let capacity = Table::capacity(Core::bucket_bits(options));
        // With a cap on disk space, a table's log and run must fit many times.
        let capped = options.max_bytes.map_or(usize::MAX, |bytes| (bytes / 16 / 48) as usize);
        capacity.min(options.active_ids.unwrap_or(usize::MAX)).min(capped)
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
