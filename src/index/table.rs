//! The table and its insertion protocol.
//!
//! A bucket is one cache line: the low words of four slots, then their high words. A fingerprint is
//! looked for from its home bucket on, slot by slot, in at most [`REACH`] buckets.
//!
//! # Protocol
//!
//! 1. The first slot whose low word is empty or equal to ours is ours to contend for. An empty low
//!    word is taken by a compare-and-swap; if that fails, what stands there now decides.
//! 2. With our low word in place, the *high* word decides: the compare-and-swap from zero to our
//!    high word is the insertion. If it fails, what stands there is either our fingerprint, then it
//!    is present, or another one with the same low 64 bits, then the search goes on.
//!
//! A slot's low word never changes once set, nor does its high word. So a thread that passes a slot
//! by does so on facts that hold for ever, every other thread with the same fingerprint passes it by
//! too, and all contend for the same slot: one high word, one winner. Nobody waits for anybody:
//! whoever meets a slot that has a low and no high word completes it for its own fingerprint.

use std::collections::BTreeMap;
use std::io;

use super::slot::{self, Layout, REACH};
use crate::key::{Fingerprint, Record};
use crate::mem::{Words, prefetch};
use crate::planted::{Bug, pause, planted};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, lock};

/// Slots of a bucket.
pub(crate) const SLOTS: usize = 4;
/// Words of a bucket.
pub(crate) const BUCKET_WORDS: usize = 2 * SLOTS;

type Bucket = [AtomicU64; BUCKET_WORDS];

/// What an insertion found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Insert {
    /// The fingerprint was not there; this call put it there.
    Inserted,
    /// It was there, first seen in `tick`.
    Present {
        /// The tick it was inserted with.
        tick: u8,
    },
}

/// An exact, insert-only set of fingerprints with ticks. See the module documentation.
#[derive(Debug)]
pub(crate) struct Table {
    layout: Layout,
    /// The home buckets, and after the last of them the ones it can spill into.
    words: Words,
    /// Fingerprints whose whole reach is full. Keyed identities make that practically impossible;
    /// it is here so that insertion is total.
    overflow: Mutex<BTreeMap<Fingerprint, u8>>,
    /// Whether `overflow` was ever used.
    overflowed: AtomicBool,
}

impl Table {
    /// An empty table of `2^bucket_bits` home buckets.
    pub(crate) fn new(bucket_bits: u32) -> io::Result<Table> {
        let layout = Layout::new(bucket_bits);
        Ok(Table {
            layout,
            words: Words::zeroed((layout.homes() + REACH - 1) * BUCKET_WORDS)?,
            overflow: Mutex::new(BTreeMap::new()),
            overflowed: AtomicBool::new(false),
        })
    }

    /// How many fingerprints it may take so that nearly all stand in their home bucket: 65 % of
    /// the slots.
    pub(crate) fn capacity(bucket_bits: u32) -> usize {
        (SLOTS << bucket_bits) / 100 * 65
    }

    /// Bytes of memory that a table of `2^bucket_bits` home buckets takes, but for the few it spills
    /// into.
    pub(crate) fn bytes(bucket_bits: u32) -> usize {
        (BUCKET_WORDS * size_of::<u64>()) << bucket_bits
    }

    /// Bits of a bucket number in this table.
    pub(crate) fn bucket_bits(&self) -> u32 {
        self.layout.bucket_bits()
    }

    /// Bytes of memory that this table takes.
    pub(crate) fn memory(&self) -> usize {
        self.words.bytes()
    }

    /// Asks for the cache line that inserting `fingerprint` will write.
    #[inline]
    pub(crate) fn prefetch(&self, fingerprint: Fingerprint) {
        prefetch::write(&self.words[self.layout.home(fingerprint) * BUCKET_WORDS]);
    }

