//! Prepared transactions: what they carry, and what they hold until they are settled.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::OVERHEAD;
use crate::format::commit::{Item, Prepare};
use crate::time::Timestamp;

/// A prepared transaction, as its frame told it. Clones share the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PreparedData {
    /// A payload that decodes.
    payload: Arc<[u8]>,
    /// The store time of its frame.
    pub(crate) time: Timestamp,
    fence: u64,
}

impl PreparedData {
    /// Keeps the payload of a frame.
    pub(crate) fn new(prepare: &Prepare<'_>, time: Timestamp) -> PreparedData {
        let payload = prepare.commit().payload().into();
        PreparedData { payload, time, fence: prepare.fence() }
    }

    /// The fencing token of its claim.
    pub(crate) fn fence(&self) -> u64 {
        self.fence
    }

    /// What it carries.
    pub(crate) fn prepare(&self) -> Prepare<'_> {
        Prepare::decode(&self.payload).expect("it decoded before")
    }
}

/// The set of prepared transactions, with the keys and sources that each holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PreparedSet {
    by_token: BTreeMap<Arc<[u8]>, Held>,
    /// Who holds a key: its token.
    keys: BTreeMap<Arc<[u8]>, Arc<[u8]>>,
    /// Who holds a source: its token.
    sources: BTreeMap<Arc<str>, Arc<[u8]>>,
    bytes: usize,
    growth: usize,
}

#[derive(Debug, PartialEq)]
struct Held {
    data: PreparedData,
    bytes: usize,
    growth: usize,
}

/// Memory that a prepared transaction takes that holds as many keys and sources.
pub(super) fn cost(payload: usize, held: usize) -> usize {
    payload.saturating_add(OVERHEAD.saturating_mul(held.saturating_add(1)))
}

impl PreparedSet {
    /// Takes one in, in place of one with the same token. Settling it will make the state larger by
    /// `growth` bytes at most.
    pub(super) fn insert(&mut self, data: PreparedData, growth: usize) {
        let prepare = data.prepare();
        self.remove(prepare.token());
        let token = Arc::<[u8]>::from(prepare.token());
        let mut held = 0;
        for item in prepare.commit().items() {
            match item {
                Item::Progress { source, .. } => {
                    self.sources.insert(source.into(), Arc::clone(&token));
                }
                Item::Put { key, .. } | Item::Delete { key } => {
                    self.keys.insert(key.into(), Arc::clone(&token));
                }
                _ => continue,
            }
            held += 1;
        }
        let bytes = cost(data.payload.len(), held);
        self.bytes += bytes;
        self.growth += growth;
        self.by_token.insert(token, Held { data, bytes, growth });
    }

    /// Takes one out and frees what it holds.
    pub(super) fn remove(&mut self, token: &[u8]) -> Option<PreparedData> {
        let Held { data, bytes, growth } = self.by_token.remove(token)?;
        self.bytes -= bytes;
        self.growth -= growth;
        for item in data.prepare().commit().items() {
            match item {
                Item::Progress { source, .. } => free(&mut self.sources, source, token),
                Item::Put { key, .. } | Item::Delete { key } => free(&mut self.keys, key, token),
                _ => {}
            }
        }
        Some(data)
    }

    pub(super) fn get(&self, token: &[u8]) -> Option<&PreparedData> {
        self.by_token.get(token).map(|held| &held.data)
    }

    /// All of them, by token.
    pub(super) fn iter(&self) -> impl Iterator<Item = &PreparedData> {
        self.by_token.values().map(|held| &held.data)
    }

    /// The token of the one that holds a key, unless it is `settling`.
    pub(super) fn holder_of_key(&self, key: &[u8], settling: Option<&[u8]>) -> Option<&[u8]> {
        self.keys.get(key).map(|token| &**token).filter(|token| settling != Some(*token))
    }

    /// The token of the one that holds a source, unless it is `settling`.
    pub(super) fn holder_of_source(&self, source: &str, settling: Option<&[u8]>) -> Option<&[u8]> {
        self.sources.get(source).map(|token| &**token).filter(|token| settling != Some(*token))
    }

    /// Memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How much larger the state may get when all are settled but `settling`.
    pub(super) fn growth(&self, settling: Option<&[u8]>) -> usize {
        let own = settling.and_then(|token| self.by_token.get(token)).map_or(0, |held| held.growth);
        self.growth - own
    }
}

/// Frees what one holds, unless another has taken it over: in a replay from before a snapshot,
/// transactions that were settled long ago meet those that hold their keys now.
fn free<K: Ord + ?Sized>(held: &mut BTreeMap<Arc<K>, Arc<[u8]>>, key: &K, token: &[u8]) {
    if held.get(key).is_some_and(|holder| **holder == *token) {
        held.remove(key);
    }
}
