//! What a transaction wants to change, and what it has read.

use std::collections::BTreeMap;
use std::ops::Bound::Included;
use std::sync::Arc;

use crate::error::Refusal;
use crate::format::commit::{Item, KEY_MAX, OUTCOME_MAX, VALUE_MAX, push_item};
use crate::key::Fingerprint;

/// What a transaction wants to change, put together by its caller. Later calls for one key, source or
/// id replace earlier ones. Nothing is checked before [`State::check`](super::State::check).
#[derive(Debug, Default, Clone)]
pub(crate) struct Changes {
    sources: BTreeMap<Arc<str>, Advance>,
    /// `None` deletes.
    writes: BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>>,
    values: BTreeMap<u32, Kept>,
    /// The version of a key when it was read first; `None` if there was no such key.
    reads: BTreeMap<Arc<[u8]>, Option<u64>>,
    /// What to put back when a savepoint is rolled back to; the last change last.
    undo: Vec<Undo>,
    /// How many savepoints are open. Without one nothing is kept in `undo`.
    open: usize,
}

/// A change of a source's progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advance {
    pub(super) next: u64,
    /// The position that it was rewound to by name: from there on it may be any.
    pub(super) rewound: Option<u64>,
}

/// What is to be kept with an id.
#[derive(Debug, Default, Clone)]
struct Kept {
    payload: Option<Fingerprint>,
    outcome: Option<Arc<[u8]>>,
}

/// How something was before a change; `None` if it was not there.
#[derive(Debug, Clone)]
enum Undo {
    Source(Arc<str>, Option<Advance>),
    Write(Arc<[u8]>, Option<Option<Arc<[u8]>>>),
    Value(u32, Option<Kept>),
}

/// A point to which changes can be undone: [`Changes::savepoint`]. Savepoints nest.
#[derive(Debug)]
#[must_use = "end it with `release` or `roll_back_to`"]
pub(crate) struct Savepoint {
    undo: usize,
    depth: usize,
}

impl Changes {
    /// Sets the next position to read of a source.
    pub(crate) fn set_progress(&mut self, source: &str, next: u64) {
        let rewound = self.sources.get(source).and_then(|advance| advance.rewound);
        self.advance(source, Advance { next, rewound });
    }

    /// Sets the next position to read of a source, also back.
    pub(crate) fn rewind_progress(&mut self, source: &str, next: u64) {
        self.advance(source, Advance { next, rewound: Some(next) });
    }

    fn advance(&mut self, source: &str, advance: Advance) {
        let source = Arc::<str>::from(source);
        let before = self.sources.insert(Arc::clone(&source), advance);
        self.remember(|| Undo::Source(source, before));
    }

