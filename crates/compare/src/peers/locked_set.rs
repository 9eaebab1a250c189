//! A floor: the standard library's set behind a lock, held for a batch. Nothing on disk, no window.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::peer::{Durability, Entry, Id, Opened, Peer, Result};

pub(super) fn entries() -> Vec<Entry> {
    vec![Entry::new("mutex-hashset", Durability::MemoryOnly, |setup| {
        // Made for all ids at once, so that it never grows. The hash is the default, SipHash.
        let set = HashSet::with_capacity(setup.expected_ids);
        Ok(Opened::Shared(Box::new(LockedSet(Mutex::new(set)))))
    })]
}

struct LockedSet(Mutex<HashSet<Id>>);

impl Peer for LockedSet {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let mut set = self.0.lock().expect("no caller panics");
        new.clear();
        new.extend(ids.iter().map(|&id| set.insert(id)));
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}
