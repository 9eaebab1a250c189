//! The data page of a run: about 280 sorted records in 4096 bytes.
//!
//! A page begins with the top 64 bits of its first record, which times 2^64 is its *base*. The space
//! from the base on is cut into 64 equal *buckets*, so narrow that a full page normally spans most of
//! them; a record keeps only its distance from the start of its bucket and its tick, bit-packed. How
//! many records lie in each bucket stands in 64 nibbles. That saves `log2(records) + 6 - log2(280)`
//! bits of each fingerprint.
//!
//! A lookup reads the first cache line (base, count, nibbles) and the one or two lines that hold the
//! four or five records of one bucket. A page is closed when it is full, when the next record lies
//! beyond the last bucket, or when a bucket would hold a 16th record; so every set of fingerprints
//! can be stored, and evenly spread ones, which is what a keyed hash gives, densely.

use super::super::checksum::Salt;
use super::super::{PAGE, put_u64, u64_at};
use super::shape::{BUCKETS, CAPACITY_MAX, Shape};
use super::{Flaw, Page, check, seal};
use crate::key::{Fingerprint, Record};

/// Records that a bucket can count.
const BUCKET_MAX: u8 = 15;

/// Bytes that are written for a bucket where each of its records gets one: one store.
const SPILL: usize = BUCKET_MAX as usize + 1;

/// Where the count of records stands, and how the page goes on.
const COUNT_AT: usize = 8;
const NIBBLES_AT: usize = 10;
pub(super) const BODY_AT: usize = 42;

/// A data page in the making.
#[derive(Debug)]
pub(crate) struct PageBuilder {
    shape: Shape,
    page: Box<Page>,
    base_hi: u64,
    count: usize,
    /// The byte of counts that was written last, and where it stands.
    counts: u8,
    counts_at: usize,
}

impl PageBuilder {
    pub(crate) fn new(shape: Shape) -> PageBuilder {
        PageBuilder {
            shape,
            page: Box::new([0; PAGE]),
            base_hi: 0,
            count: 0,
            counts: 0,
            counts_at: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Top 64 bits of the first record.
    pub(crate) fn base_hi(&self) -> u64 {
        self.base_hi
    }

    /// Adds records, which ascend from those of the page on, up to the one before which the page must be closed.
    /// Returns how many it added: at least one to an empty page.
    pub(crate) fn extend(&mut self, records: &[Record]) -> usize {
        if let (0, Some(&(first, _))) = (self.count, records.first()) {
            self.base_hi = first.hi;
        }
        // All that goes on from record to record is held in registers: what is loaded back from where it was just
        // stored is waited for.
        let (shape, base, page) = (self.shape, self.base_hi, &mut *self.page);
        let (mut count, mut counts_at, mut counts) = (self.count, self.counts_at, self.counts);
        for &(fingerprint, tick) in records.iter().take(shape.capacity() - count) {
            let Some((bucket, hi)) = shape.place(fingerprint.hi - base) else {
                break;
            };
            let (pair, nibble) = (NIBBLES_AT + bucket as usize / 2, bucket % 2 * 4);
            let before = if pair == counts_at { counts } else { 0 };
            if before >> nibble & 15 == BUCKET_MAX {
                break;
            }
            (counts_at, counts) = (pair, before + (1 << nibble));
            page[pair] = counts;
            let (at, shift) = shape.position(count);
            let packed = Packed { hi, lo: fingerprint.lo, tick };
            packed.put((&mut page[at..at + 16]).try_into().expect("16 bytes"), shift);
            count += 1;
        }
        let added = count - self.count;
        (self.count, self.counts_at, self.counts) = (count, counts_at, counts);
        added
    }

    /// The finished page, to stand at `offset`.
    pub(crate) fn seal(&mut self, salt: Salt, offset: u64) -> &Page {
        put_u64(&mut self.page[..], 0, self.base_hi);
        self.page[COUNT_AT..COUNT_AT + 2].copy_from_slice(&(self.count as u16).to_le_bytes());
        seal(&mut self.page, salt, offset);
        &self.page
    }

    /// Starts the next page.
    pub(crate) fn clear(&mut self) {
        self.page.fill(0);
        (self.count, self.counts_at, self.counts) = (0, 0, 0);
    }
}

/// Where in a page a fingerprint stands, if anywhere: among the records of its bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    first: u32,
    count: u32,
    /// The top half of its distance from the start of the bucket.
    hi: u64,
}

impl Spot {
    /// Of a fingerprint that is not in the page.
    pub(crate) const NOWHERE: Spot = Spot { first: 0, count: 0, hi: 0 };
}

/// A data page whose checksum and counts are known to be right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageView<'a> {
    page: &'a Page,
    shape: Shape,
}

