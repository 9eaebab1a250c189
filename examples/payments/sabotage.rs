//! The steps of [`Worker`] in the wrong orders: each is fine until the process dies or the ledger fails
//! between two steps, and then it shows what that order loses. Nothing here is to be copied.

use std::ffi::OsString;
use std::thread;

use clap::ValueEnum;

use crate::support::child::{beat, say};
use crate::support::{Failure, GAP};
use crate::worker::Worker;

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// The store commits before the ledger pays: what the ledger did not get is never paid.
    CommitFirst,
    /// The ledger pays and then the store commits, with nothing prepared: what the store did not get is
    /// paid again.
    LedgerFirst,
    /// The ledger is asked whether it has paid and does not close the request: one that was on its way
    /// is paid as well as the one that took its place.
    OnlyLook,
}

impl Sabotage {
    /// What a child is told of it.
    pub fn args(sabotage: Option<Sabotage>) -> Vec<OsString> {
        let value = sabotage.and_then(|sabotage| sabotage.to_possible_value());
        let value = value.map(|value| value.get_name().into());
        value.map_or_else(Vec::new, |value| vec!["--sabotage".into(), value])
    }

    /// As [`Worker::run`], done wrong.
    pub fn run(self, worker: &mut Worker<'_>) -> Result<(), Failure> {
        if self == Sabotage::OnlyLook {
            return worker.run();
        }
        loop {
            beat();
            let batch = worker.next_batch()?;
            if batch.is_empty() {
                return Ok(());
            }
            let records: Vec<_> =
                batch.iter().map(|payment| (payment.position, payment.id)).collect();
            let tx = worker.store.begin_from(&worker.source, &records)?;
            let new: Vec<_> = tx.fresh().map(|i| batch[i]).collect();
            // The fencing token makes it a request of its own, as in the right order.
            let token = format!("{}/{}", worker.source, tx.token());
            let mut pay = || match worker.ledger.pay(&token, &new) {
                Err(error) if error.is_transient() => Ok(false),
                paid => paid.map(|()| true),
            };
            if self == Sabotage::CommitFirst {
                tx.commit()?;
                thread::sleep(GAP);
                pay()?;
            } else if pay()? {
                thread::sleep(GAP);
                tx.commit()?;
            } else {
                say("ledger_failures");
                tx.abort();
            }
        }
    }
}
