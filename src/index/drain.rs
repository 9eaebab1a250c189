//! The content of a table that nobody inserts into any more: in ascending order, or as it stands.
//!
//! A fingerprint that is not in its home bucket stands behind buckets that are all full. So when a
//! bucket with an empty slot has been read, everything whose home is at or before it has been read
//! and can be given out.

use std::ops::RangeInclusive;

use super::slot::REACH;
use super::table::{SLOTS, Table};
use crate::key::Fingerprint;

/// A fingerprint and its tick.
type Record = (Fingerprint, u8);

/// Fingerprints that [`Table::for_each_in`] gathers before it hands them out: some, for whoever takes them to be at it
/// for a while, and few, for them to stay in the nearest cache.
const GATHERED: usize = 256;

/// How far a table has been read in ascending order. See [`Table::drain`].
#[derive(Debug)]
pub(crate) struct Drain {
    /// The next bucket to read.
    bucket: usize,
    /// What was handed out last, and after it room for more.
    records: Vec<Record>,
    /// What stands in no bucket, ascending from `next_overflow` on.
    overflow: Vec<Record>,
    next_overflow: usize,
}

impl Table {
    /// The content, ascending, from the beginning. Nobody may insert while it is read.
    pub(crate) fn drain(&self) -> Drain {
        Drain { bucket: 0, records: Vec::new(), overflow: self.overflow(), next_overflow: 0 }
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
        let mut give = |ids: &[Fingerprint]| {
            ids.iter().filter(|id| his.contains(&id.hi)).for_each(|&id| each(id));
        };
        let (mut gathered, mut count) = ([Fingerprint::default(); GATHERED], 0);
        for bucket in buckets {
            let (records, taken) = self.read_bucket(bucket);
            gathered[count..count + SLOTS].copy_from_slice(&records.map(|(id, _)| id));
            count += taken;
            if count > GATHERED - SLOTS {
                give(&gathered[..count]);
                count = 0;
            }
        }
        give(&gathered[..count]);
        self.overflow().into_iter().for_each(|(id, _)| give(&[id]));
    }
}

impl Drain {
    /// The next records, ascending: at least `count`, but for the end, and not many more.
    pub(crate) fn next(&mut self, table: &Table, count: usize) -> &[Record] {
        let (buckets, mut len, mut ends) = (table.buckets(), 0, true);
        while (len < count || !ends) && self.bucket < buckets {
            if self.records.len() < len + SLOTS {
                self.records.resize(len + count + SLOTS, Record::default());
            }
            let place = self.records[len..].first_chunk_mut().expect("there is room for a bucket");
            let taken = sorted(table.read_bucket(self.bucket), place);
            ends = table.is_open(self.bucket);
            put_before(&mut self.records[..len + taken], len);
            len += taken;
            self.bucket += 1;
        }
        if self.next_overflow < self.overflow.len() {
            len = self.take_overflow(table, len);
        }
        &self.records[..len]
    }

    /// Puts the overflowed fingerprints whose home has been read among the first `len` records; how many there are then.
    #[cold]
    fn take_overflow(&mut self, table: &Table, len: usize) -> usize {
        let at_end = self.bucket == table.buckets();
        self.records.truncate(len);
        while let Some(&record) = self.overflow.get(self.next_overflow) {
            if !at_end && table.layout().home(record.0) >= self.bucket {
                break;
            }
            self.records.push(record);
            self.next_overflow += 1;
        }
        self.records.sort_unstable_by_key(|&(fingerprint, _)| fingerprint);
        self.records.len()
    }
}

/// Puts the records of a bucket into `place`, ascending, and returns how many there are. Each goes to where as many are
/// before it as are less: no comparison is a branch, which nobody could foretell.
#[inline]
fn sorted(read: ([Record; SLOTS], usize), place: &mut [Record; SLOTS]) -> usize {
    let (records, taken) = read;
    let key = |i: usize| if i < taken { records[i].0.as_u128() } else { u128::MAX };
    let keys: [u128; SLOTS] = std::array::from_fn(key);
    let mut ranks = [0; SLOTS];
    for i in 0..SLOTS {
        for j in i + 1..SLOTS {
            // Of equal keys the earlier one comes first: what fills up the bucket stays behind what is in it.
            let less = usize::from(keys[j] < keys[i]);
            ranks[i] += less;
            ranks[j] += 1 - less;
        }
    }
    for (record, rank) in records.into_iter().zip(ranks) {
        place[rank % SLOTS] = record;
    }
    taken
}

/// Makes `records` ascend, of which those before `from` do and those from there on do: the latter are a bucket's, of
/// which some may have their home before it.
#[inline]
fn put_before(records: &mut [Record], from: usize) {
    for at in from.max(1)..records.len() {
        if records[at - 1].0 < records[at].0 {
            return;
        }
        let less = records[..at].iter().rposition(|before| before.0 < records[at].0);
        records[less.map_or(0, |less| less + 1)..=at].rotate_right(1);
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
            low: u8,
        ) {
            let table = Table::new(BUCKET_BITS_MIN).unwrap();
            // What crowds one bucket is given out with it.
            let most = 100 + 4 * REACH + crowd.len();
            let crowd = crowd.iter().map(|&n| u128::from(top) << 120 | u128::from(n));
            let mut expected = BTreeMap::new();
            for bits in spread.iter().copied().chain(crowd).chain([u128::MAX]) {
                let fingerprint = Fingerprint::from_u128(bits);
                table.insert(fingerprint, bits as u8);
                expected.insert(fingerprint, bits as u8);
            }
            let (mut drain, mut drained) = (table.drain(), Vec::new());
            loop {
                let records = drain.next(&table, 100);
                drained.extend_from_slice(records);
                match records.len() {
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
