//! The classic composition: a Bloom filter in front of sled. What the filter has not seen is new;
//! where it says "maybe", sled is asked.
//!
//! Two ways of applying a batch, because the obvious one is the slower one:
//!
//! - *each*: every new id by a compare-and-swap of its own. The lock of the filter is held while the
//!   filter is asked, not while sled works; the swap decides between threads.
//! - *batch*: the new ids as one `sled::Batch`, all or nothing after a crash. A batch does not tell
//!   what was there before, so the lock is held until it is applied. Little is lost by that: sled
//!   itself lets nobody else in meanwhile, in the whole process.

use std::sync::{Mutex, MutexGuard};

use hashbrown::DefaultHashBuilder;
use probabilistic_collections::bloom::BloomFilter;
use sled::{Batch, Db};

use super::now;
use super::sled::{DURABILITY, flush, insert_if_absent, open};
use crate::peer::{Entry, Id, Opened, Peer, Result, Setup};

/// Of 1000 new ids one is looked up in vain. At 1 % ten would be, for 5 bits an id less.
const FALSE_POSITIVES: f64 = 0.001;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("bloom+sled", DURABILITY, |setup| {
            Ok(Opened::Shared(Box::new(Each(Parts::open(setup)?))))
        }),
        Entry::new("bloom+sled-batch", DURABILITY, |setup| {
            Ok(Opened::Shared(Box::new(AsBatch(Parts::open(setup)?))))
        }),
    ]
}

/// Hashed as hashbrown does: keyed too, and faster than the default of SipHash twice.
type Filter = BloomFilter<Id, DefaultHashBuilder>;

struct Parts {
    filter: Mutex<Filter>,
    db: Db,
}

impl Parts {
    fn open(setup: &Setup) -> Result<Parts> {
        let hashers = [DefaultHashBuilder::default(), DefaultHashBuilder::default()];
        let filter = Filter::with_hashers(setup.expected_ids, FALSE_POSITIVES, hashers);
        Ok(Parts { filter: Mutex::new(filter), db: open(setup)? })
    }

    fn filter(&self) -> MutexGuard<'_, Filter> {
        self.filter.lock().expect("no caller panics")
    }

    fn known(&self, id: &Id) -> Result<bool> {
        Ok(self.db.get(id)?.is_some())
    }
}

/// Adds the id; tells whether the filter is sure that it was absent.
fn add(filter: &mut Filter, id: &Id) -> bool {
    let absent = !filter.contains(id);
    if absent {
        filter.insert(id);
    }
    absent
}

struct Each(Parts);

impl Peer for Each {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let now = now();
        new.clear();
        let mut filter = self.0.filter();
        new.extend(ids.iter().map(|id| add(&mut filter, id)));
        drop(filter);
        for (id, new) in ids.iter().zip(new) {
            // A look is cheaper than a swap that fails, and after a "maybe" it nearly always hits.
            let wanted = *new || !self.0.known(id)?;
            *new = wanted && insert_if_absent(&self.0.db, id, now)?;
        }
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        flush(&self.0.db)
    }
}

struct AsBatch(Parts);

impl Peer for AsBatch {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let now = now();
        let mut batch = Batch::default();
        new.clear();
        let mut filter = self.0.filter();
        for (at, id) in ids.iter().enumerate() {
            let absent = add(&mut filter, id);
            // What this batch holds is not in sled yet.
            let is_new = absent || (!self.0.known(id)? && !ids[..at].contains(id));
            if is_new {
                batch.insert(&id[..], &now[..]);
            }
            new.push(is_new);
        }
        if new.contains(&true) {
            self.0.db.apply_batch(batch)?;
        }
        drop(filter);
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        flush(&self.0.db)
    }
}
