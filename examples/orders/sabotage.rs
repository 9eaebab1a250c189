//! The steps of [`count`](crate::count) in the wrong orders: each is fine until the process dies between
//! two steps, and then it shows what that order loses. Nothing here is to be copied.

use std::ffi::OsString;
use std::thread;

use clap::ValueEnum;
use firstseen::{Claim, Error, Refusal, Store};

use crate::support::child::beat;
use crate::support::random::Rng;
use crate::support::{Failure, GAP};
use crate::{Account, Order, Stream, batch_len, customer_key};

/// Which step is done too early, in a commit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// The progress: after a crash the batch is not read again. Lost.
    #[value(name = "progress-first")]
    Progress,
    /// The ids: after a crash the batch is read again, and all of it are duplicates. Lost.
    #[value(name = "ids-first")]
    Ids,
    /// The totals: after a crash the batch is read again, and is new. Doubled.
    #[value(name = "totals-first")]
    Totals,
}

impl Sabotage {
    /// What a child is told of it.
    pub fn args(sabotage: Option<Sabotage>) -> Vec<OsString> {
        let value = sabotage.and_then(|sabotage| sabotage.to_possible_value());
        let value = value.map(|value| value.get_name().into());
        value.map_or_else(Vec::new, |value| vec!["--sabotage".into(), value])
    }

    /// As [`consume`](crate::consume), with the steps apart.
    pub fn consume(
        self,
        store: &Store,
        source: &str,
        mut stream: Stream,
        rng: &mut Rng,
    ) -> Result<(), Failure> {
        let mut position = store.progress(source)?.unwrap_or(0);
        loop {
            let batch = stream.read(position, batch_len(rng))?;
            let Some(last) = batch.last() else { return Ok(()) };
            position = last.position + 1;
            let ids: Vec<_> = batch.iter().map(|order| order.id).collect();
            match self {
                Sabotage::Progress => {
                    set_progress(store, source, position)?;
                    thread::sleep(GAP);
                    until_committed(|| {
                        let mut tx = store.begin(&ids)?;
                        tx.fresh().try_for_each(|i| count(&mut tx, &batch[i]))?;
                        tx.commit()
                    })?;
                }
                Sabotage::Ids => {
                    let verdicts = store.check_and_insert(&ids)?;
                    let new = batch.iter().zip(verdicts).filter(|(_, verdict)| verdict.is_new());
                    let new: Vec<_> = new.map(|(order, _)| order).collect();
                    thread::sleep(GAP);
                    count_apart(store, &new)?;
                    set_progress(store, source, position)?;
                }
                Sabotage::Totals => {
                    // Held while it is counted, so that no other thread counts it: only a crash tells.
                    let mut tx = store.begin(&ids)?;
                    let new: Vec<_> = tx.fresh().map(|i| &batch[i]).collect();
                    count_apart(store, &new)?;
                    thread::sleep(GAP);
                    tx.set_progress(source, position);
                    tx.commit()?;
                }
            }
            beat();
        }
    }
}

fn set_progress(store: &Store, source: &str, position: u64) -> firstseen::Result<()> {
    let mut tx = store.begin::<&str>(&[])?;
    tx.set_progress(source, position);
    tx.commit()
}

/// Counts orders in a commit without their ids.
fn count_apart(store: &Store, orders: &[&Order]) -> firstseen::Result<()> {
    until_committed(|| {
        let mut tx = store.begin::<&str>(&[])?;
        orders.iter().try_for_each(|order| count(&mut tx, order))?;
        tx.commit()
    })
}

fn count(tx: &mut Claim, order: &Order) -> firstseen::Result<()> {
    let key = customer_key(order.customer);
    let mut account = Account::from(tx.state(&key)?);
    account.orders += 1;
    account.total += order.amount;
    tx.put_state(key, account);
    Ok(())
}

fn until_committed(
    mut transaction: impl FnMut() -> firstseen::Result<()>,
) -> firstseen::Result<()> {
    loop {
        match transaction() {
            Err(Error::Refused(Refusal::Conflict { .. })) => {}
            done => return done,
        }
    }
}
