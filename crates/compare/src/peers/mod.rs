//! The peers: one small file for each kind, one entry for each way of setting it up.

mod bloom_sled;
mod concurrent_map;
mod locked_set;
mod ours;
mod plain_set;
mod sled;

use crate::peer::Entry;

/// All peers, the store first: the table compares the others with the first that is asked for.
pub(crate) fn all() -> Vec<Entry> {
    [
        ours::entries(),
        bloom_sled::entries(),
        sled::entries(),
        locked_set::entries(),
        plain_set::entries(),
        concurrent_map::entries(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
