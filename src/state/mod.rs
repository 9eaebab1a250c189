//! Application state: the progress of each source and a small ordered map, as of the last commit,
//! and the transactions that are prepared and not settled.
//!
//! - **One step.** A commit is checked ([`State::check`]), staged in the log and applied, under one lock
//!   that the owner of the [`State`] holds. What could refuse it is found by the check; applying
//!   cannot fail.
//! - **Optimistic.** A transaction reads without holding anything and notes what it has read
//!   ([`Changes::note_read`]). If another commit has changed one of those keys since, it is
//!   refused. Keys that it writes and has not read are taken as they come: the last commit wins.
//! - **A prepared transaction cannot fail any more.** It holds the keys and sources that it changes: a
//!   commit that reads or writes one of them is refused until it is settled. What the state will
//!   grow by is set aside. So it stands in the order of commits where it was prepared.
//! - **Idempotent.** Every change is absolute. A snapshot and the log replayed over it from any point
//!   before the snapshot give the state at the log's end.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::error::Refusal;
use crate::format::StoreId;
use crate::format::commit::{COMMIT_MAX, Commit, Item};
use crate::format::snapshot::{PreparedEntry, Snapshot};
use crate::log::Content;
use crate::planted::{Bug, planted};
use crate::time::Timestamp;

mod changes;
mod prepared;
#[cfg(test)]
mod tests;

pub(crate) use changes::Changes;
pub(crate) use prepared::PreparedData;

use changes::{check_len, check_name};
use prepared::PreparedSet;

/// The most that keys, values and sources may take, with [`OVERHEAD`] for each. The whole state is
/// kept in memory, and written at every snapshot.
pub(crate) const STATE_MAX: usize = 64 << 20;
/// The most that prepared transactions may take, with [`OVERHEAD`] for each, and for each key and
/// source that they hold.
pub(crate) const PREPARED_MAX: usize = 64 << 20;
/// What a key, a source or a prepared transaction takes beside its bytes.
pub(crate) const OVERHEAD: usize = 128;

/// The committed state. See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct State {
    sources: BTreeMap<Arc<str>, u64>,
    entries: BTreeMap<Arc<[u8]>, Entry>,
    prepared: PreparedSet,
    /// Of the last value that was put: no two have the same.
    version: u64,
    /// What sources and entries take.
    bytes: usize,
    changes: u64,
}

#[derive(Debug)]
struct Entry {
    value: Arc<[u8]>,
    version: u64,
}

/// A key that a scan has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: Arc<[u8]>,
    pub(crate) value: Arc<[u8]>,
    /// For [`Changes::note_read`].
    pub(crate) version: u64,
}

impl State {
    /// The next position to read of a source; `None` if none was ever committed.
    pub(crate) fn progress(&self, source: &str) -> Option<u64> {
        self.sources.get(source).copied()
    }

    /// All sources with their progress, by name.
    pub(crate) fn sources(&self) -> Vec<(String, u64)> {
        self.sources.iter().map(|(source, &next)| (source.to_string(), next)).collect()
    }

    /// The value of a key, and its version for [`Changes::note_read`].
    pub(crate) fn get(&self, key: &[u8]) -> Option<(Arc<[u8]>, u64)> {
        self.entries.get(key).map(|entry| (Arc::clone(&entry.value), entry.version))
    }