    /// Inserts a fingerprint, first seen in `tick`, unless it is there.
    #[inline]
    pub(crate) fn insert(&self, fingerprint: Fingerprint, tick: u8) -> Insert {
        let low = Layout::low(fingerprint);
        let high = self.layout.high(fingerprint, tick);
        let home = self.layout.home(fingerprint);
        for away in 0..REACH {
            let bucket = self.bucket(home + away);
            // What is neither empty nor ours never will be, so the first slot that counts is the first that is.
            for s in first_open(bucket, low)..SLOTS {
                if let Some(decided) = contend(bucket, s, low, slot::displaced(high, away)) {
                    return decided;
                }
            }
        }
        self.insert_overflow(fingerprint, tick)
    }

    /// The tick of a fingerprint, if it is there.
    #[inline]
    pub(crate) fn get(&self, fingerprint: Fingerprint) -> Option<u8> {
        let low = Layout::low(fingerprint);
        let high = self.layout.high(fingerprint, 0);
        let home = self.layout.home(fingerprint);
        for away in 0..REACH {
            let bucket = self.bucket(home + away);
            for s in first_open(bucket, low)..SLOTS {
                match bucket[s].load(Ordering::Relaxed) {
                    0 => return None,
                    found if found == low => {
                        // Partner: the release in `contend`.
                        let found = bucket[SLOTS + s].load(Ordering::Acquire);
                        if slot::same(found, slot::displaced(high, away)) {
                            return Some(slot::tick(found));
                        }
                    }
                    _ => {}
                }
            }
        }
        // Partner: the release in `insert_overflow`.
        if !self.overflowed.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.overflow).get(&fingerprint).copied()
    }

    /// Makes the table empty again.
    pub(crate) fn clear(&mut self) {
        self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        lock(&self.overflow).clear();
        self.overflowed.store(false, Ordering::Relaxed);
    }

    /// How fingerprints are packed.
    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// How many buckets there are, spill buckets included.
    pub(super) fn buckets(&self) -> usize {
        self.words.len() / BUCKET_WORDS
    }

    /// Gives what stands in the occupied slots of a bucket; whether it has an empty one.
    #[inline]
    pub(super) fn read_bucket(&self, bucket: usize, mut give: impl FnMut(Record)) -> bool {
        let words = self.bucket(bucket);
        for s in 0..SLOTS {
            let low = words[s].load(Ordering::Relaxed);
            if low == 0 {
                return true;
            }
            // Partner: the release in `contend`. A slot that nobody completed holds nothing.
            let high = words[SLOTS + s].load(Ordering::Acquire);
            if high != 0 {
                give(self.layout.unpack(bucket, low, high));
            }
        }
        false
    }

    /// The fingerprints that found no slot, ascending.
    pub(super) fn overflow(&self) -> Vec<Record> {
        lock(&self.overflow).iter().map(|(&fingerprint, &tick)| (fingerprint, tick)).collect()
    }

    #[inline]
    fn bucket(&self, bucket: usize) -> &Bucket {
        &self.words.as_chunks().0[bucket]
    }

    #[cold]
    fn insert_overflow(&self, fingerprint: Fingerprint, tick: u8) -> Insert {
        use std::collections::btree_map::Entry;
        let mut overflow = lock(&self.overflow);
        // Partner: the acquire in `get`.
        self.overflowed.store(true, Ordering::Release);
        match overflow.entry(fingerprint) {
            Entry::Occupied(entry) => Insert::Present { tick: *entry.get() },
            Entry::Vacant(entry) => {
                entry.insert(tick);
                Insert::Inserted
            }
        }
    }
}

/// The first slot whose low word is empty or `low`; [`SLOTS`] if there is none. How many slots are taken is what no
/// processor foretells, so there is no branch on it.
#[inline]
fn first_open(bucket: &Bucket, low: u64) -> usize {
    let open = (0..SLOTS).fold(1 << SLOTS, |open, s| {
        let found = bucket[s].load(Ordering::Relaxed);
        open | u32::from((found == 0) | (found == low)) << s
    });
    open.trailing_zeros() as usize
}

