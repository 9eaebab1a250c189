//! SQLite: a row an id, the time beside it.

use std::sync::Mutex;

use rusqlite::{Connection, TransactionBehavior};

use super::{in_order, now};
use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

/// 0 rows if the id is there. The table is the index: one B-tree, one descent.
const INSERT: &str = "INSERT OR IGNORE INTO ids (id, first_seen) VALUES (?1, ?2)";

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("sqlite", Durability::Buffered, |setup| open(setup, "NORMAL")),
        Entry::new("sqlite-sync", Durability::Sync, |setup| open(setup, "FULL")),
    ]
}

fn open(setup: &Setup, synchronous: &str) -> Result<Opened> {
    let connection = Connection::open(setup.folder.join("ids.sqlite"))?;
    // A log ahead of the file. `NORMAL` syncs at checkpoints, `FULL` at every commit too.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Nobody else opens it: the index of the log is in memory, and locks are taken once.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // In KiB: the whole tree, of about 40 bytes an id.
    let cache = (setup.expected_ids / 16).max(64 << 10);
    connection.pragma_update(None, "cache_size", -(cache as i64))?;
    // Pages in no order are written back 16 times less often than by default.
    connection.pragma_update(None, "wal_autocheckpoint", 16_000)?;
    connection.execute_batch(
        "CREATE TABLE ids (id BLOB PRIMARY KEY, first_seen BLOB NOT NULL) WITHOUT ROWID, STRICT",
    )?;
    Ok(Opened::Shared(Box::new(Sqlite(Mutex::new(connection)))))
}

/// There is one writer at a time anyway.
struct Sqlite(Mutex<Connection>);

impl Peer for Sqlite {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let now = now();
        let mut connection = self.0.lock().expect("no caller panics");
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut insert = transaction.prepare_cached(INSERT)?;
        new.clear();
        new.resize(ids.len(), false);
        for at in in_order(ids) {
            new[at] = insert.execute((&ids[at], &now))? == 1;
        }
        drop(insert);
        Ok(transaction.commit()?)
    }

    /// Brings the log into the file, synced, and empties it.
    fn finish(&self) -> Result<()> {
        let connection = self.0.lock().expect("no caller panics");
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, i64>(0))?;
        Ok(())
    }
}
