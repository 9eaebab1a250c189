//! A floor: scc, a concurrent map that locks a bucket. Nothing on disk, no window.

use hashbrown::DefaultHashBuilder;
use scc::HashSet;

use crate::peer::{Durability, Entry, Id, Opened, Peer, Result};

pub(super) fn entries() -> Vec<Entry> {
    vec![Entry::new("scc", Durability::MemoryOnly, |setup| {
        // Made for all ids at once, so that it hardly grows, and hashed as hashbrown does: its default is
        // SipHash.
        let hasher = DefaultHashBuilder::default();
        let set = HashSet::with_capacity_and_hasher(setup.expected_ids, hasher);
        Ok(Opened::Shared(Box::new(Scc(set))))
    })]
}

struct Scc(HashSet<Id, DefaultHashBuilder>);

impl Peer for Scc {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        new.clear();
        new.extend(ids.iter().map(|&id| self.0.insert_sync(id).is_ok()));
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}
