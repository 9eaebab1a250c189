//! fjall: an LSM tree in Rust. A key an id, the time as its value.

use std::slice;
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

/// Two keyspaces.
fn open_to_forget(setup: &Setup) -> Result<Opened> {
    let db = database(setup)?;
    let ids = Generations::new(setup.expected_ids, |number| keyspace(&db, &number.to_string()))?;
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
        finish(&self.db, slice::from_ref(&self.ids))
    }
}

/// The same, by one thread, and what is older than the window goes.
struct Forgetting {
    db: Database,
    ids: Generations<Keyspace>,
}

impl Peer for Forgetting {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
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
        let (mut last, younger) = (None, self.ids.younger());
        for at in order {
            // Of equal ids, which are neighbours now, the first is new.
            new[at] = new[at] && last != Some(ids[at]);
            last = Some(ids[at]);
            if new[at] {
                // No time: its keyspace tells how old an id is.
                batch.insert(younger, ids[at], []);
            }
        }
        Ok(batch.commit()?)
    }

    fn finish(&self) -> Result<()> {
        finish(&self.db, self.ids.all())
    }

    fn forget(&self, inserted: usize) -> Result<()> {
        if let Some((older, full)) = self.ids.advance(inserted) {
            older.clear()?;
            // What stayed in its memtable would keep the journal, and be work that is put off for good.
            full.rotate_memtable()?;
        }
        Ok(())
    }
}

/// Writes what is in memtables as tables, waits for compactions, and syncs.
fn finish(db: &Database, keyspaces: &[Keyspace]) -> Result<()> {
    for keyspace in keyspaces {
        keyspace.rotate_memtable_and_wait()?;
    }
    while db.active_compactions() > 0 || keyspaces.iter().any(|of| of.sealed_memtable_count() > 0) {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(db.persist(PersistMode::SyncAll)?)
}
