//! Tables for benches.

use std::io;

use super::{Insert, Table};
use crate::key::{Fingerprint, Record};

/// How many ids ahead a store asks for the cache line of a table.
pub const AHEAD: usize = super::AHEAD;

/// An active table by itself.
#[derive(Debug)]
pub struct BenchTable(Table);

impl BenchTable {
    /// An empty table of `2^bucket_bits` home buckets.
    pub fn new(bucket_bits: u32) -> io::Result<BenchTable> {
        Table::new(bucket_bits).map(BenchTable)
    }

    /// How many fingerprints a store puts into it at the most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        Table::capacity(self.0.bucket_bits())
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    /// Asks for the cache line of a fingerprint.
    #[inline]
    pub fn prefetch(&self, fingerprint: Fingerprint) {
        self.0.prefetch(fingerprint);
    }

    /// Inserts a fingerprint; whether it was not there.
    #[inline]
    pub fn insert(&self, fingerprint: Fingerprint, tick: u8) -> bool {
        self.0.insert(fingerprint, tick) == Insert::Inserted
    }

    /// The tick of a fingerprint, if it is there.
    #[inline]
    #[must_use]
    pub fn get(&self, fingerprint: Fingerprint) -> Option<u8> {
        self.0.get(fingerprint)
    }

    /// Hands the content to `each`, ascending, about `count` at a time, as sealing reads it.
    pub fn drain(&self, count: usize, mut each: impl FnMut(&[Record])) {
        let (mut drain, mut records) = (self.0.drain(), Vec::new());
        loop {
            drain.fill(&self.0, count, &mut records);
            if records.is_empty() {
                return;
            }
            each(&records);
            records.clear();
        }
    }

    /// Hands the content to `each` as it stands, as the window filter is filled with it.
    #[inline]
    pub fn for_each(&self, each: impl FnMut(Fingerprint)) {
        self.0.for_each(each);
    }

    /// Makes it empty again.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
