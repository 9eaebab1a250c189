//! fjall: an LSM tree in Rust. A key an id, the time as its value.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fjall::compaction::Leveled;
use fjall::config::{BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry, PinningPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::generations::Generations;
use super::in_flight::InFlight;
use super::{in_order, look, now};
use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

/// Of the filters in front of tables: one of 1000 is asked in vain.
const BITS_PER_ID: f32 = 14.0;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("fjall", Durability::Buffered, |setup| open(setup, PersistMode::Buffer))
            .forgetting(open_to_forget),
        Entry::new("fjall-sync", Durability::Sync, |setup| open(setup, PersistMode::SyncData)),
    ]
}

fn open(setup: &Setup, persist: PersistMode) -> Result<Opened> {
    let db = database(setup)?;
    let ids = keyspace(&db, "ids")?;
    Ok(Opened::Shared(Box::new(Fjall { db, ids, persist, in_flight: InFlight::default() })))
}

/// A keyspace for each part of the window.
fn open_to_forget(setup: &Setup) -> Result<Opened> {
    let db = database(setup)?;
    let ids = Generations::new(setup.expected_ids, |part| keyspace(&db, &part.to_string()))?;
    Ok(Opened::Alone(Box::new(Forgetting { db, ids })))
}

fn database(setup: &Setup) -> Result<Database> {
    // All blocks of all tables stay in memory: an id takes about 30 bytes.
    let cache = (setup.expected_ids as u64 * 64).max(64 << 20);
    Ok(Database::builder(setup.folder).cache_size(cache).open()?)
}

fn keyspace(db: &Database, name: &str) -> Result<Keyspace> {
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
    Ok(db.keyspace(name, options)?)
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

    fn finish(&self) -> Result<()> {
        finish(&self.db, &self.ids)
    }
}

/// The same, by one thread, and what is older than the window goes.
struct Forgetting {
    db: Database,
    ids: Generations<Keyspace>,
}

impl Peer for Forgetting {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let now = now();
        let order = in_order(ids);
        look(ids, &order, new, |id| {
            for keyspace in self.ids.all() {
                if keyspace.contains_key(id)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        let mut batch = self.db.batch().durability(Some(PersistMode::Buffer));
        let (mut last, youngest) = (None, self.ids.youngest());
        for at in order {
            // Of equal ids, which are neighbours now, the first is new.
            new[at] = new[at] && last != Some(ids[at]);
            last = Some(ids[at]);
            if new[at] {
                batch.insert(youngest, ids[at], now);
            }
        }
        Ok(batch.commit()?)
    }

    fn finish(&self) -> Result<()> {
        finish(&self.db, self.ids.youngest())
    }

    fn forget(&self, inserted: usize) -> Result<()> {
        Ok(self.ids.advance(inserted, Keyspace::clear)?)
    }
}

/// Writes the memtable as a table, waits for compactions, and syncs.
fn finish(db: &Database, ids: &Keyspace) -> Result<()> {
    ids.rotate_memtable_and_wait()?;
    while db.active_compactions() > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(db.persist(PersistMode::SyncAll)?)
}
