//! What is known of a run before its records are read. Written last: a run without it is none.

use crate::format::manifest::RunEntry;
use crate::format::{VERSION, put_u32, put_u64, u32_at, u64_at};
use crate::key::Fingerprint;
use crate::time::{Ticks, Timestamp};

const BYTES: usize = 112;

/// The header of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) number: u64,
    pub(super) generation: u64,
    pub(super) ticks: Ticks,
    pub(super) records: u64,
    /// Ids that something is kept with.
    pub(super) values: u64,
    /// Bytes of keys and values: of records and filter, and of what is kept with ids.
    pub(super) record_bytes: u64,
    pub(super) value_bytes: u64,
    /// Smallest and largest tick; 255 and 0 in an empty run.
    pub(super) tick_range: (u8, u8),
    pub(super) filter_blocks: u64,
    /// The first id with a record, and the first with something kept with it;
    /// [`END`](super::block::END) if there is none.
    pub(super) first: Fingerprint,
    pub(super) first_value: Fingerprint,
}

impl Header {
    /// Its bytes, without the checksum.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; BYTES];
        put_u32(&mut bytes, 0, VERSION);
        (bytes[4], bytes[5]) = self.tick_range;
        for (i, word) in [
            self.number,
            self.generation,
            self.ticks.base.as_micros(),
            self.ticks.micros,
            self.records,
            self.values,
            self.record_bytes,
            self.value_bytes,
            self.filter_blocks,
            self.first.hi,
            self.first.lo,
            self.first_value.hi,
            self.first_value.lo,
        ]
        .into_iter()
        .enumerate()
        {
            put_u64(&mut bytes, 8 + 8 * i, word);
        }
        bytes
    }

    /// The header that these bytes are; the version if that is another; `None` if they are none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Result<Header, u32>> {
        let found = bytes.get(..4).map(|bytes| u32_at(bytes, 0))?;
        if found != VERSION {
            return Some(Err(found));
        }
        let word = |i: usize| u64_at(bytes, 8 + 8 * i);
        let sound = bytes.len() == BYTES && bytes[6..8] == [0; 2] && word(3) > 0 && word(8) > 0;
        sound.then(|| {
            Ok(Header {
                number: word(0),
                generation: word(1),
                ticks: Ticks { base: Timestamp::from_micros(word(2)), micros: word(3) },
                records: word(4),
                values: word(5),
                record_bytes: word(6),
                value_bytes: word(7),
                tick_range: (bytes[4], bytes[5]),
                filter_blocks: word(8),
                first: Fingerprint { hi: word(9), lo: word(10) },
                first_value: Fingerprint { hi: word(11), lo: word(12) },
            })
        })
    }

    /// What the manifest says of the run.
    pub(super) fn entry(&self) -> RunEntry {
        RunEntry {
            number: self.number,
            generation: self.generation,
            records: self.records,
            bytes: self.record_bytes,
            values: self.value_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_round_trips() {
        let header = Header {
            number: 1,
            generation: 2,
            ticks: Ticks { base: Timestamp::from_micros(3), micros: 4 },
            records: 5,
            values: 6,
            record_bytes: 7,
            value_bytes: 8,
            tick_range: (9, 10),
            filter_blocks: 11,
            first: Fingerprint { hi: 12, lo: 13 },
            first_value: Fingerprint { hi: 14, lo: 15 },
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(Ok(header)));
        for len in 0..BYTES {
            assert!(!matches!(Header::decode(&bytes[..len]), Some(Ok(_))));
        }
        assert_eq!(Header::decode(&[2, 0, 0, 0]), Some(Err(2)));
        for at in 6..8 {
            let mut changed = bytes.clone();
            changed[at] = 1;
            assert_eq!(Header::decode(&changed), None, "byte {at} has no meaning yet");
        }
    }
}
