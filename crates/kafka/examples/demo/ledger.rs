//! Another system that has transactions: a ledger in SQLite, as a [`Sink`].
//!
//! It does not look at the ids of orders: whoever books one twice finds it in here twice.

use std::path::Path;
use std::time::Duration;

use firstseen_kafka::{BoxError, Message, Sink, Token, TopicPartition};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::ways::{do_work, id};

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS batches (
        token TEXT PRIMARY KEY, -- the one under which the store has prepared the batch
        done INTEGER NOT NULL   -- 0: closed before it was done, and never will be
    ) STRICT;
    CREATE TABLE IF NOT EXISTS owners (
        partition INTEGER PRIMARY KEY,
        tenure INTEGER NOT NULL -- the highest that was seen: lower ones are refused
    ) STRICT;
    CREATE TABLE IF NOT EXISTS entries (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        partition INTEGER NOT NULL,
        amount TEXT NOT NULL
    ) STRICT;
";

/// See the module documentation.
pub struct Ledger {
    db: Connection,
}

impl Ledger {
    /// Opens the ledger in `dir`, and makes it if there is none.
    pub fn open(dir: &Path) -> Result<Ledger, BoxError> {
        let db = Connection::open(dir.join("ledger.sqlite"))?;
        db.busy_timeout(Duration::from_secs(30))?;
        db.execute_batch(SCHEMA)?;
        Ok(Ledger { db })
    }

    /// All that is booked: ids and amounts.
    pub fn entries(&self) -> Result<Vec<(String, u64)>, BoxError> {
        let mut entries = self.db.prepare("SELECT id, amount FROM entries ORDER BY number")?;
        let rows = entries.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(BoxError::from).and_then(|(id, n)| Ok((id, n.parse()?))))
            .collect()
    }
}

/// Notes the tenure of a partition's owner. Fails if it has a later one.
fn raise(
    transaction: &Transaction<'_>,
    partition: &TopicPartition,
    tenure: u64,
) -> Result<(), BoxError> {
    let (number, tenure) = (i64::from(partition.partition), i64::try_from(tenure)?);
    let raised = transaction.execute(
        "INSERT INTO owners VALUES (?, ?)
         ON CONFLICT DO UPDATE SET tenure = excluded.tenure WHERE tenure <= excluded.tenure",
        [number, tenure],
    )?;
    match raised {
        0 => Err(format!("{partition} has a later owner than {tenure}").into()),
        _ => Ok(()),
    }
}

impl Sink for Ledger {
    fn fence(&mut self, partition: &TopicPartition, tenure: u64) -> Result<(), BoxError> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        raise(&transaction, partition, tenure)?;
        Ok(transaction.commit()?)
    }

    fn apply(
        &mut self,
        partition: &TopicPartition,
        token: &Token,
        messages: &mut dyn Iterator<Item = Message<'_>>,
    ) -> Result<(), BoxError> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        raise(&transaction, partition, token.tenure())?;
        // A token that was closed is there already, and this fails.
        transaction.execute("INSERT INTO batches VALUES (?, 1)", [token.name()])?;
        {
            let mut entry = transaction
                .prepare("INSERT INTO entries (id, partition, amount) VALUES (?, ?, ?)")?;
            for message in messages {
                do_work();
                let id = std::str::from_utf8(id(&message)?)?;
                let amount = std::str::from_utf8(message.payload.unwrap_or_default())?;
                entry.execute(params![id, partition.partition, amount])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn close(&mut self, _: &TopicPartition, token: &str) -> Result<bool, BoxError> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("INSERT INTO batches VALUES (?, 0) ON CONFLICT DO NOTHING", [token])?;
        let done =
            transaction
                .query_row("SELECT done FROM batches WHERE token = ?", [token], |row| row.get(0))?;
        transaction.commit()?;
        Ok(done)
    }
}
