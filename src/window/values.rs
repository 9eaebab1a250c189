//! What is kept with some of a table's ids, in memory: outcomes and payload fingerprints.

use crate::format::value::Value;
use crate::key::{Fingerprint, FingerprintMap};
use crate::sync::{AtomicUsize, Mutex, Ordering, lock};

/// Bytes of an entry beside its outcome, about.
const ENTRY: usize = 96;

/// What a value takes.
fn len(value: &Value) -> usize {
    ENTRY + value.outcome.as_ref().map_or(0, |bytes| bytes.len())
}

/// The values of a table. Ids without one have no entry.
#[derive(Debug, Default)]
pub(crate) struct ValueTable {
    values: Mutex<FingerprintMap<Value>>,
    bytes: AtomicUsize,
}

impl ValueTable {
    /// Keeps values with ids, each in place of one that the id had before it was forgotten.
    pub(crate) fn insert_each(&self, each: impl Iterator<Item = (Fingerprint, Value)>) {
        let mut values = lock(&self.values);
        let mut bytes = self.bytes();
        for (id, value) in each {
            bytes += len(&value);
            bytes -= values.insert(id, value).map_or(0, |before| len(&before));
        }
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Drops what was kept with an id.
    pub(crate) fn remove(&self, id: Fingerprint) {
        if self.bytes() == 0 {
            return;
        }
        let mut values = lock(&self.values);
        if let Some(value) = values.remove(&id) {
            self.bytes.store(self.bytes() - len(&value), Ordering::Relaxed);
        }
    }

    /// What is kept with an id.
    pub(crate) fn get(&self, id: Fingerprint) -> Option<Value> {
        if self.bytes() == 0 {
            return None;
        }
        lock(&self.values).get(&id).cloned()
    }

    /// Memory that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// All values, ascending by id.
    pub(crate) fn sorted(&self) -> Vec<(Fingerprint, Value)> {
        let values = lock(&self.values);
        let mut sorted: Vec<_> = values.iter().map(|(&id, value)| (id, value.clone())).collect();
        sorted.sort_unstable_by_key(|&(id, _)| id);
        sorted
    }
}
