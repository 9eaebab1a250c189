//! A floor: dashmap, the concurrent map that most reach for. Nothing on disk, no window.

use dashmap::DashSet;
use hashbrown::DefaultHashBuilder;

use crate::peer::{Durability, Entry, Id, Opened, Peer, Result};

pub(super) fn entries() -> Vec<Entry> {
    vec![Entry::new("dashmap", Durability::MemoryOnly, |setup| {
        // Made for all ids at once, so that it hardly grows, and hashed as hashbrown does: its
        // default is SipHash.
        let hasher = DefaultHashBuilder::default();
        let set = DashSet::with_capacity_and_hasher(setup.expected_ids, hasher);
        Ok(Opened::Shared(Box::new(ConcurrentMap(set))))
    })]
}

struct ConcurrentMap(DashSet<Id, DefaultHashBuilder>);

impl Peer for ConcurrentMap {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        new.clear();
        new.extend(ids.iter().map(|&id| self.0.insert(id)));
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}
