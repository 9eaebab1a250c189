//! fjall: an LSM tree in Rust. A key an id, the time as its value.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fjall::compaction::Leveled;
use fjall::config::{BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry, PinningPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::in_flight::InFlight;
use super::{in_order, now};
use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

/// Of the filters in front of tables: one of 1000 is asked in vain.
const BITS_PER_ID: f32 = 14.0;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("fjall", Durability::Buffered, |setup| open(setup, PersistMode::Buffer)),
        Entry::new("fjall-sync", Durability::Sync, |setup| open(setup, PersistMode::SyncData)),
    ]
}

fn open(setup: &Setup, persist: PersistMode) -> Result<Opened> {
    let db = Database::builder(setup.folder)
        // All blocks of all tables stay in memory: an id takes about 30 bytes.
        .cache_size((setup.expected_ids as u64 * 64).max(64 << 20))
        .open()?;
    let bloom = BloomConstructionPolicy::BitsPerKey(BITS_PER_ID);
    let options = || {
        KeyspaceCreateOptions::default()
            .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(bloom)))
            // New ids ask every filter and every index: none of them is fetched from the cache.
            .filter_block_pinning_policy(PinningPolicy::all(true))
            .index_block_pinning_policy(PinningPolicy::all(true))
            // The default. FIFO wants keys in the order of time.
            .compaction_strategy(Arc::new(Leveled::default()))
    };
    let ids = db.keyspace("ids", options)?;
    Ok(Opened::Shared(Box::new(Fjall { db, ids, persist, in_flight: InFlight::default() })))
}

struct Fjall {
    db: Database,
    ids: Keyspace,
    persist: PersistMode,
    in_flight: InFlight,
}

impl Peer for Fjall {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let now = now();
        let taken = self.in_flight.enter(ids, new);
        let mut batch = self.db.batch().durability(Some(self.persist));
        for at in in_order(ids) {
            new[at] = new[at] && !self.ids.contains_key(ids[at])?;
            if new[at] {
                batch.insert(&self.ids, ids[at], now);
            }
        }
        batch.commit()?;
        drop(taken);
        Ok(())
    }

    /// Writes the memtable as a table, waits for compactions, and syncs.
    fn finish(&self) -> Result<()> {
        self.ids.rotate_memtable_and_wait()?;
        while self.db.active_compactions() > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}
