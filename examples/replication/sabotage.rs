//! The steps of the replica in the wrong orders: each is fine until the process dies between two steps,
//! and then it shows what that order loses. Nothing here is to be copied.

use std::ffi::OsString;
use std::thread;

use clap::ValueEnum;
use firstseen::Store;

use crate::change::Logged;
use crate::link::{Link, Sent};
use crate::support::child::beat;
use crate::support::{Failure, GAP};
use crate::{count_of, data_key};

/// Which step is done too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// The acknowledgement: the source deletes what the replica has not committed. Lost.
    #[value(name = "ack-first")]
    Ack,
    /// The progress, in a commit of its own: what comes again is taken for applied. Lost.
    #[value(name = "progress-first")]
    Progress,
    /// The changes, in a commit of their own: what comes again is applied again. Doubled.
    #[value(name = "changes-first")]
    Changes,
}

impl Sabotage {
    /// What a child is told of it.
    pub fn args(sabotage: Option<Sabotage>) -> Vec<OsString> {
        let value = sabotage.and_then(|sabotage| sabotage.to_possible_value());
        let value = value.map(|value| value.get_name().into());
        value.map_or_else(Vec::new, |value| vec!["--sabotage".into(), value])
    }

    /// As the replica does, with the steps apart.
    pub fn follow(self, store: &Store, mut source: Link) -> Result<(), Failure> {
        while let Sent::Batch(batch) = source.receive()? {
            let progress = store.progress("changes")?.unwrap_or(0);
            let end = batch.last().map_or(0, |last| last.position + 1).max(progress);
            let new: Vec<_> = batch.iter().filter(|new| new.position >= progress).collect();
            match self {
                Sabotage::Ack => {
                    source.acknowledge(end)?;
                    thread::sleep(GAP);
                    commit(store, &new, Some(end))?;
                }
                Sabotage::Progress => {
                    commit(store, &[], Some(end))?;
                    thread::sleep(GAP);
                    commit(store, &new, None)?;
                    source.acknowledge(end)?;
                }
                Sabotage::Changes => {
                    commit(store, &new, None)?;
                    thread::sleep(GAP);
                    commit(store, &[], Some(end))?;
                    source.acknowledge(end)?;
                }
            }
            beat();
        }
        Ok(())
    }
}

fn commit(store: &Store, batch: &[&Logged], progress: Option<u64>) -> firstseen::Result<()> {
    let mut tx = store.begin::<&str>(&[])?;
    for logged in batch {
        let key = data_key(logged.change.key());
        match logged.change.apply(tx.state(&key)?) {
            Some(value) => tx.put_state(&key, value),
            None => tx.delete_state(&key),
        }
    }
    let applied = count_of(tx.state("applied")?) + batch.len() as u64;
    tx.put_state("applied", applied.to_le_bytes());
    if let Some(progress) = progress {
        tx.set_progress("changes", progress);
    }
    tx.commit()
}