impl<'a> PageView<'a> {
    /// Checks everything that reading the page relies on.
    pub(crate) fn check(
        page: &'a Page,
        shape: Shape,
        salt: Salt,
        offset: u64,
    ) -> Result<PageView<'a>, Flaw> {
        check(page, salt, offset, "run page")?;
        let view = PageView { page, shape };
        let count = view.count();
        let counted = byte_sum((0..4).map(|i| nibble_pairs(view.nibbles(i))).sum());
        if count == 0 || count > shape.capacity() || count != counted {
            let expected = format!("1 to {}, the {counted} of its buckets", shape.capacity());
            return Err(Flaw::new(
                offset + COUNT_AT as u64,
                "count of a run page",
                expected,
                count,
            ));
        }
        Ok(view)
    }

    /// A page that [`PageView::check`] accepted before.
    pub(crate) fn trusted(page: &'a Page, shape: Shape) -> PageView<'a> {
        PageView { page, shape }
    }

    pub(crate) fn base_hi(self) -> u64 {
        u64_at(self.page, 0)
    }

    pub(crate) fn count(self) -> usize {
        usize::from(u16::from_le_bytes([self.page[COUNT_AT], self.page[COUNT_AT + 1]]))
    }

    /// The tick of `fingerprint`, if it is in this page.
    #[inline]
    pub(crate) fn find(self, fingerprint: Fingerprint) -> Option<u8> {
        self.find_at(self.spot(fingerprint), fingerprint.lo)
    }

    /// Where in this page `fingerprint` stands, if anywhere. Reads the first cache line only. Always inlined, as
    /// what follows: why, is told where many are looked up.
    #[inline(always)]
    pub(crate) fn spot(self, fingerprint: Fingerprint) -> Spot {
        let Some(delta) = fingerprint.hi.checked_sub(self.base_hi()) else { return Spot::NOWHERE };
        let Some((bucket, hi)) = self.shape.place(delta) else { return Spot::NOWHERE };
        let (word, shift) = (bucket / 16, bucket % 16 * 4);
        // All four words, masked: how many there are before is what no processor foretells.
        let pairs = (0..4).map(|i| {
            let whole = u64::from(i < word).wrapping_neg();
            let part = u64::from(i == word).wrapping_neg() & ((1 << shift) - 1);
            nibble_pairs(self.nibbles(i as usize) & (whole | part))
        });
        let first = byte_sum(pairs.sum()) as u32;
        Spot { first, count: u32::from(self.in_bucket(bucket)), hi }
    }

    /// The bytes of the page that [`PageView::find_at`] will read, from the first to the last.
    #[inline(always)]
    pub(crate) fn bytes_of(self, spot: Spot) -> (usize, usize) {
        let (first, count) = (spot.first as usize, spot.count as usize);
        let [begin, end] = [first, first + count].map(|index| self.shape.position(index).0);
        (begin, end.min(PAGE - 1))
    }

    /// The tick of the fingerprint whose spot in this page, and whose lower half, these are, if it is there.
    #[inline(always)]
    pub(crate) fn find_at(self, spot: Spot, lo: u64) -> Option<u8> {
        let (first, count) = (spot.first as usize, spot.count as usize);
        (first..first + count)
            .map(|index| self.record(index))
            .find(|record| (record.hi, record.lo) == (spot.hi, lo))
            .map(|record| record.tick)
    }

    /// The first record's fingerprint.
    pub(crate) fn first(self) -> Fingerprint {
        let bucket = (0..BUCKETS).find(|&bucket| self.in_bucket(bucket) > 0).unwrap_or_default();
        self.fingerprint(bucket, self.record(0))
    }

    /// Appends the records to `out`, in strictly ascending order. If they are not, what it appended is of no use.
    pub(crate) fn decode(self, offset: u64, out: &mut Vec<Record>) -> Result<(), Flaw> {
        let begin = out.len();
        let (width, buckets) = (self.shape.bucket_start(1), self.buckets());
        let (mut index, mut beyond) = (0, false);
        // There is no branch on a record, nor on how many its bucket has: both are what no processor foretells.
        out.extend(buckets[..self.count()].iter().map(|&bucket| {
            let record = self.record(index);
            index += 1;
            beyond |= record.hi >= width;
            (self.fingerprint(u32::from(bucket), record), record.tick)
        }));
        let found = &out[begin..];
        match !beyond && found.is_sorted_by(|a, b| a.0.as_u128() < b.0.as_u128()) {
            true => Ok(()),
            false => Err(self.disorder(offset, found)),
        }
    }

    /// Of the records that were found, the first that is beyond its bucket or not above the one before it.
    #[cold]
    fn disorder(self, offset: u64, found: &[Record]) -> Flaw {
        let width = self.shape.bucket_start(1);
        let ids = || found.iter().map(|&(id, _)| id);
        let befores = std::iter::once(None).chain(ids().map(Some));
        let mut ids = befores.zip(ids()).enumerate();
        let wrong = ids.find(|&(index, (before, id))| {
            self.record(index).hi >= width || before.is_some_and(|before| before >= id)
        });
        let (before, id) = wrong.map(|(_, wrong)| wrong).unwrap_or_default();
        Flaw::new(offset, "order of a run page", format!("above {before:?}"), id)
    }

    /// The bucket of each record.
    fn buckets(self) -> [u8; CAPACITY_MAX + SPILL] {
        let (mut buckets, mut first) = ([0; CAPACITY_MAX + SPILL], 0);
        for bucket in 0..BUCKETS {
            // What is beyond its records is written over by the buckets that follow.
            buckets[first..first + SPILL].fill(bucket as u8);
            first += usize::from(self.in_bucket(bucket));
        }
        buckets
    }

    #[inline]
    fn fingerprint(self, bucket: u32, record: Packed) -> Fingerprint {
        let start = self.base_hi().wrapping_add(self.shape.bucket_start(bucket));
        Fingerprint { hi: start.wrapping_add(record.hi), lo: record.lo }
    }

    fn in_bucket(self, bucket: u32) -> u8 {
        self.page[NIBBLES_AT + bucket as usize / 2] >> (bucket % 2 * 4) & 15
    }

    /// The counts of 16 buckets.
    fn nibbles(self, index: usize) -> u64 {
        u64_at(self.page, NIBBLES_AT + index * 8)
    }

    /// A record. The load may touch the checksum, never go beyond.
    #[inline]
    fn record(self, index: usize) -> Packed {
        let (at, shift) = self.shape.position(index);
        let bytes = self.page[at..at + 16].try_into().expect("16 bytes");
        Packed::read(bytes, shift, self.shape)
    }
}

