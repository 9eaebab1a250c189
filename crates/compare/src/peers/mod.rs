//! The peers: one small file for each kind, one entry for each way of setting it up.

mod bloom_sled;
mod concurrent_map;
mod fjall;
mod generations;
mod in_flight;
#[cfg(feature = "c")]
mod lmdb;
mod locked_set;
mod ours;
mod papaya;
mod plain_set;
mod redb;
#[cfg(all(unix, feature = "redis"))]
mod redis;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod scc;
mod sled;
#[cfg(feature = "c")]
mod sqlite;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::peer::{Entry, Id, Result};

/// All peers that were built, the store first: the table compares the others with the first that is
/// asked for.
pub(crate) fn all() -> Vec<Entry> {
    let mut all = ours::entries();
    #[cfg(feature = "rocksdb")]
    all.extend(rocksdb::entries());
    all.extend(fjall::entries());
    #[cfg(feature = "c")]
    all.extend(lmdb::entries());
    all.extend(redb::entries());
    #[cfg(feature = "c")]
    all.extend(sqlite::entries());
    all.extend(bloom_sled::entries());
    all.extend(sled::entries());
    #[cfg(all(unix, feature = "redis"))]
    all.extend(redis::entries());
    all.extend(locked_set::entries());
    all.extend(plain_set::entries());
    all.extend(concurrent_map::entries());
    all.extend(scc::entries());
    all.extend(papaya::entries());
    all
}

/// The places of a batch in the order of its ids: engines that sort find the next one near the last.
fn in_order(ids: &[Id]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..ids.len()).collect();
    // A stable sort: of equal ids the first stays first.
    places.sort_by_key(|&place| ids[place]);
    places
}

/// Leaves in `new` which of the ids are absent, asked for in `order`.
fn look(
    ids: &[Id],
    order: &[usize],
    new: &mut Vec<bool>,
    mut is_absent: impl FnMut(&Id) -> Result<bool>,
) -> Result<()> {
    new.clear();
    new.resize(ids.len(), false);
    for &at in order {
        new[at] = is_absent(&ids[at])?;
    }
    Ok(())
}

/// When an id was first seen, for a sweep to forget it by: milliseconds since 1970, big-endian.
fn now() -> [u8; 8] {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_millis() as u64).to_be_bytes()
}
