//! The other system: a ledger in SQLite, which commits by itself and can be asked about a token.
//!
//! It does not look at the ids of payments: whoever pays one twice finds it in here twice.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};

use crate::stream::Payment;

/// How long to wait for others who write.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same at the start, where nobody asks again.
const PATIENCE_AT_START: Duration = Duration::from_secs(60);

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS requests (
        token TEXT PRIMARY KEY, -- the one under which the request was prepared in the store
        paid INTEGER NOT NULL   -- 0: closed before it was paid, and never will be
    ) STRICT;
    CREATE TABLE IF NOT EXISTS entries (
        number INTEGER PRIMARY KEY,
        token TEXT NOT NULL REFERENCES requests,
        payment INTEGER NOT NULL,
        account INTEGER NOT NULL,
        amount INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS balances (
        account INTEGER PRIMARY KEY,
        amount INTEGER NOT NULL
    ) STRICT;
";

/// Why the ledger did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// SQLite says so: nothing was done.
    #[error("the ledger: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The request was closed before it came.
    #[error("the ledger has closed request {0}")]
    Closed(String),
    /// No answer came: whether anything was done is not known.
    #[error("the ledger did not answer")]
    NoAnswer,
}

impl LedgerError {
    /// Whether it is worth to ask again. Anything else is a mistake in this program.
    pub fn is_transient(&self) -> bool {
        match self {
            LedgerError::Sqlite(error) => {
                let busy = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked];
                error.sqlite_error_code().is_some_and(|code| busy.contains(&code))
            }
            LedgerError::Closed(_) | LedgerError::NoAnswer => true,
        }
    }
}

/// A connection to the ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    db: Connection,
}

impl Ledger {
    /// Opens the ledger in `dir`, and makes it if there is none.
    pub fn open(dir: &Path) -> Result<Ledger, LedgerError> {
        let ledger = Ledger::connect(dir.join("ledger.sqlite"), PATIENCE_AT_START)?;
        ledger.db.execute_batch(SCHEMA)?;
        ledger.be_patient()?;
        Ok(ledger)
    }

    fn connect(path: PathBuf, patience: Duration) -> Result<Ledger, LedgerError> {
        let ledger = Ledger { db: Connection::open(&path)?, path };
        ledger.db.busy_timeout(patience)?;
        // What it says it has must still be there after a power cut.
        ledger.db.pragma_update(None, "synchronous", "FULL")?;
        Ok(ledger)
    }

    /// Waits for others who write, if not for ever.
    pub fn be_patient(&self) -> Result<(), LedgerError> {
        Ok(self.db.busy_timeout(PATIENCE)?)
    }

    /// Another connection, for another thread.
    pub fn another(&self) -> Result<Ledger, LedgerError> {
        Ledger::connect(self.path.clone(), PATIENCE)
    }

    /// Pays everything and records the token, in one transaction.
    pub fn pay(&mut self, token: &str, payments: &[Payment]) -> Result<(), LedgerError> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let added = transaction
            .execute("INSERT INTO requests VALUES (?, 1) ON CONFLICT DO NOTHING", [token])?;
        if added == 0 {
            return Err(LedgerError::Closed(token.to_owned()));
        }
        {
            let mut entry = transaction.prepare(
                "INSERT INTO entries (token, payment, account, amount) VALUES (?, ?, ?, ?)",
            )?;
            let mut balance = transaction.prepare(
                "INSERT INTO balances VALUES (?, ?)
                 ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
            )?;
            for payment in payments {
                let (account, amount) = (payment.account, payment.amount);
                entry.execute(params![token, payment.number(), account, amount])?;
                balance.execute([account, amount])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Whether a request was paid; if not, it is closed, so that it never will be.
    ///
    /// To look and not to close would not do: a request that got no answer may still be on its
    /// way, and arrive after everybody has been told that it did not.
    pub fn close(&mut self, token: &str) -> Result<bool, LedgerError> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction
            .execute("INSERT INTO requests VALUES (?, 0) ON CONFLICT DO NOTHING", [token])?;
        let paid =
            transaction.query_row("SELECT paid FROM requests WHERE token = ?", [token], |row| {
                row.get(0)
            })?;
        transaction.commit()?;
        Ok(paid)
    }

    /// The connection, for whoever breaks it or checks it.
    pub fn db(&mut self) -> &mut Connection {
        &mut self.db
    }
}
