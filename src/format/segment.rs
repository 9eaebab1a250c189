//! The header of a log segment. Frames follow it, back to back.

use std::path::Path;

use super::checksum::Salt;
use super::{StoreId, VERSION, put_u32, put_u64, u32_at, u64_at};
use crate::error::{Corruption, Error, Result};
use crate::time::{Ticks, Timestamp};

/// First bytes of a segment.
pub(crate) const MAGIC: &[u8; 8] = b"FSLOG\0\0\0";
/// Length of the header; the first frame starts here.
pub(crate) const BYTES: usize = 128;

const SUM_AT: usize = BYTES - 8;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The store that it belongs to.
    pub(crate) store: StoreId,
    /// Its number. Segments follow each other without a gap.
    pub(crate) number: u64,
    /// The generation that its ids belong to.
    pub(crate) generation: u64,
    /// The ticks of that generation.
    pub(crate) ticks: Ticks,
    /// The segment before.
    pub(crate) previous: Previous,
}

/// Whether these bytes are the front of the header of segment `number`, whole or cut short, and zeros: as its
/// write leaves them, and not changed since.
pub(crate) fn is_front(bytes: &[u8; BYTES], store: &StoreId, number: u64) -> bool {
    let (before, stored) = bytes.split_at(SUM_AT);
    let sum = Salt::new(store, MAGIC, number).sum(0, before).to_le_bytes();
    let same = stored.iter().zip(sum).take_while(|&(&stored, sum)| stored == sum).count();
    // Of a front that ends before the checksum nothing can be told.
    stored[same..].iter().all(|&byte| byte == 0)
}

/// What a segment says of the one before; nothing if there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Previous {
    /// Length of its content in bytes.
    pub(crate) len: u64,
    /// How many of them were durable when the header was put in place.
    pub(crate) durable: u64,
}

impl SegmentHeader {
    /// The salt of this segment's frames.
    pub(crate) fn salt(&self) -> Salt {
        Salt::new(&self.store, MAGIC, self.number)
    }

    /// The bytes of the header.
    pub(crate) fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        put_u32(&mut bytes, 8, VERSION);
        bytes[16..32].copy_from_slice(&self.store);
        put_u64(&mut bytes, 32, self.number);
        put_u64(&mut bytes, 40, self.generation);
        put_u64(&mut bytes, 48, self.ticks.base.as_micros());
        put_u64(&mut bytes, 56, self.ticks.micros);
        put_u64(&mut bytes, 64, self.previous.len);
        put_u64(&mut bytes, 72, self.previous.durable);
        let sum = self.salt().sum(0, &bytes[..SUM_AT]);
        put_u64(&mut bytes, SUM_AT, sum);
        bytes
    }

    /// Reads the header of segment `number` of `store`. `None` if the segment was created and never
    /// written: its header is zeros or cut short.
    pub(crate) fn decode(
        bytes: &[u8],
        store: &StoreId,
        number: u64,
        path: &Path,
    ) -> Result<Option<SegmentHeader>> {
        if bytes.len() < BYTES || bytes[..BYTES].iter().all(|&b| b == 0) {
            return Ok(None);
        }
        let corrupt = |offset: usize, expected: String, found: String| {
            let (path, offset) = (path.to_path_buf(), offset as u64);
            Error::from(Corruption { path, offset, what: "log segment header", expected, found })
        };
        let bytes = &bytes[..BYTES];
        let sum = Salt::new(store, MAGIC, number).sum(0, &bytes[..SUM_AT]);
        let stored = u64_at(bytes, SUM_AT);
        let version = u32_at(bytes, 8);
        if &bytes[..8] == MAGIC && version > VERSION {
            let path = path.to_path_buf();
            return Err(Error::Version { path, found: version, supported: VERSION });
        }
        if sum != stored {
            let found = format!("{stored:016x}");
            return Err(corrupt(SUM_AT, format!("checksum {sum:016x}"), found));
        }
        let ticks =
            Ticks { base: Timestamp::from_micros(u64_at(bytes, 48)), micros: u64_at(bytes, 56) };
        if ticks.micros == 0 {
            return Err(corrupt(56, "a tick of at least 1 us".into(), "0 us".into()));
        }
        Ok(Some(SegmentHeader {
            store: *store,
            number,
            generation: u64_at(bytes, 40),
            ticks,
            previous: Previous { len: u64_at(bytes, 64), durable: u64_at(bytes, 72) },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentHeader {
        let ticks = Ticks { base: Timestamp::from_secs(7), micros: 13 };
        let previous = Previous { len: 999, durable: 333 };
        SegmentHeader { store: [5; 16], number: 4, generation: 2, ticks, previous }
    }

    #[test]
    fn round_trips_and_belongs_to_one_place() {
        let (bytes, path) = (sample().encode(), Path::new("4.log"));
        assert_eq!(SegmentHeader::decode(&bytes, &[5; 16], 4, path).unwrap(), Some(sample()));
        assert!(SegmentHeader::decode(&bytes, &[5; 16], 5, path).is_err());
        assert!(SegmentHeader::decode(&bytes, &[6; 16], 4, path).is_err());
        assert_eq!(SegmentHeader::decode(&[0; BYTES], &[5; 16], 4, path).unwrap(), None);
    }

    #[test]
    fn every_front_of_a_header_is_one_and_a_changed_header_is_not() {
        let whole = sample().encode();
        for len in 0..=BYTES {
            let mut front = [0; BYTES];
            front[..len].copy_from_slice(&whole[..len]);
            assert!(is_front(&front, &[5; 16], 4), "{len} bytes");
        }
        for bit in 0..BYTES * 8 {
            let mut changed = whole;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_front(&changed, &[5; 16], 4), "bit {bit}");
        }
    }
}
