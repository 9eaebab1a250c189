//! redb: a copy-on-write B-tree in Rust. A key an id, the time as its value.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, TableDefinition};

use super::{in_order, look, now};
use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

const IDS: TableDefinition<&[u8; 16], &[u8; 8]> = TableDefinition::new("ids");

/// Between two commits that reach the medium, where not all do.
const SYNC_EVERY: Duration = Duration::from_millis(500);

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("redb", Durability::Delayed, |setup| open(setup, Some(SYNC_EVERY))),
        Entry::new("redb-sync", Durability::Sync, |setup| open(setup, None)),
    ]
}

fn open(setup: &Setup, sync_every: Option<Duration>) -> Result<Opened> {
    let db = Database::builder()
        // The whole tree stays in memory: an id takes about 50 bytes. The default is 1 GiB.
        .set_cache_size((setup.expected_ids * 128).max(1 << 30))
        .create(setup.folder.join("ids.redb"))?;
    // So that a reader finds the table.
    let transaction = db.begin_write()?;
    transaction.open_table(IDS)?;
    transaction.commit()?;
    Ok(Opened::Shared(Box::new(Redb { db, sync_every, synced: Mutex::new(Instant::now()) })))
}

struct Redb {
    db: Database,
    /// `None`: every commit is synced.
    sync_every: Option<Duration>,
    synced: Mutex<Instant>,
}

impl Redb {
    /// What the next commit promises. One that promises nothing is made durable by the next that does.
    fn durability(&self) -> redb::Durability {
        let Some(every) = self.sync_every else { return redb::Durability::Immediate };
        let mut synced = self.synced.lock().expect("no caller panics");
        if synced.elapsed() < every {
            return redb::Durability::None;
        }
        *synced = Instant::now();
        redb::Durability::Immediate
    }
}

impl Peer for Redb {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let order = in_order(ids);
        // Readers do not wait for the one writer.
        let table = self.db.begin_read()?.open_table(IDS)?;
        look(ids, &order, new, |id| Ok(table.get(id)?.is_none()))?;
        drop(table);
        if !new.contains(&true) {
            return Ok(());
        }
        let now = now();
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(self.durability())?;
        let mut table = transaction.open_table(IDS)?;
        for at in order {
            // One descent, and the writer decides.
            if new[at] {
                new[at] = table.insert(&ids[at], &now)?.is_none();
            }
        }
        drop(table);
        Ok(transaction.commit()?)
    }

    /// An empty commit, that makes all before it durable.
    fn finish(&self) -> Result<()> {
        Ok(self.db.begin_write()?.commit()?)
    }
}
