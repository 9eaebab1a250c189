//! Who is first, for engines whose batches do not tell what was there before: RocksDB and fjall.
//!
//! A caller looks its ids up and then writes those that are absent. Between the two nobody else may do the
//! same with the same ids, so they are entered here meanwhile. Callers with other ids go on; a lock around
//! look-up and write would let one thread in at a time.

use std::sync::{Condvar, Mutex, MutexGuard};

use hashbrown::HashSet;

use crate::peer::Id;

#[derive(Default)]
pub(super) struct InFlight {
    ids: Mutex<HashSet<Id>>,
    left: Condvar,
}

impl InFlight {
    /// Waits until nobody has any of the ids in hand, and takes them all at once: nobody waits while it
    /// holds what others wait for. Leaves in `first` which ids are not there twice.
    pub(super) fn enter<'a>(&'a self, ids: &'a [Id], first: &mut Vec<bool>) -> Taken<'a> {
        let mut taken = self.lock();
        while !taken.is_empty() && ids.iter().any(|id| taken.contains(id)) {
            taken = self.left.wait(taken).expect("no caller panics");
        }
        first.clear();
        first.extend(ids.iter().map(|&id| taken.insert(id)));
        Taken { of: self, ids }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.ids.lock().expect("no caller panics")
    }
}

/// Ids that nobody else looks up and writes until this is dropped.
pub(super) struct Taken<'a> {
    of: &'a InFlight,
    ids: &'a [Id],
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut taken = self.of.lock();
        for id in self.ids {
            taken.remove(id);
        }
        drop(taken);
        self.of.left.notify_all();
    }
}
