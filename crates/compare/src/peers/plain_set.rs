//! A floor: hashbrown's set for one thread, without a lock. Nothing on disk, no window.

use std::cell::RefCell;

use hashbrown::HashSet;

use crate::peer::{Durability, Entry, Id, Opened, Peer, Result};

pub(super) fn entries() -> Vec<Entry> {
    vec![Entry::new("hashbrown", Durability::MemoryOnly, |setup| {
        // Made for all ids at once, so that it never grows. The hash is the default, foldhash.
        let set = HashSet::with_capacity(setup.expected_ids);
        Ok(Opened::Alone(Box::new(PlainSet(RefCell::new(set)))))
    })]
}

struct PlainSet(RefCell<HashSet<Id>>);

impl Peer for PlainSet {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let mut set = self.0.borrow_mut();
        new.clear();
        new.extend(ids.iter().map(|&id| set.insert(id)));
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}
