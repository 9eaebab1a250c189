//! A floor: hashbrown's set for one thread, without a lock. Nothing on disk, no window.

use std::cell::RefCell;
use std::collections::VecDeque;

use hashbrown::HashSet;

use crate::peer::{Durability, Entry, Id, Opened, Peer, Result};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("hashbrown", Durability::MemoryOnly, |setup| {
            // Made for all ids at once, so that it never grows. The hash is the default, foldhash.
            let set = HashSet::with_capacity(setup.expected_ids);
            Ok(Opened::Alone(Box::new(PlainSet(RefCell::new(set)))))
        })
        .forgetting(|setup| {
            let ids = HashSet::with_capacity(setup.expected_ids + 1);
            let order = VecDeque::with_capacity(setup.expected_ids);
            let window = setup.expected_ids;
            Ok(Opened::Alone(Box::new(Forgetting { ids: ids.into(), order: order.into(), window })))
        }),
    ]
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

/// Each id is removed again when so many have come behind it.
struct Forgetting {
    ids: RefCell<HashSet<Id>>,
    /// The same ids as they came.
    order: RefCell<VecDeque<Id>>,
    window: usize,
}

impl Peer for Forgetting {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let (mut set, mut order) = (self.ids.borrow_mut(), self.order.borrow_mut());
        new.clear();
        for &id in ids {
            let is_new = set.insert(id);
            if is_new {
                if order.len() == self.window
                    && let Some(past) = order.pop_front()
                {
                    set.remove(&past);
                }
                order.push_back(id);
            }
            new.push(is_new);
        }
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}
