//! What a call looks at, from the youngest to the oldest: the active table, frozen tables, runs.

use crate::backend::Sealed;
use crate::filter::WindowFilter;
use crate::index::Table;
use crate::key::Fingerprint;
use crate::log::{Lsn, Segment};
use crate::sync::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering, lock};
use crate::time::{Ticks, Timestamp};

use super::ValueTable;

/// A table with what its ids need beside it: their generation and their part of the log.
#[derive(Debug)]
pub(crate) struct MemTable {
    /// Who was first.
    pub(crate) table: Table,
    /// The generation of its ids.
    pub(crate) generation: u64,
    /// How the generation remembers time.
    pub(crate) ticks: Ticks,
    /// How many ids it takes.
    limit: usize,
    /// How many it has, and what calls under way may still add.
    used: AtomicUsize,
    /// The numbers of the log segments that hold its ids, ascending.
    segments: Mutex<Vec<u64>>,
    /// Bytes of those that are not appended to any more.
    log_bytes: AtomicU64,
    /// What is kept with some of its ids.
    pub(crate) values: ValueTable,
}

impl MemTable {
    /// An empty table for at most `limit` ids of a generation.
    pub(crate) fn new(table: Table, generation: u64, ticks: Ticks, limit: usize) -> MemTable {
        MemTable {
            table,
            generation,
            ticks,
            limit,
            used: AtomicUsize::new(0),
            segments: Mutex::new(Vec::new()),
            log_bytes: AtomicU64::new(0),
            values: ValueTable::default(),
        }
    }

    /// The table, from now on for at most `limit` ids.
    pub(crate) fn with_limit(self, limit: usize) -> MemTable {
        MemTable { limit, ..self }
    }

    /// Reserves room for `ids` more, unless that would be more than the table takes. An empty table
    /// takes any call.
    pub(crate) fn reserve(&self, ids: usize) -> bool {
        let before = self.used.fetch_add(ids, Ordering::Relaxed);
        let fits = before + ids <= self.limit || before == 0;
        if !fits {
            self.release(ids);
        }
        fits
    }

    /// Gives back what was reserved and not used.
    pub(crate) fn release(&self, ids: usize) {
        self.used.fetch_sub(ids, Ordering::Relaxed);
    }

    /// How many ids it has, at rest.
    pub(crate) fn ids(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// How many ids it takes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Notes that ids of it are in segment `number` as well.
    pub(crate) fn add_segment(&self, number: u64) {
        lock(&self.segments).push(number);
    }

    /// Notes that a segment of it, of `bytes` bytes on disk, is not appended to any more.
    pub(crate) fn add_log_bytes(&self, bytes: u64) {
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of its segments that are not appended to any more.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }

    /// How many segments hold its ids.
    pub(crate) fn segment_count(&self) -> usize {
        lock(&self.segments).len()
    }

    /// The lowest number of a segment that holds its ids.
    pub(crate) fn first_segment(&self) -> Option<u64> {
        lock(&self.segments).first().copied()
    }

    /// The numbers of the segments that hold its ids.
    pub(crate) fn segments(&self) -> Vec<u64> {
        lock(&self.segments).clone()
    }

    /// The table for other ids, emptied, if nobody else has it.
    pub(crate) fn into_table(this: Arc<MemTable>) -> Option<Table> {
        let mut table = Arc::try_unwrap(this).ok()?.table;
        table.clear();
        Some(table)
    }
}

/// A table that takes no more ids and waits to be sealed.
#[derive(Debug, Clone)]
pub(crate) struct Frozen {
    /// The table.
    pub(crate) mem: Arc<MemTable>,
    /// Its frames end before this.
    pub(crate) lsn: Lsn,
    /// Whether the window filter has its ids, so that it is looked at only on a filter hit.
    pub(crate) in_filter: bool,
}

/// Everything a call looks at. Replaced as a whole, behind the gate.
#[derive(Debug)]
pub(crate) struct View {
    /// Where new ids go.
    pub(crate) active: Arc<MemTable>,
    /// Where their frames go; none until the first id.
    pub(crate) segment: Option<Arc<Segment>>,
    /// Frozen tables, youngest first.
    pub(crate) frozen: Vec<Frozen>,
    /// Runs, youngest first.
    pub(crate) runs: Vec<std::sync::Arc<dyn Sealed>>,
    /// Has the bits of every id in a run, and of every frozen table marked so.
    pub(crate) filter: Arc<WindowFilter>,
    /// Who may hold ids, so that they have to be asked.
    pub(crate) claiming: Claiming,
}

/// Who may hold ids. It changes while the gate is closed, so every call is wholly before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claiming {
    /// Nobody.
    Nobody,
    /// One transaction, and nobody asks for single ids.
    Alone,
    /// Any number of transactions.
    Many,
}

impl View {
    /// The frozen tables that the filter does not know yet.
    pub(crate) fn frozen_apart(&self) -> impl Iterator<Item = &MemTable> {
        self.frozen.iter().filter(|frozen| !frozen.in_filter).map(|frozen| &*frozen.mem)
    }

    /// The frozen tables that are behind the filter.
    pub(crate) fn frozen_behind(&self) -> impl Iterator<Item = &MemTable> {
        self.frozen.iter().filter(|frozen| frozen.in_filter).map(|frozen| &*frozen.mem)
    }
}

/// A record that was found: which tick of which generation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sighting {
    ticks: Ticks,
    tick: u8,
}

impl Sighting {
    /// A record of `tick` in a generation with `ticks`.
    pub(crate) fn new(ticks: Ticks, tick: u8) -> Sighting {
        Sighting { ticks, tick }
    }

    /// When the id was first seen, rounded down to the tick.
    pub(crate) fn first_seen(self) -> Timestamp {
        self.ticks.start_of(self.tick)
    }

    /// The end of the tick: from then on the window counts.
    pub(crate) fn counts_from(self) -> Timestamp {
        self.ticks.end_of(self.tick)
    }
}

impl MemTable {
    /// The record of a fingerprint, if it is there.
    #[inline]
    pub(crate) fn sighting(&self, fingerprint: Fingerprint) -> Option<Sighting> {
        self.table.get(fingerprint).map(|tick| Sighting::new(self.ticks, tick))
    }
}
