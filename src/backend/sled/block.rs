//! Records of a run, packed: up to 120 of them under one key.
//!
//! First the fingerprint with which the next block begins: whoever looks for one that is not below it
//! should have found that block, so a block that is gone is noticed. Then the fingerprints, each 16
//! bytes and big-endian, so that they are ordered as bytes; then a tick of a byte each.

use crate::format::run::Flaw;
use crate::key::Fingerprint;
use crate::run::Record;

/// Records of a block: 2 KiB. More would be fewer keys and longer pages of sled to read for a lookup.
pub(super) const RECORDS: usize = 120;

const RECORD: usize = Fingerprint::BYTES + 1;

/// What stands for the block behind the last one.
pub(super) const END: Fingerprint = Fingerprint { hi: u64::MAX, lo: u64::MAX };

/// The content of a block, without its checksum; the one behind it begins with `next`.
pub(super) fn encode(records: &[Record], next: Fingerprint) -> Vec<u8> {
    let len = Fingerprint::BYTES + records.len() * RECORD + super::piece::SUM;
    let mut bytes = Vec::with_capacity(len);
    bytes.extend(next.as_u128().to_be_bytes());
    records.iter().for_each(|(id, _)| bytes.extend(id.as_u128().to_be_bytes()));
    bytes.extend(records.iter().map(|&(_, tick)| tick));
    bytes
}

/// The records of a block whose checksum is right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    /// With which fingerprint the next block begins; [`END`] if there is none.
    pub(super) next: Fingerprint,
    ids: &'a [[u8; 16]],
    ticks: &'a [u8],
}

impl<'a> Block<'a> {
    /// The block that begins with `first`.
    pub(super) fn of(content: &'a [u8], first: Fingerprint) -> Result<Block<'a>, Flaw> {
        let refuse = || {
            let found = format!("{} bytes that begin otherwise", content.len());
            Flaw::new(0, "block of records", format!("records from {first} on"), found)
        };
        let (next, rest) = content.split_first_chunk().ok_or_else(refuse)?;
        let count = rest.len() / RECORD;
        let (ids, ticks) = rest.split_at(count * Fingerprint::BYTES);
        let (ids, _) = ids.as_chunks();
        match ids.first() {
            Some(id) if ticks.len() == count && read(id) == first => {
                Ok(Block { next: read(next), ids, ticks })
            }
            _ => Err(refuse()),
        }
    }

    /// The tick of a fingerprint, if it has a record: no other block before the next one could have it.
    pub(super) fn find(&self, id: Fingerprint) -> Result<Option<u8>, Flaw> {
        check_next(id, self.next, "block of records")?;
        let at = self.ids.binary_search(&id.as_u128().to_be_bytes()).ok();
        Ok(at.map(|at| self.ticks[at]))
    }

    /// The records, in order.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> + 'a {
        self.ids.iter().map(read).zip(self.ticks.iter().copied())
    }

    /// Checks that the records ascend, and from above `last` on.
    pub(super) fn check_order(&self, last: Option<Fingerprint>) -> Result<(), Flaw> {
        let mut last = last;
        for (id, _) in self.records() {
            if last.is_some_and(|last| id <= last) {
                let expected = format!("a record above {}", last.expect("it was just compared"));
                return Err(Flaw::new(0, "order of records", expected, id));
            }
            last = Some(id);
        }
        Ok(())
    }
}

/// Checks that `id` is looked for before `next`, where it would stand otherwise.
pub(super) fn check_next(
    id: Fingerprint,
    next: Fingerprint,
    what: &'static str,
) -> Result<(), Flaw> {
    match next != END && id >= next {
        true => Err(Flaw::new(0, what, format!("one that begins with {next}"), "none")),
        false => Ok(()),
    }
}

fn read(id: &[u8; 16]) -> Fingerprint {
    Fingerprint::from_u128(u128::from_be_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        (0..RECORDS as u128).map(|n| (Fingerprint::from_u128(n << 90 | 5), n as u8)).collect()
    }

    #[test]
    fn records_are_found_and_listed() {
        let records = records();
        let next = Fingerprint::from_u128(1 << 120);
        let bytes = encode(&records, next);
        assert!(bytes.len() + super::super::piece::SUM <= super::super::piece::MAX);
        let block = Block::of(&bytes, records[0].0).unwrap();
        assert!(block.records().eq(records.iter().copied()));
        for &(id, tick) in &records {
            assert_eq!(block.find(id).unwrap(), Some(tick));
            assert_eq!(block.find(Fingerprint { lo: id.lo + 1, ..id }).unwrap(), None);
        }
        assert!(block.find(next).is_err());
        let last = encode(&records, END);
        assert_eq!(Block::of(&last, records[0].0).unwrap().find(END).unwrap(), None);
        block.check_order(None).unwrap();
        assert!(block.check_order(Some(records[0].0)).is_err());
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let records = records();
        let bytes = encode(&records, END);
        assert!(Block::of(&bytes[1..], records[0].0).is_err());
        assert!(Block::of(&bytes, records[1].0).is_err());
        assert!(Block::of(&[], records[0].0).is_err());
    }
}
