//! A floor: papaya, a lock-free map made for reads. Nothing on disk, no window.

use hashbrown::DefaultHashBuilder;
use papaya::HashSet;

use crate::peer::{Durability, Entry, Id, Opened, Peer, Result};

pub(super) fn entries() -> Vec<Entry> {
    vec![Entry::new("papaya", Durability::MemoryOnly, |setup| {
        // Made for all ids at once, so that it never grows, and hashed as hashbrown does: its default is
        // SipHash.
        let hasher = DefaultHashBuilder::default();
        let set = HashSet::with_capacity_and_hasher(setup.expected_ids, hasher);
        Ok(Opened::Shared(Box::new(Papaya(set))))
    })]
}

struct Papaya(HashSet<Id, DefaultHashBuilder>);

impl Peer for Papaya {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        // One guard for the batch: pinning costs as much as an insertion.
        let set = self.0.pin();
        new.clear();
        // A look first: an insertion allocates, and puts even an equal id in the place of the old one.
        new.extend(ids.iter().map(|&id| !set.contains(&id) && set.insert(id)));
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}