    /// The keys that begin with `prefix`, ascending.
    pub(crate) fn scan(&self, prefix: &[u8]) -> Vec<Found> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let entries = self.entries.range::<[u8], _>(from);
        let found = |(key, entry): (&Arc<[u8]>, &Entry)| Found {
            key: Arc::clone(key),
            value: Arc::clone(&entry.value),
            version: entry.version,
        };
        entries.take_while(|(key, _)| key.starts_with(prefix)).map(found).collect()
    }

    /// Finds everything that could refuse a commit with a payload of `payload_len` bytes, the most
    /// that [`Changes::encoded_len`] leads to. What the transaction `settling` holds does not stand
    /// in its way.
    pub(crate) fn check(
        &self,
        changes: &Changes,
        payload_len: usize,
        settling: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        changes.check_lengths()?;
        check_len("a commit", payload_len, COMMIT_MAX)?;
        for (source, advance) in changes.sources() {
            let name = || source.to_string();
            if let Some(token) = self.prepared.holder_of_source(source, settling) {
                return Err(Refusal::SourceLocked { name: name(), token: token.to_vec() });
            }
            let at = advance.rewound.or(self.progress(source)).unwrap_or(0);
            if advance.next < at {
                return Err(Refusal::Backwards { name: name(), at, to: advance.next });
            }
        }
        for key in changes.reads().keys().chain(changes.writes().keys()) {
            if let Some(token) = self.prepared.holder_of_key(key, settling) {
                return Err(Refusal::Locked { key: key.to_vec(), token: token.to_vec() });
            }
        }
        for (key, &version) in changes.reads() {
            if self.entries.get(key).map(|entry| entry.version) != version {
                return Err(Refusal::Conflict { key: key.to_vec() });
            }
        }
        self.check_room(changes, settling)
    }

    /// Finds everything that could refuse to prepare a transaction under `token`. `payload_len` as for
    /// [`State::check`], with the token and the bytes of the ids.
    pub(crate) fn check_prepare(
        &self,
        changes: &Changes,
        payload_len: usize,
        token: &[u8],
    ) -> Result<(), Refusal> {
        check_name("a token", token)?;
        if self.prepared.get(token).is_some() {
            return Err(Refusal::AlreadyPrepared { token: token.to_vec() });
        }
        self.check(changes, payload_len, None)?;
        let held = changes.sources().len() + changes.writes().len();
        let bytes = self.prepared.bytes() + prepared::cost(payload_len, held);
        if bytes > PREPARED_MAX {
            let (bytes, max) = (bytes as u64, PREPARED_MAX as u64);
            return Err(Refusal::PreparedFull { bytes, max });
        }
        Ok(())
    }

    /// A commit that makes the state no larger is never refused for its size.
    fn check_room(&self, changes: &Changes, settling: Option<&[u8]>) -> Result<(), Refusal> {
        let mut growth = Growth::default();
        for source in changes.sources().keys() {
            growth.add(source_len(source), self.source_len(source));
        }
        for (key, value) in changes.writes() {
            let len = value.as_ref().map_or(0, |value| entry_len(key, value));
            growth.add(len, self.entry_len(key));
        }
        let bytes = self.bytes + self.prepared.growth(settling) + growth.get();
        if growth.get() > 0 && bytes > STATE_MAX {
            return Err(Refusal::StateFull { bytes: bytes as u64, max: STATE_MAX as u64 });
        }
        Ok(())
    }

    /// Applies a commit, and settles the prepared transaction that it names. Applied again it
    /// changes nothing.
    pub(crate) fn apply(&mut self, commit: &Commit<'_>) {
        let token = commit.token().filter(|_| !planted(Bug::PreparedSettledTwice));
        let settled = token.and_then(|token| self.prepared.remove(token));
        let mut changed = settled.is_some();
        for item in commit.items() {
            match item {
                Item::Progress { source, next } => self.set_progress(source, next),
                Item::Put { key, value } => self.put(key, value),
                Item::Delete { key } => self.delete(key),
                Item::Value { .. } | Item::Token(_) | Item::RawId { .. } | Item::Fence(_) => {
                    continue;
                }
            }
            changed = true;
        }
        self.changes += u64::from(changed);
    }

    /// Takes a prepared transaction in, and holds what it changes. What comes from disk is taken
    /// beyond any limit.
    pub(crate) fn prepare(&mut self, data: PreparedData) {
        let mut growth = Growth::default();
        for item in data.prepare().commit().items() {
            match item {
                Item::Progress { source, .. } => {
                    growth.add(source_len(source), self.source_len(source));
                }
                Item::Put { key, value } => growth.add(entry_len(key, value), self.entry_len(key)),
                Item::Delete { key } => growth.add(0, self.entry_len(key)),
                _ => {}
            }
        }
        self.prepared.insert(data, growth.get());
        self.changes += 1;
    }

    /// Gives a prepared transaction up, and frees what it holds. `None` if there is none such.
    pub(crate) fn abort(&mut self, token: &[u8]) -> Option<PreparedData> {
        let data = self.prepared.remove(token)?;
        self.changes += 1;
        Some(data)
    }

    /// Applies what a frame of the log says, of the store time `time`.
    pub(crate) fn replay(&mut self, content: &Content<'_>, time: Timestamp) {
        match content {
            Content::Ids | Content::Forget => {}
            Content::Commit(commit) => self.apply(commit),
            Content::Prepare(prepare) => self.prepare(PreparedData::new(prepare, time)),
            Content::Abort(token) => drop(self.abort(token)),
        }
    }

    /// The transaction that is prepared under a token.
    pub(crate) fn prepared(&self, token: &[u8]) -> Option<&PreparedData> {
        self.prepared.get(token)
    }

    /// All transactions that are prepared and not settled, by token.
    pub(crate) fn in_doubt(&self) -> impl Iterator<Item = &PreparedData> {
        self.prepared.iter()
    }

    /// The bytes of state file `number`.
    pub(crate) fn encode<'a>(&'a self, store: &StoreId, number: u64) -> Vec<u8> {
        let prepared =
            |data: &'a PreparedData| PreparedEntry { time: data.time, prepare: data.prepare() };
        let snapshot = Snapshot {
            sources: self.sources.iter().map(|(source, &next)| (&**source, next)).collect(),
            entries: self.entries.iter().map(|(key, entry)| (&**key, &*entry.value)).collect(),
            prepared: match planted(Bug::PreparedNotKept) {
                false => self.prepared.iter().map(prepared).collect(),
                true => Vec::new(),
            },
        };
        snapshot.encode(store, number)
    }

    /// The state that a state file holds.
    pub(crate) fn restore(snapshot: &Snapshot<'_>) -> State {
        let mut state = State::default();
        snapshot.sources.iter().for_each(|&(source, next)| state.set_progress(source, next));
        snapshot.entries.iter().for_each(|&(key, value)| state.put(key, value));
        for PreparedEntry { time, prepare } in &snapshot.prepared {
            state.prepare(PreparedData::new(prepare, *time));
        }
        state.changes = 0;
        state
    }

    /// How often it was changed since it was made or restored. While this stays the same, so does
    /// what a snapshot would hold.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.prepared.bytes() == 0
    }

    /// Memory that it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes + self.prepared.bytes()
    }

    fn set_progress(&mut self, source: &str, next: u64) {
        match self.sources.get_mut(source) {
            Some(at) => *at = next,
            None => {
                self.bytes += source_len(source);
                self.sources.insert(source.into(), next);
            }
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.version += 1;
        self.bytes = self.bytes + entry_len(key, value) - self.entry_len(key);
        let new = Entry { value: value.into(), version: self.version };
        match self.entries.get_mut(key) {
            Some(entry) => *entry = new,
            None => {
                self.entries.insert(key.into(), new);
            }
        }
    }

    fn delete(&mut self, key: &[u8]) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry_len(key, &entry.value);
        }
    }

    /// What a source takes now.
    fn source_len(&self, source: &str) -> usize {
        if self.sources.contains_key(source) { source_len(source) } else { 0 }
    }

    /// What a key takes now, with its value.
    fn entry_len(&self, key: &[u8]) -> usize {
        self.entries.get(key).map_or(0, |entry| entry_len(key, &entry.value))
    }
}

fn source_len(source: &str) -> usize {
    source.len() + size_of::<u64>() + OVERHEAD
}

fn entry_len(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + OVERHEAD
}

/// By how much several changes make the state larger; nothing if they make it smaller.
#[derive(Debug, Default)]
struct Growth {
    more: usize,
    less: usize,
}

impl Growth {
    fn add(&mut self, after: usize, before: usize) {
        self.more = self.more.saturating_add(after);
        self.less = self.less.saturating_add(before);
    }

    fn get(&self) -> usize {
        self.more.saturating_sub(self.less)
    }
}
