//! What is kept with an id beside the fact that it was seen, and the bytes of a values file.
//!
//! | part | what | module |
//! |---|---|---|
//! | 0 to 64 | header | [`file`] |
//! | then | blocks: whole entries, ascending, and a checksum | here |
//! | then | directory: where each block begins, and with which fingerprint | [`file`] |
//! | last 40 | footer | [`file`] |
//!
//! Every byte is under a checksum that is seeded with store, number and offset, as in a run. An
//! entry never crosses a block, so one read and one checksum answer a lookup.

use std::sync::Arc;

use super::checksum::Salt;
use super::run::Flaw;
use super::{u32_at, u64_at};
use crate::key::Fingerprint;
use crate::time::Timestamp;

pub(crate) mod file;

/// The first eight bytes of a values file.
pub(crate) const MAGIC: [u8; 8] = *b"FSVALUE\0";

/// The longest outcome, in bytes.
pub(crate) const OUTCOME_MAX: usize = 1 << 20;

/// Bytes of a block up to which entries are gathered. A longer entry has a block of its own.
pub(crate) const BLOCK: usize = 16 << 10;
/// The longest block: the longest entry and a checksum.
pub(crate) const BLOCK_MAX: usize = ENTRY_HEAD + Fingerprint::BYTES + OUTCOME_MAX + SUM;
/// The shortest block: an entry of an id that has nothing, and a checksum.
pub(crate) const BLOCK_MIN: usize = ENTRY_HEAD + SUM;
/// The shortest entry.
pub(crate) const ENTRY_HEAD: usize = 29;

/// Bytes of a checksum.
pub(crate) const SUM: usize = 8;

/// The flags of an entry: what follows its head.
const HAS_PAYLOAD: u8 = 1;
const HAS_OUTCOME: u8 = 2;

/// What is kept with an id beside the fact that it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    /// Store time of the commit.
    pub(crate) time: Timestamp,
    /// The fingerprint of the payload that the id came with.
    pub(crate) payload: Option<Fingerprint>,
    /// What the caller stored with the id, at most [`OUTCOME_MAX`] bytes.
    pub(crate) outcome: Option<Arc<[u8]>>,
}

impl Value {
    /// Bytes of the entry.
    pub(crate) fn entry_len(&self) -> usize {
        let payload = self.payload.map_or(0, |_| Fingerprint::BYTES);
        ENTRY_HEAD + payload + self.outcome.as_ref().map_or(0, |outcome| outcome.len())
    }

    /// Appends the entry of `id` to `out`.
    ///
    /// # Panics
    ///
    /// If the outcome is longer than [`OUTCOME_MAX`].
    pub(crate) fn encode(&self, id: Fingerprint, out: &mut Vec<u8>) {
        let outcome = self.outcome.as_deref().unwrap_or_default();
        assert!(outcome.len() <= OUTCOME_MAX, "an outcome of {} bytes", outcome.len());
        let payload = self.payload.map_or(0, |_| HAS_PAYLOAD);
        let flags = payload | self.outcome.as_ref().map_or(0, |_| HAS_OUTCOME);
        out.extend(id.as_u128().to_le_bytes());
        out.extend(self.time.as_micros().to_le_bytes());
        out.extend((outcome.len() as u32).to_le_bytes());
        out.push(flags);
        if let Some(payload) = self.payload {
            out.extend(payload.as_u128().to_le_bytes());
        }
        out.extend_from_slice(outcome);
    }
}

