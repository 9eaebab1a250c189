//! sled by itself: a key for each id, and the time when it was first seen as its value.

use sled::{Config, Db, Mode};

use super::now;
use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

/// What sled acknowledges is in its memory; a thread of its own writes and syncs it.
pub(super) const DURABILITY: Durability = Durability::Delayed;

pub(super) fn entries() -> Vec<Entry> {
    let open = |setup: &Setup| Ok(Opened::Shared(Box::new(Sled(open(setup)?)) as _));
    vec![Entry::new("sled", DURABILITY, open)]
}

pub(super) fn open(setup: &Setup) -> Result<Db> {
    let config = Config::new()
        .path(setup.folder)
        // The whole tree stays in memory: an id takes about 150 bytes. The default is 1 GiB.
        .cache_capacity((setup.expected_ids as u64 * 256).max(1 << 30))
        // The default. At 100 ms new ids took a quarter to a half longer; without any flushing they
        // took as long, and `finish` would have all of it to do.
        .flush_every_ms(Some(500))
        // The other mode was as fast. This one is named for writers.
        .mode(Mode::HighThroughput)
        // The default: random ids do not compress.
        .use_compression(false);
    Ok(config.open()?)
}

/// Inserts the id unless it is there: one descent of the tree, and sled decides who is first.
pub(super) fn insert_if_absent(db: &Db, id: &Id, now: [u8; 8]) -> Result<bool> {
    Ok(db.compare_and_swap(id, None::<&[u8]>, Some(&now[..]))?.is_ok())
}

/// Writes and syncs what sled still holds back.
pub(super) fn flush(db: &Db) -> Result<()> {
    db.flush()?;
    Ok(())
}

struct Sled(Db);

impl Peer for Sled {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let now = now();
        new.clear();
        for id in ids {
            new.push(insert_if_absent(&self.0, id, now)?);
        }
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        flush(&self.0)
    }
}
