//! Transactional ids: their epochs, and what is open under them.

use std::collections::{BTreeMap, BTreeSet};

use super::log::TransactionId;
use crate::client::{Committed, Fault, FaultKind};
use crate::message::TopicPartition;

/// The transactional ids of a cluster.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    ids: BTreeMap<String, Kept>,
    begun: TransactionId,
}

#[derive(Debug, Default)]
struct Kept {
    epoch: u64,
    open: Option<Open>,
    /// How the last one ended, if nothing was begun since.
    ended: Option<bool>,
}

/// A transaction that is open.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) id: TransactionId,
    pub(super) partitions: BTreeSet<TopicPartition>,
    /// Offsets of groups that wait for its end.
    pub(super) offsets: Vec<(String, TopicPartition, Committed)>,
}

impl Transactions {
    /// Begins a new epoch. Returns it with what was open, which is to be aborted.
    pub(super) fn init(&mut self, name: &str) -> (u64, Option<Open>) {
        let kept = self.ids.entry(name.to_owned()).or_default();
        kept.epoch += 1;
        kept.ended = None;
        (kept.epoch, kept.open.take())
    }

    /// The transaction that is open, begun if there is none.
    pub(super) fn open(
        &mut self,
        name: &str,
        epoch: u64,
        doing: &'static str,
    ) -> Result<&mut Open, Fault> {
        let begun = &mut self.begun;
        let kept = checked(&mut self.ids, name, epoch, doing)?;
        kept.ended = None;
        Ok(kept.open.get_or_insert_with(|| {
            *begun += 1;
            Open { id: *begun, ..Open::default() }
        }))
    }

    /// Ends what is open; `None` if nothing was, or if it had ended so before.
    pub(super) fn end(
        &mut self,
        name: &str,
        epoch: u64,
        commit: bool,
    ) -> Result<Option<Open>, Fault> {
        let doing = if commit { "commit a transaction" } else { "abort a transaction" };
        let kept = checked(&mut self.ids, name, epoch, doing)?;
        if kept.ended.is_some_and(|committed| committed != commit) {
            let said = "the transaction has ended the other way".to_owned();
            return Err(Fault { kind: FaultKind::Fatal, doing, said });
        }
        kept.ended = Some(commit);
        Ok(kept.open.take())
    }

    /// Whether a transaction over the offset of a group's partition is open.
    pub(super) fn is_pending(&self, group: &str, partition: &TopicPartition) -> bool {
        let over = |open: &Open| open.offsets.iter().any(|(g, p, _)| g == group && p == partition);
        self.ids.values().filter_map(|kept| kept.open.as_ref()).any(over)
    }

    /// The names under which something is open.
    pub(super) fn open_names(&self) -> Vec<String> {
        let open = self.ids.iter().filter(|(_, kept)| kept.open.is_some());
        open.map(|(name, _)| name.clone()).collect()
    }
}

/// What is kept of a name, if `epoch` is its last.
fn checked<'a>(
    ids: &'a mut BTreeMap<String, Kept>,
    name: &str,
    epoch: u64,
    doing: &'static str,
) -> Result<&'a mut Kept, Fault> {
    match ids.get_mut(name) {
        Some(kept) if kept.epoch == epoch => Ok(kept),
        _ => {
            let said = format!("epoch {epoch} of producer `{name}` is over");
            Err(Fault { kind: FaultKind::Fenced, doing, said })
        }
    }
}