/// Steps 1 and 2 of the protocol at one slot; `None` if the slot is another fingerprint's.
#[inline]
fn contend(bucket: &Bucket, s: usize, low: u64, high: u64) -> Option<Insert> {
    // Relaxed throughout for the low word: it publishes nothing, the high word decides.
    let mut found = bucket[s].load(Ordering::Relaxed);
    if found == 0 {
        match bucket[s].compare_exchange(0, low, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => found = low,
            Err(now) => found = now,
        }
    }
    if found != low {
        return None;
    }
    // The release makes everything the winner did before visible to whoever finds its slot: above
    // all that it is inside the gate. Partners: the acquires here and in `get`.
    let decided = match planted(Bug::SlotStored) {
        false => bucket[SLOTS + s].compare_exchange(0, high, Ordering::AcqRel, Ordering::Acquire),
        true => look_then_store(&bucket[SLOTS + s], high),
    };
    match decided {
        Ok(_) => Some(Insert::Inserted),
        Err(found) if slot::same(found, high) => Some(Insert::Present { tick: slot::tick(found) }),
        Err(_) => None,
    }
}

/// What [`Bug::SlotStored`] does in place of a compare-and-swap from zero.
fn look_then_store(word: &AtomicU64, high: u64) -> Result<u64, u64> {
    let found = word.load(Ordering::Acquire);
    if found != 0 {
        return Err(found);
    }
    pause();
    word.store(high, Ordering::Release);
    Ok(found)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::index::slot::BUCKET_BITS_MIN;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    fn spread(n: u128) -> Fingerprint {
        Fingerprint::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    #[test]
    fn the_first_wins_and_its_tick_stays() {
        let table = Table::new(BUCKET_BITS_MIN).unwrap();
        for n in 0..100_000 {
            assert_eq!(table.get(spread(n)), None);
            assert_eq!(table.insert(spread(n), n as u8), Insert::Inserted);
        }
        for n in 0..100_000 {
            assert_eq!(table.insert(spread(n), 0), Insert::Present { tick: n as u8 });
            assert_eq!(table.get(spread(n)), Some(n as u8));
        }
    }

    #[test]
    fn crowding_one_bucket_overflows_and_loses_nothing() {
        let table = Table::new(BUCKET_BITS_MIN).unwrap();
        let ids = (0..2_000_u128).map(|n| Fingerprint::from_u128(u128::MAX << 20 | n));
        for id in ids.clone().chain([0, 1, 1 << 64].map(Fingerprint::from_u128)) {
            assert_eq!(table.insert(id, 9), Insert::Inserted);
            assert_eq!(table.insert(id, 8), Insert::Present { tick: 9 });
        }
        assert!(ids.clone().all(|id| table.get(id) == Some(9)));
        // No more slots are looked at than there are in reach; the rest is in an ordered map.
        assert_eq!(lock(&table.overflow).len(), 2_000 - REACH * SLOTS);
        assert_eq!(table.get(Fingerprint::from_u128(u128::MAX << 20 | 2_000)), None);
        let mut table = table;
        table.clear();
        assert!(ids.into_iter().all(|id| table.get(id).is_none()));
    }

    #[test]
    fn of_many_threads_exactly_one_inserts() {
        let table = Table::new(BUCKET_BITS_MIN).unwrap();
        let wins: Vec<AtomicUsize> = (0..50_000).map(|_| AtomicUsize::new(0)).collect();
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let (table, wins) = (&table, &wins);
                scope.spawn(move || {
                    for i in 0..wins.len() {
                        let n = if thread % 2 == 0 { i } else { wins.len() - 1 - i };
                        // Ids in pairs that share their low word.
                        let id = Fingerprint { hi: spread(n as u128).hi, lo: n as u64 / 2 };
                        if table.insert(id, thread as u8) == Insert::Inserted {
                            wins[n].fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert!(wins.iter().all(|wins| wins.load(Relaxed) == 1));
    }
}
