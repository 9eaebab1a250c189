//! A ledger that fails: before its commit, after it, by being busy, and by being slow.

use std::thread;
use std::time::Duration;

use rusqlite::TransactionBehavior;

use crate::ledger::{Ledger, LedgerError};
use crate::stream::Payment;
use crate::support::random::Rng;

/// One call in so many meets each of the faults.
const RARITY: u64 = 16;

/// A connection to the ledger over which much goes wrong.
#[derive(Debug)]
pub struct FaultyLedger {
    ledger: Ledger,
    rng: Rng,
    /// Look, and do not close: see [`Ledger::close`].
    only_look: bool,
}

impl FaultyLedger {
    pub fn new(ledger: Ledger, rng: Rng, only_look: bool) -> FaultyLedger {
        FaultyLedger { ledger, rng, only_look }
    }

    /// As [`Ledger::pay`].
    pub fn pay(&mut self, token: &str, payments: &[Payment]) -> Result<(), LedgerError> {
        match self.rng.below(RARITY) {
            0 => Err(LedgerError::NoAnswer),
            1 => {
                self.ledger.pay(token, payments)?;
                Err(LedgerError::NoAnswer)
            }
            2 => self.pay_late(token, payments),
            3 => self.while_busy(|ledger| ledger.pay(token, payments)),
            _ => self.ledger.pay(token, payments),
        }
    }

    /// As [`Ledger::close`].
    pub fn close(&mut self, token: &str) -> Result<bool, LedgerError> {
        match self.rng.below(RARITY) {
            0..4 => Err(LedgerError::NoAnswer),
            4 => {
                self.close_or_look(token)?;
                Err(LedgerError::NoAnswer)
            }
            5 => self.while_busy(|ledger| ledger.close(token)),
            _ => self.close_or_look(token),
        }
    }

    fn close_or_look(&mut self, token: &str) -> Result<bool, LedgerError> {
        if !self.only_look {
            return self.ledger.close(token);
        }
        let look = "SELECT count(*) FROM requests WHERE token = ?";
        Ok(self.ledger.db().query_row(look, [token], |row| row.get(0))?)
    }

    /// The caller gives up, and the request arrives after that.
    fn pay_late(&mut self, token: &str, payments: &[Payment]) -> Result<(), LedgerError> {
        let mut ledger = self.ledger.another()?;
        let (token, payments) = (token.to_owned(), payments.to_vec());
        let way = self.rng.log_uniform(Duration::from_micros(100), Duration::from_millis(20));
        thread::spawn(move || {
            thread::sleep(way);
            // Nobody waits for the answer any more.
            let _ = ledger.pay(&token, &payments);
        });
        Err(LedgerError::NoAnswer)
    }

    /// Somebody else writes for longer than the caller waits.
    fn while_busy<T>(
        &mut self,
        call: impl FnOnce(&mut Ledger) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut other = self.ledger.another()?;
        let writes = other.db().transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.ledger.db().busy_timeout(Duration::ZERO)?;
        let done = call(&mut self.ledger);
        self.ledger.be_patient()?;
        writes.rollback()?;
        done
    }
}