/// A record as it is packed: its distance from the start of its bucket, in halves, and its tick.
#[derive(Debug, Clone, Copy)]
struct Packed {
    hi: u64,
    lo: u64,
    tick: u8,
}

/// Each half is shifted by itself: as one number of 128 bits they would be shifted slowly.
impl Packed {
    /// The record that begins at bit `shift` of `bytes`.
    #[inline]
    fn read(bytes: &[u8; 16], shift: u32, shape: Shape) -> Packed {
        let (low, high) = (u64_at(bytes, 0), u64_at(bytes, 8));
        Packed {
            hi: high >> (8 + shift) & shape.remainder_hi_max(),
            lo: low >> (8 + shift) | high << (56 - shift),
            tick: (low >> shift) as u8,
        }
    }

    /// Writes it from bit `shift` of `bytes` on. The bits before belong to another record, those behind to none.
    #[inline]
    fn put(self, bytes: &mut [u8; 16], shift: u32) {
        let begun = u64::from(bytes[0]);
        put_u64(bytes, 0, begun | u64::from(self.tick) << shift | self.lo << (8 + shift));
        put_u64(bytes, 8, self.lo >> (56 - shift) | self.hi << (8 + shift));
    }
}

/// The sums of the nibbles of each byte.
#[inline]
fn nibble_pairs(word: u64) -> u64 {
    (word & 0x0f0f_0f0f_0f0f_0f0f) + (word >> 4 & 0x0f0f_0f0f_0f0f_0f0f)
}

/// The sum of the bytes of a word.
#[inline]
fn byte_sum(bytes: u64) -> usize {
    let pairs = (bytes & 0x00ff_00ff_00ff_00ff) + (bytes >> 8 & 0x00ff_00ff_00ff_00ff);
    (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize
}
