//! The content of a table that nobody inserts into any more, in ascending order.
//!
//! A fingerprint that is not in its home bucket stands behind buckets that are all full. So when a
//! bucket with an empty slot has been read, everything whose home is at or before it has been read,
//! and the little that was read since the last such bucket can be sorted and given out.

use super::table::Table;
use crate::key::Fingerprint;

/// Iterates over a table's fingerprints and ticks, ascending. See [`Table::drain`].
#[derive(Debug)]
pub(crate) struct Drain<'a> {
    table: &'a Table,
    /// The next bucket to read.
    bucket: usize,
    /// What was read and not yet given out, ascending from `next` on.
    sorted: Vec<(Fingerprint, u8)>,
    next: usize,
    /// What stands in no bucket, ascending from `next_overflow` on.
    overflow: Vec<(Fingerprint, u8)>,
    next_overflow: usize,
}

impl Table {
    /// The content, ascending. Nobody may insert while it is read.
    pub(crate) fn drain(&self) -> Drain<'_> {
        let overflow = self.overflow();
        Drain { table: self, bucket: 0, sorted: Vec::new(), next: 0, overflow, next_overflow: 0 }
    }
}

impl Drain<'_> {
    /// Reads buckets up to one that has an empty slot, and sorts what they hold. `false` at the end.
    fn refill(&mut self) -> bool {
        self.sorted.clear();
        self.next = 0;
        while self.sorted.is_empty() {
            if self.bucket == self.table.buckets() && self.next_overflow == self.overflow.len() {
                return false;
            }
            while self.bucket < self.table.buckets() {
                self.bucket += 1;
                if self.table.read_bucket(self.bucket - 1, &mut self.sorted) {
                    break;
                }
            }
            self.take_overflow();
        }
        self.sorted.sort_unstable_by_key(|&(fingerprint, _)| fingerprint);
        true
    }

    /// Moves the overflowed fingerprints whose home has been read to the others.
    fn take_overflow(&mut self) {
        let at_end = self.bucket == self.table.buckets();
        while let Some(&record) = self.overflow.get(self.next_overflow) {
            if !at_end && self.table.layout().home(record.0) >= self.bucket {
                break;
            }
            self.sorted.push(record);
            self.next_overflow += 1;
        }
    }
}

impl Iterator for Drain<'_> {
    type Item = (Fingerprint, u8);

    #[inline]
    fn next(&mut self) -> Option<(Fingerprint, u8)> {
        if self.next == self.sorted.len() && !self.refill() {
            return None;
        }
        self.next += 1;
        Some(self.sorted[self.next - 1])
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::index::slot::BUCKET_BITS_MIN;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn everything_comes_out_once_in_order(
            spread in proptest::collection::vec(any::<u128>(), 0..3_000),
            crowd in proptest::collection::vec(any::<u16>(), 0..2_000),
            top: u8,
        ) {
            let table = Table::new(BUCKET_BITS_MIN).unwrap();
            let crowd = crowd.iter().map(|&n| u128::from(top) << 120 | u128::from(n));
            let mut expected = BTreeMap::new();
            for bits in spread.iter().copied().chain(crowd) {
                let fingerprint = Fingerprint::from_u128(bits);
                table.insert(fingerprint, bits as u8);
                expected.insert(fingerprint, bits as u8);
            }
            prop_assert!(table.drain().eq(expected));
        }
    }
}
