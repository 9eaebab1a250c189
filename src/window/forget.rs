//! The ids that were told to be forgotten.
//!
//! Nothing is deleted from tables or runs. An id that is forgotten goes into this small exact set,
//! which is consulted only when an id was found elsewhere; there it decides alone, under its lock,
//! whether the record still counts. An entry is needed until the records it voids have expired, and
//! the id's new first sighting with it.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::format::manifest::ForgottenEntry;
use crate::key::{Fingerprint, FingerprintMap};
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, lock};
use crate::time::Timestamp;

/// How many ids can be forgotten within one window: 48 MiB of memory, and 32 in each manifest.
pub(crate) const FORGOTTEN_MAX: usize = 1 << 20;

/// The set. See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    entries: Mutex<FingerprintMap<Entry>>,
    /// How many there are: calls look at the set only when it is not zero.
    len: AtomicUsize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: Timestamp,
    /// When the id was let in again; `None` if it was not.
    again: Option<Timestamp>,
}

/// What the set says of an id that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The set does not know it: the record counts.
    NotForgotten,
    /// It was forgotten, and let in again then.
    Since(Timestamp),
    /// It was forgotten and not let in since, or too long ago.
    Free,
}

impl Forgotten {
    /// The set as it stood in a manifest.
    pub(crate) fn restore(entries: &[ForgottenEntry]) -> Forgotten {
        let entries: FingerprintMap<_> = entries
            .iter()
            .map(|e| {
                let again = Some(e.seen_again).filter(|&again| again != Timestamp::MAX);
                (e.fingerprint, Entry { at: e.at, again })
            })
            .collect();
        let len = AtomicUsize::new(entries.len());
        Forgotten { entries: Mutex::new(entries), len }
    }

    /// Whether there is nothing in it. A hint unless the gate is held closed.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many ids are in it.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Refuses to take `more` ids if that would be too many.
    pub(crate) fn check_room(&self, more: usize) -> Result<()> {
        if self.len() + more > FORGOTTEN_MAX {
            let max = FORGOTTEN_MAX;
            return Err(Error::Misuse(format!(
                "cannot forget {more} ids more: {max} ids can be forgotten within one window; wait \
                 until earlier ones expire, or begin a new store"
            )));
        }
        Ok(())
    }

    /// Voids all records of an id up to `at`.
    pub(crate) fn insert(&self, fingerprint: Fingerprint, at: Timestamp) {
        let mut entries = lock(&self.entries);
        entries.insert(fingerprint, Entry { at, again: None });
        self.len.store(entries.len(), Ordering::Relaxed);
    }

    /// Opens the set for the decisions of one call.
    pub(crate) fn open(&self) -> OpenForgotten<'_> {
        OpenForgotten { entries: lock(&self.entries) }
    }

    /// Drops the entries that nothing needs at `now`, once everything before `dropped` is gone. A
    /// record counts until the end of its tick plus the window; no tick is longer than `tick`. The
    /// entries of what is still there are kept beyond that, for the window may be made longer.
    pub(crate) fn expire(
        &self,
        now: Timestamp,
        window: Duration,
        tick: Duration,
        dropped: Timestamp,
    ) {
        let last = |entry: &Entry| entry.again.unwrap_or(entry.at).max(entry.at);
        let needed = |entry: &Entry| last(entry) + window + tick >= now || last(entry) >= dropped;
        let mut entries = lock(&self.entries);
        entries.retain(|_, entry| needed(entry));
        self.len.store(entries.len(), Ordering::Relaxed);
    }

    /// The set as it goes into a manifest, in no order.
    pub(crate) fn entries(&self) -> Vec<ForgottenEntry> {
        let entry = |(&fingerprint, entry): (&Fingerprint, &Entry)| ForgottenEntry {
            fingerprint,
            at: entry.at,
            seen_again: entry.again.unwrap_or(Timestamp::MAX),
        };
        lock(&self.entries).iter().map(entry).collect()
    }
}

/// The set, held by one call from its first decision until its frame is staged, so that what is
/// decided and what is logged have one order.
#[derive(Debug)]
pub(crate) struct OpenForgotten<'a> {
    entries: MutexGuard<'a, FingerprintMap<Entry>>,
}

impl OpenForgotten<'_> {
    /// What the set says of an id that was found, at `now`.
    pub(crate) fn look(&self, id: Fingerprint, now: Timestamp, window: Duration) -> Again {
        match self.entries.get(&id) {
            None => Again::NotForgotten,
            Some(Entry { again: Some(again), .. }) if *again + window >= now => {
                Again::Since(*again)
            }
            Some(_) => Again::Free,
        }
    }

    /// When an id of the set was told to be forgotten.
    pub(crate) fn forgotten_at(&self, id: Fingerprint) -> Option<Timestamp> {
        self.entries.get(&id).map(|entry| entry.at)
    }

    /// Whether the set, and it alone, decides about an id.
    pub(crate) fn decides(&self, id: Fingerprint) -> bool {
        self.entries.contains_key(&id)
    }

    /// Notes that the log let an id in, in a frame of `time`, in the tick that ends at `tick_end`: no later
    /// than it was, by a tick at the most, for other ids of the frame may be younger. `false` if the set
    /// does not know it.
    pub(crate) fn replay_let_in(
        &mut self,
        id: Fingerprint,
        time: Timestamp,
        tick_end: Timestamp,
    ) -> bool {
        self.let_in(id, time.min(tick_end))
    }

    /// Notes that an id of the set was let in again. `false` if the set does not know it.
    pub(crate) fn let_in(&mut self, id: Fingerprint, now: Timestamp) -> bool {
        let entry = self.entries.get_mut(&id);
        entry.map(|entry| entry.again = Some(now)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);
    const ID: Fingerprint = Fingerprint::from_u128(5);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn an_id_is_free_once_until_it_is_forgotten_again() {
        let set = Forgotten::default();
        assert_eq!(set.open().look(ID, at(1), WINDOW), Again::NotForgotten);
        set.insert(ID, at(1));
        assert_eq!(set.open().look(ID, at(2), WINDOW), Again::Free);
        assert!(set.open().let_in(ID, at(2)));
        assert_eq!(set.open().look(ID, at(12), WINDOW), Again::Since(at(2)));
        assert_eq!(set.open().look(ID, at(13), WINDOW), Again::Free);
        set.insert(ID, at(3));
        assert_eq!(set.open().look(ID, at(3), WINDOW), Again::Free);
    }

    #[test]
    fn entries_live_as_long_as_they_are_needed_and_survive_a_manifest() {
        let set = Forgotten::default();
        set.insert(ID, at(1));
        set.open().let_in(ID, at(9));
        set.expire(at(20), WINDOW, Duration::ZERO, at(9));
        let back = Forgotten::restore(&set.entries());
        assert_eq!(back.open().look(ID, at(19), WINDOW), Again::Since(at(9)));
        back.expire(at(20), WINDOW, Duration::from_secs(1), at(10));
        assert!(!back.is_empty());
        back.expire(at(21), WINDOW, Duration::from_secs(1), at(10));
        assert!(back.is_empty());
    }
}