/// An entry as it stands in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) id: Fingerprint,
    pub(crate) time: Timestamp,
    pub(crate) payload: Option<Fingerprint>,
    pub(crate) outcome: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    /// The first entry of `bytes` and what is behind it; `None` if there is no whole one that makes
    /// sense.
    pub(crate) fn split(bytes: &'a [u8]) -> Option<(Entry<'a>, &'a [u8])> {
        let (head, rest) = bytes.split_at_checked(ENTRY_HEAD)?;
        let (len, flags) = (u32_at(head, 24) as usize, head[28]);
        let (payload, rest) = match flags & HAS_PAYLOAD {
            0 => (None, rest),
            _ => {
                let (payload, rest) = rest.split_at_checked(Fingerprint::BYTES)?;
                (Some(fingerprint_at(payload, 0)), rest)
            }
        };
        let (outcome, rest) = rest.split_at_checked(len)?;
        let has_outcome = flags & HAS_OUTCOME != 0;
        let known = flags & !(HAS_PAYLOAD | HAS_OUTCOME) == 0;
        if !known || len > OUTCOME_MAX || (!has_outcome && len > 0) {
            return None;
        }
        let entry = Entry {
            id: fingerprint_at(head, 0),
            time: Timestamp::from_micros(u64_at(head, 16)),
            payload,
            outcome: has_outcome.then_some(outcome),
        };
        Some((entry, rest))
    }

    /// The value, apart from the block.
    pub(crate) fn value(&self) -> Value {
        Value { time: self.time, payload: self.payload, outcome: self.outcome.map(Arc::from) }
    }
}

/// Reads a fingerprint at `at`. The caller has checked the length.
pub(crate) fn fingerprint_at(bytes: &[u8], at: usize) -> Fingerprint {
    Fingerprint { lo: u64_at(bytes, at), hi: u64_at(bytes, at + 8) }
}

/// Appends the checksum of a block, or of another part, that will stand at `offset`.
pub(crate) fn seal(bytes: &mut Vec<u8>, from: usize, salt: Salt, offset: u64) {
    let sum = salt.sum(offset, &bytes[from..]);
    bytes.extend(sum.to_le_bytes());
}

/// What is before the checksum that ends `bytes`, which were read from `offset`.
pub(crate) fn check<'a>(
    bytes: &'a [u8],
    salt: Salt,
    offset: u64,
    what: &'static str,
) -> Result<&'a [u8], Flaw> {
    let Some((content, sum)) = bytes.split_last_chunk() else {
        return Err(Flaw::new(offset, what, "a checksum", format!("{} bytes", bytes.len())));
    };
    let (expected, found) = (salt.sum(offset, content), u64::from_le_bytes(*sum));
    match expected == found {
        true => Ok(content),
        false => {
            let expected = format!("checksum {expected:016x}");
            Err(Flaw::new(offset, what, expected, format!("{found:016x}")))
        }
    }
}

/// The entries of a block, strictly ascending. Ends after the first flaw.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
    /// Where the rest stands in the file.
    offset: u64,
    last: Option<Fingerprint>,
}

