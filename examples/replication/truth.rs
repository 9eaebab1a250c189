//! What both stores should hold, made from the positions alone, held against what they hold.

use std::collections::{BTreeMap, BTreeSet};

use firstseen::Store;

use crate::change::{Change, id};
use crate::support::Failure;
use crate::{count_of, data_key};

/// How the stores differ from the truth.
#[derive(Debug, Default)]
pub struct Found {
    /// Changes that the source has made.
    pub changes: u64,
    /// Keys of the source, or of the replica, that have another value than they should have.
    pub wrong_totals: u64,
    /// How many changes the replica has applied too few.
    pub lost: u64,
    /// How many it has applied too many.
    pub doubled: u64,
    /// Changes that were not applied in their turn: an early one, a late one, one that is not remembered.
    pub out_of_turn: u64,
    /// Progress that is not at the end, and changes that are still in the source's log.
    pub unfinished: u64,
}

/// Makes all changes again, without a store, and compares.
pub fn compare(source: &Store, replica: &Store, seed: u64) -> Result<Found, Failure> {
    let changes = source.progress("changes")?.unwrap_or(0);
    let mut found = Found { changes, ..Found::default() };
    let mut data = BTreeMap::new();
    for position in 0..changes {
        let change = Change::made_at(position, seed);
        let key = data_key(change.key()).into_bytes();
        if let Some(value) = change.apply(data.remove(&key)) {
            data.insert(key, value);
        }
        let turn = count_of(replica.outcome(id(position))?);
        found.out_of_turn += u64::from(turn != position + 1);
    }
    for store in [source, replica] {
        let stored: BTreeMap<_, _> = store.scan_state("data/")?.into_iter().collect();
        let keys: BTreeSet<_> = data.keys().chain(stored.keys()).collect();
        let wrong = keys.into_iter().filter(|&key| data.get(key) != stored.get(key));
        found.wrong_totals += wrong.count() as u64;
    }
    let applied = count_of(replica.state("applied")?);
    found.lost = changes.saturating_sub(applied);
    found.doubled = applied.saturating_sub(changes);
    let ends = [replica.progress("changes")?, source.progress("replica")?];
    found.unfinished = ends.iter().filter(|end| end.unwrap_or(0) != changes).count() as u64;
    found.unfinished += source.scan_state("log/")?.len() as u64;
    Ok(found)
}
