//! What the model knows of a transaction.

use super::*;

/// An id that a transaction claimed.
pub struct Item {
    pub index: usize,
    pub n: u64,
    pub kept: Kept,
    pub released: bool,
}

/// What the model knows of an open transaction.
pub struct Tx {
    pub token: u64,
    pub ids: Vec<Item>,
    pub len: usize,
    pub span: Option<Span>,
    /// Position and index of each record that was not read again.
    pub records: Vec<(u64, usize)>,
    pub verdicts: Vec<Verdict>,
    pub changes: Changes,
    pub misused: bool,
    pub at: Timestamp,
}

impl Tx {
    pub fn kept_ids(&self) -> Vec<(u64, Kept)> {
        let kept = self.ids.iter().filter(|item| !item.released);
        kept.map(|item| (item.n, item.kept.clone())).collect()
    }

    /// The positions that a commit settles, and those that it does not.
    pub fn split(&self) -> (Vec<u64>, Vec<u64>) {
        let released = |i: usize| self.ids.iter().any(|item| item.index == i && item.released);
        let settled = |&(_, i): &(u64, usize)| self.verdicts[i].is_settled() && !released(i);
        let positions = |records: Vec<(u64, usize)>| records.into_iter().map(|r| r.0).collect();
        let (done, left) = self.records.iter().partition::<Vec<_>, _>(|record| settled(record));
        (positions(done), positions(left))
    }
}

/// What is known of a prepared transaction until the process ends.
pub struct InDoubt {
    pub fence: u64,
    pub span: Option<Span>,
    pub done: Vec<u64>,
    pub left: Vec<u64>,
    pub named: Vec<(&'static str, u64)>,
}

/// An id of the batch, nearly always one that is claimed.
pub fn pick_index(tx: &Tx, b: u8) -> Option<usize> {
    let claimed: Vec<usize> =
        tx.ids.iter().filter(|item| !item.released).map(|item| item.index).collect();
    match b {
        0..8 if tx.len > 0 => Some(usize::from(b) % (tx.len + 1)),
        _ if claimed.is_empty() => None,
        _ => Some(claimed[usize::from(b) % claimed.len()]),
    }
}
