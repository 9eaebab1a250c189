//! The content of a table that nobody inserts into any more: in ascending order, or as it stands.
//!
//! A fingerprint that is not in its home bucket stands behind buckets that are all full. So when a
//! bucket with an empty slot has been read, everything whose home is at or before it has been read,
//! and the little that was read since the last such bucket can be sorted and given out.

use std::ops::RangeInclusive;

use super::slot::REACH;
use super::table::Table;
use crate::key::{Fingerprint, Record};

/// How far a table has been read in ascending order. See [`Table::drain`].
#[derive(Debug)]
pub(crate) struct Drain {
    /// The next bucket to read.
    bucket: usize,
    /// What stands in no bucket, ascending from `next_overflow` on.
    overflow: Vec<Record>,
    next_overflow: usize,
}

impl Table {
    /// The content, ascending, from the beginning. Nobody may insert while it is read.
    pub(crate) fn drain(&self) -> Drain {
        Drain { bucket: 0, overflow: self.overflow(), next_overflow: 0 }
    }

    /// Hands the fingerprints to `each`, nearly in ascending order: by the buckets they stand in. Nobody may
    /// insert meanwhile.
    pub(crate) fn for_each(&self, each: impl FnMut(Fingerprint)) {
        self.for_each_in(0..=u64::MAX, each);
    }

    /// The same for those whose upper half is in `his`.
    pub(crate) fn for_each_in(&self, his: RangeInclusive<u64>, mut each: impl FnMut(Fingerprint)) {
        let home = |hi| self.layout().home(Fingerprint { hi, lo: 0 });
        let buckets = home(*his.start())..(home(*his.end()) + REACH).min(self.buckets());
        let mut give = |(fingerprint, _): Record| {
            if his.contains(&fingerprint.hi) {
                each(fingerprint);
            }
        };
        for bucket in buckets {
            self.read_bucket(bucket, &mut give);
        }
        self.overflow().into_iter().for_each(give);
    }
}

impl Drain {
    /// Appends the next records to `out`, ascending: at least `count`, but for the end, and not many more.
    pub(crate) fn fill(&mut self, table: &Table, count: usize, out: &mut Vec<Record>) {
        let enough = out.len() + count;
        while out.len() < enough && self.group(table, out) {}
    }

    /// Reads buckets up to one that has an empty slot, and sorts what they hold. `false` at the end.
    #[inline]
    fn group(&mut self, table: &Table, out: &mut Vec<Record>) -> bool {
        let first = out.len();
        let buckets = table.buckets();
        let mut ends = false;
        while !ends && self.bucket < buckets {
            ends = table.read_bucket(self.bucket, |record| out.push(record));
            self.bucket += 1;
        }
        if self.next_overflow < self.overflow.len() {
            self.take_overflow(table, out);
        }
        sort(&mut out[first..]);
        self.bucket < buckets || self.next_overflow < self.overflow.len()
    }

    /// Moves the overflowed fingerprints whose home has been read to the others.
    #[cold]
    fn take_overflow(&mut self, table: &Table, out: &mut Vec<Record>) {
        let at_end = self.bucket == table.buckets();
        while let Some(&record) = self.overflow.get(self.next_overflow) {
            if !at_end && table.layout().home(record.0) >= self.bucket {
                break;
            }
            out.push(record);
            self.next_overflow += 1;
        }
    }
}

/// Sorts by fingerprint. Most groups are of one bucket, and a bucket has few: those are sorted without a branch that
/// nobody can foretell.
#[inline]
fn sort(records: &mut [Record]) {
    match records {
        [] | [_] => {}
        [a, b] => order(a, b),
        [a, b, c] => {
            order(a, b);
            order(b, c);
            order(a, b);
        }
        [a, b, c, d] => {
            order(a, b);
            order(c, d);
            order(a, c);
            order(b, d);
            order(b, c);
        }
        _ => records.sort_unstable_by_key(|&(fingerprint, _)| fingerprint),
    }
}

/// Puts the lesser one first.
#[inline(always)]
fn order(a: &mut Record, b: &mut Record) {
    let (first, second) = (*a, *b);
    let swap = second.0.as_u128() < first.0.as_u128();
    *a = if swap { second } else { first };
    *b = if swap { first } else { second };
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
            low: u8,
        ) {
            let table = Table::new(BUCKET_BITS_MIN).unwrap();
            // What crowds one bucket is given out with it.
            let most = 100 + 4 * REACH + crowd.len();
            let crowd = crowd.iter().map(|&n| u128::from(top) << 120 | u128::from(n));
            let mut expected = BTreeMap::new();
            for bits in spread.iter().copied().chain(crowd) {
                let fingerprint = Fingerprint::from_u128(bits);
                table.insert(fingerprint, bits as u8);
                expected.insert(fingerprint, bits as u8);
            }
            let (mut drain, mut drained) = (table.drain(), Vec::new());
            loop {
                let before = drained.len();
                drain.fill(&table, 100, &mut drained);
                match drained.len() - before {
                    0 => break,
                    1..100 => prop_assert_eq!(drained.len(), expected.len()),
                    count => prop_assert!(count < most, "{} at once", count),
                }
            }
            prop_assert!(drained.iter().copied().eq(expected.iter().map(|(&id, &tick)| (id, tick))));
            let (from, to) = (u64::from(low) << 56, u64::from(low | 0x3f) << 56 | 0xff);
            let mut given = Vec::new();
            table.for_each_in(from..=to, |id| given.push(id));
            given.sort_unstable();
            let within = expected.into_keys().filter(|id| (from..=to).contains(&id.hi));
            prop_assert!(given.into_iter().eq(within));
        }
    }
}