impl<'a> Entries<'a> {
    /// Checks the checksum of the block that was read from `offset`. Its entries are to lie above
    /// `last`, the one before the block.
    pub(crate) fn check(
        block: &'a [u8],
        salt: Salt,
        offset: u64,
        last: Option<Fingerprint>,
    ) -> Result<Entries<'a>, Flaw> {
        let rest = check(block, salt, offset, "values block")?;
        Ok(Entries { rest, offset, last })
    }

    /// The fingerprint of the next entry.
    pub(crate) fn first(&self) -> Option<Fingerprint> {
        self.rest.get(..Fingerprint::BYTES).map(|id| fingerprint_at(id, 0))
    }

    fn take(&mut self) -> Result<Entry<'a>, Flaw> {
        let (entry, rest) = Entry::split(self.rest).ok_or_else(|| {
            let found = format!("{} bytes that make none", self.rest.len());
            Flaw::new(self.offset, "entry of a values block", "a whole entry", found)
        })?;
        if let Some(last) = self.last.filter(|&last| entry.id <= last) {
            let expected = format!("above {last}");
            return Err(Flaw::new(self.offset, "order of values", expected, entry.id));
        }
        self.offset += (self.rest.len() - rest.len()) as u64;
        (self.rest, self.last) = (rest, Some(entry.id));
        Ok(entry)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Flaw>;

    fn next(&mut self) -> Option<Result<Entry<'a>, Flaw>> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.take().inspect_err(|_| self.rest = &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<(Fingerprint, Value)> {
        let payload = Some(Fingerprint::from_u128(u128::MAX - 9));
        let outcomes =
            [None, Some(Arc::from([])), Some(Arc::from(*b"done")), Some([7; 300].into())];
        let mut id = 1 << 70;
        let pairs = outcomes.into_iter().flat_map(|o| [(None, o.clone()), (payload, o)]);
        pairs
            .map(|(payload, outcome)| {
                id += 1;
                let time = Timestamp::from_micros(id as u64);
                (Fingerprint::from_u128(id), Value { time, payload, outcome })
            })
            .collect()
    }

    fn block(entries: &[(Fingerprint, Value)], salt: Salt, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        entries.iter().for_each(|(id, value)| value.encode(*id, &mut bytes));
        seal(&mut bytes, 0, salt, offset);
        bytes
    }

    fn read(bytes: &[u8], salt: Salt, offset: u64) -> Result<Vec<(Fingerprint, Value)>, Flaw> {
        let entries = Entries::check(bytes, salt, offset, None)?;
        entries.map(|entry| entry.map(|entry| (entry.id, entry.value()))).collect()
    }

    #[test]
    fn entries_round_trip_and_every_flipped_bit_is_noticed() {
        let salt = Salt::new(&[4; 16], &MAGIC, 7);
        let bytes = block(&samples(), salt, 64);
        let lens: usize = samples().iter().map(|(_, value)| value.entry_len()).sum();
        assert_eq!(bytes.len(), lens + SUM);
        assert_eq!(read(&bytes, salt, 64), Ok(samples()));
        assert!(read(&bytes, salt, 65).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&damaged, salt, 64).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len], salt, 64).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn an_entry_that_is_cut_or_of_unknown_kind_makes_none() {
        for (id, value) in samples() {
            let mut bytes = Vec::new();
            value.encode(id, &mut bytes);
            assert!(Entry::split(&bytes).unwrap().1.is_empty());
            for len in 0..bytes.len() {
                assert_eq!(Entry::split(&bytes[..len]), None);
            }
            bytes[28] |= 4;
            assert_eq!(Entry::split(&bytes), None);
        }
        let mut bytes = vec![0; 2 << 20];
        bytes[28] = HAS_OUTCOME;
        bytes[24..28].copy_from_slice(&(OUTCOME_MAX as u32).to_le_bytes());
        assert!(Entry::split(&bytes).is_some());
        bytes[24..28].copy_from_slice(&(OUTCOME_MAX as u32 + 1).to_le_bytes());
        assert_eq!(Entry::split(&bytes), None);
        bytes[24..28].copy_from_slice(&[1, 0, 0, 0]);
        bytes[28] = 0;
        assert_eq!(Entry::split(&bytes), None);
    }

    #[test]
    fn entries_that_do_not_ascend_are_damage() {
        let salt = Salt::new(&[4; 16], &MAGIC, 7);
        let mut entries = samples();
        entries.swap(2, 3);
        let flaw = read(&block(&entries, salt, 64), salt, 64).unwrap_err();
        assert_eq!(flaw.what, "order of values");
        let bytes = block(&samples(), salt, 64);
        let first = samples()[0].0;
        let mut entries = Entries::check(&bytes, salt, 64, Some(first)).unwrap();
        assert!(entries.next().unwrap().is_err());
        assert!(entries.next().is_none());
    }

    #[test]
    #[should_panic(expected = "outcome of")]
    fn an_outcome_that_is_too_long_is_our_own_mistake() {
        let outcome = Some(vec![0; OUTCOME_MAX + 1].into());
        Value { time: Timestamp::MIN, payload: None, outcome }
            .encode(Fingerprint::default(), &mut Vec::new());
    }
}