    /// Gives a key of the state a value.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.write(key, Some(value.into()));
    }

    /// Deletes a key of the state.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.write(key, None);
    }

    fn write(&mut self, key: &[u8], value: Option<Arc<[u8]>>) {
        let known = self.writes.range_mut::<[u8], _>((Included(key), Included(key))).next();
        let (key, before) = match known {
            Some((key, place)) => (Arc::clone(key), Some(std::mem::replace(place, value))),
            None => {
                let key = Arc::<[u8]>::from(key);
                self.writes.insert(Arc::clone(&key), value);
                (key, None)
            }
        };
        self.remember(|| Undo::Write(key, before));
    }

    /// Keeps an outcome with id `index` of the caller's batch.
    pub(crate) fn set_outcome(&mut self, index: u32, outcome: &[u8]) {
        self.keep(index, |kept| kept.outcome = Some(outcome.into()));
    }

    /// Keeps the fingerprint of a payload with id `index` of the caller's batch.
    pub(crate) fn set_payload(&mut self, index: u32, payload: Fingerprint) {
        self.keep(index, |kept| kept.payload = Some(payload));
    }

    fn keep(&mut self, index: u32, change: impl FnOnce(&mut Kept)) {
        let before = (self.open > 0).then(|| self.values.get(&index).cloned());
        change(self.values.entry(index).or_default());
        self.remember(|| Undo::Value(index, before.expect("a savepoint is open")));
    }

    fn remember(&mut self, undo: impl FnOnce() -> Undo) {
        if self.open > 0 {
            self.undo.push(undo());
        }
    }

    /// Notes which version of a key of the [`State`](super::State) was read, `None` if it was not
    /// there: the commit is refused if it is another one by then. The first reading counts.
    pub(crate) fn note_read(&mut self, key: &[u8], version: Option<u64>) {
        if !self.reads.contains_key(key) {
            self.reads.insert(key.into(), version);
        }
    }

    /// What the transaction itself has made of a key: a value, nothing if it deletes it. `None` if it
    /// does not change it.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&Arc<[u8]>>> {
        self.writes.get(key).map(Option::as_ref)
    }

    /// The position that the transaction itself has given a source.
    pub(crate) fn progress(&self, source: &str) -> Option<u64> {
        self.sources.get(source).map(|advance| advance.next)
    }

    /// The positions that the transaction itself has given sources.
    pub(crate) fn all_progress(&self) -> impl Iterator<Item = (&str, u64)> {
        self.sources.iter().map(|(source, advance)| (&**source, advance.next))
    }

    /// Whether the committed state has a say: something of it was read, or is changed.
    pub(crate) fn touch_state(&self) -> bool {
        !(self.sources.is_empty() && self.writes.is_empty() && self.reads.is_empty())
    }

    /// Whether the committed state is changed.
    pub(crate) fn change_state(&self) -> bool {
        !(self.sources.is_empty() && self.writes.is_empty())
    }

    /// Whether it changes nothing. What it has read does not count.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.writes.is_empty() && self.values.is_empty()
    }

    /// Opens a savepoint.
    pub(crate) fn savepoint(&mut self) -> Savepoint {
        self.open += 1;
        Savepoint { undo: self.undo.len(), depth: self.open }
    }

    /// Ends a savepoint, and those that were opened after it; its changes stay.
    pub(crate) fn release(&mut self, savepoint: Savepoint) {
        self.open = savepoint.depth - 1;
        if self.open == 0 {
            self.undo.clear();
        }
    }

    /// Undoes every change since a savepoint, and ends it and those that were opened after it. What
    /// was read stays noted.
    pub(crate) fn roll_back_to(&mut self, savepoint: Savepoint) {
        for undo in self.undo.drain(savepoint.undo..).rev() {
            match undo {
                Undo::Source(source, before) => put_back(&mut self.sources, source, before),
                Undo::Write(key, before) => put_back(&mut self.writes, key, before),
                Undo::Value(index, before) => put_back(&mut self.values, index, before),
            }
        }
        self.release(savepoint);
    }

    /// Adds the items of everything it changes to the payload of a commit. `keep` says which place an
    /// id of the caller's batch has in the frame; what was to be kept with an id that is not
    /// in it falls away.
    pub(crate) fn encode_into(&self, keep: &dyn Fn(u32) -> Option<u32>, out: &mut Vec<u8>) {
        let values = self.values.iter();
        let values = values.filter_map(|(&old, kept)| Some(value_item(keep(old)?, kept)));
        self.plain_items().chain(values).for_each(|item| push_item(out, &item));
    }

    /// Bytes of its items, if all ids are in the frame.
    pub(crate) fn encoded_len(&self) -> usize {
        let values = self.values.iter().map(|(&index, kept)| value_item(index, kept));
        self.plain_items().chain(values).map(|item| item.encoded_len()).sum()
    }

    fn plain_items(&self) -> impl Iterator<Item = Item<'_>> {
        let progress = self.sources.iter();
        let progress = progress.map(|(source, a)| Item::Progress { source, next: a.next });
        let writes = self.writes.iter().map(|(key, value)| match value {
            Some(value) => Item::Put { key, value },
            None => Item::Delete { key },
        });
        progress.chain(writes)
    }

    /// Holds the length of everything against its limit.
    pub(crate) fn check_lengths(&self) -> Result<(), Refusal> {
        for source in self.sources.keys() {
            check_name("the name of a source", source.as_bytes())?;
        }
        for (key, value) in &self.writes {
            check_len("a state key", key.len(), KEY_MAX)?;
            check_len("a state value", value.as_ref().map_or(0, |value| value.len()), VALUE_MAX)?;
        }
        let outcomes = self.values.values().filter_map(|kept| kept.outcome.as_ref());
        outcomes.into_iter().try_for_each(|o| check_len("an outcome", o.len(), OUTCOME_MAX))
    }

    pub(super) fn sources(&self) -> &BTreeMap<Arc<str>, Advance> {
        &self.sources
    }

    pub(super) fn writes(&self) -> &BTreeMap<Arc<[u8]>, Option<Arc<[u8]>>> {
        &self.writes
    }

    pub(super) fn reads(&self) -> &BTreeMap<Arc<[u8]>, Option<u64>> {
        &self.reads
    }
}

fn value_item(index: u32, kept: &Kept) -> Item<'_> {
    Item::Value { index, payload: kept.payload, outcome: kept.outcome.as_deref() }
}

fn put_back<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

/// Holds a length against its limit.
pub(super) fn check_len(what: &'static str, len: usize, max: usize) -> Result<(), Refusal> {
    if len > max {
        return Err(Refusal::TooLarge { what, bytes: len as u64, max: max as u64 });
    }
    Ok(())
}

/// Holds the length of a name or token against its limits.
pub(super) fn check_name(what: &'static str, name: &[u8]) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::Empty { what });
    }
    check_len(what, name.len(), KEY_MAX)
}
