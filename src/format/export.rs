//! The blocks of an export stream. `docs/FORMAT-export.md` describes it.

use std::path::Path;

use super::checksum::Salt;
use super::manifest::ForgottenEntry;
use super::value::{Entry, Value};
use super::{StoreId, put_u32, put_u64, u32_at, u64_at};
use crate::error::{Corruption, Error};
use crate::key::{Fingerprint, Record};
use crate::time::{Ticks, Timestamp};

/// First bytes of a stream.
pub(crate) const MAGIC: &[u8; 8] = b"FSEXPORT";
/// The version of the stream that this build writes, and the only one it reads.
pub(crate) const EXPORT_VERSION: u32 = 1;
/// Length of what is before the first block.
pub(crate) const PREAMBLE: usize = 32;
/// Length of what is before a block's payload.
pub(crate) const BLOCK_HEAD: usize = 16;
/// The longest payload, that of the longest value. Longer ones are damage.
pub(crate) const PAYLOAD_MAX: usize = (1 << 20) + 64;
/// Bytes of a block of values, unless one alone is longer.
pub(crate) const VALUES_MAX: usize = 64 << 10;
/// Records of a block.
pub(crate) const RECORDS_MAX: usize = 4096;
/// Entries of a block of forgotten ids.
pub(crate) const FORGOTTEN_MAX: usize = 4096;

const HEADER: usize = 88;
const GENERATION: usize = 32;
const END: usize = 24;
const FORGOTTEN: usize = 32;
const RECORD: usize = Fingerprint::BYTES + 1;

/// What a stream says of the store as a whole.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StreamHeader {
    pub(crate) identity: u32,
    pub(crate) slices: u32,
    pub(crate) key: [u8; 16],
    pub(crate) created: u64,
    pub(crate) window: u64,
    pub(crate) time_source: u32,
    pub(crate) high_water: Timestamp,
    pub(crate) complete_since: Timestamp,
    pub(crate) next_generation: u64,
    pub(crate) forgotten: u64,
}

/// Without the key.
impl std::fmt::Debug for StreamHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamHeader").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// One unit of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Header(StreamHeader),
    Forgotten(Vec<ForgottenEntry>),
    /// The records that follow are of this one; `expected` is their number or somewhat more.
    Generation {
        number: u64,
        ticks: Ticks,
        expected: u64,
    },
    Records(Vec<Record>),
    /// What is kept with ids of the generation.
    Values(Vec<(Fingerprint, Value)>),
    /// Totals of all that came before.
    End {
        generations: u64,
        records: u64,
        values: u64,
    },
}

/// The salt of all blocks of a stream made from the store named `store`.
pub(crate) fn salt(store: &StoreId) -> Salt {
    Salt::new(store, MAGIC, u64::from(EXPORT_VERSION))
}

/// The bytes before the first block.
pub(crate) fn preamble(store: &StoreId) -> [u8; PREAMBLE] {
    let mut bytes = [0; PREAMBLE];
    bytes[..8].copy_from_slice(MAGIC);
    put_u32(&mut bytes, 8, EXPORT_VERSION);
    bytes[16..].copy_from_slice(store);
    bytes
}

impl Block {
    fn kind(&self) -> u32 {
        match self {
            Block::Header(_) => 1,
            Block::Forgotten(_) => 2,
            Block::Generation { .. } => 3,
            Block::Records(_) => 4,
            Block::End { .. } => 5,
            Block::Values(_) => 6,
        }
    }

    /// The bytes of the block at `offset` of its stream.
    pub(crate) fn encode(&self, salt: Salt, offset: u64) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK_HEAD];
        let mut put = |words: &[u64]| words.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
        match self {
            Block::Header(h) => {
                put(&[u64::from(h.identity) | u64::from(h.slices) << 32]);
                put(&[u64_at(&h.key, 0), u64_at(&h.key, 8), h.created, h.window]);
                put(&[u64::from(h.time_source), h.high_water.as_micros()]);
                put(&[h.complete_since.as_micros(), h.next_generation, h.forgotten, 0]);
            }
            Block::Forgotten(entries) => entries.iter().for_each(|f| {
                let Fingerprint { hi, lo } = f.fingerprint;
                put(&[lo, hi, f.at.as_micros(), f.seen_again.as_micros()]);
            }),
            Block::Generation { number, ticks, expected } => {
                put(&[*number, ticks.base.as_micros(), ticks.micros, *expected]);
            }
            Block::Records(records) => {
                records.iter().for_each(|(id, _)| put(&[id.lo, id.hi]));
                bytes.extend(records.iter().map(|&(_, tick)| tick));
            }
            Block::End { generations, records, values } => {
                put(&[*generations, *records, *values]);
            }
            Block::Values(values) => {
                values.iter().for_each(|(id, value)| value.encode(*id, &mut bytes));
            }
        }
        let len = u32::try_from(bytes.len() - BLOCK_HEAD).expect("payloads are bounded");
        put_u32(&mut bytes, 8, self.kind());
        put_u32(&mut bytes, 12, len);
        let sum = salt.sum(offset, &bytes[8..]);
        put_u64(&mut bytes, 0, sum);
        bytes
    }

    /// Reads the whole block at `offset` of the stream; `None` where its checksum is right and its
    /// content makes no sense, or not.
    pub(crate) fn decode(bytes: &[u8], salt: Salt, offset: u64) -> Option<Block> {
        if bytes.len() < BLOCK_HEAD || u64_at(bytes, 0) != salt.sum(offset, &bytes[8..]) {
            return None;
        }
        let (kind, payload) = (u32_at(bytes, 8), &bytes[BLOCK_HEAD..]);
        let word = |i: usize| u64_at(payload, i * 8);
        let time = |i: usize| Timestamp::from_micros(word(i));
        let whole = |each: usize| payload.len().is_multiple_of(each);
        Some(match (kind, payload.len()) {
            (1, HEADER) => Block::Header(StreamHeader {
                identity: word(0) as u32,
                slices: (word(0) >> 32) as u32,
                key: payload[8..24].try_into().expect("sixteen bytes"),
                created: word(3),
                window: word(4),
                time_source: u32::try_from(word(5)).ok()?,
                high_water: time(6),
                complete_since: time(7),
                next_generation: word(8),
                forgotten: word(9),
            }),
            (2, _) if whole(FORGOTTEN) => {
                Block::Forgotten(payload.chunks_exact(FORGOTTEN).map(forgotten_entry).collect())
            }
            (3, GENERATION) if word(2) > 0 => Block::Generation {
                number: word(0),
                ticks: Ticks { base: time(1), micros: word(2) },
                expected: word(3),
            },
            (4, len) if whole(RECORD) => {
                let (ids, ticks) = payload.split_at(len / RECORD * Fingerprint::BYTES);
                let id = |b: &[u8]| Fingerprint { lo: u64_at(b, 0), hi: u64_at(b, 8) };
                let ids = ids.chunks_exact(Fingerprint::BYTES).map(id);
                Block::Records(ids.zip(ticks.iter().copied()).collect())
            }
            (5, END) => Block::End { generations: word(0), records: word(1), values: word(2) },
            (6, _) => Block::Values(values(payload)?),
            _ => return None,
        })
    }
}

/// The values of a payload of nothing else.
fn values(mut payload: &[u8]) -> Option<Vec<(Fingerprint, Value)>> {
    let mut values = Vec::new();
    while !payload.is_empty() {
        let (entry, rest) = Entry::split(payload)?;
        values.push((entry.id, entry.value()));
        payload = rest;
    }
    Some(values)
}

fn forgotten_entry(bytes: &[u8]) -> ForgottenEntry {
    ForgottenEntry {
        fingerprint: Fingerprint { lo: u64_at(bytes, 0), hi: u64_at(bytes, 8) },
        at: Timestamp::from_micros(u64_at(bytes, 16)),
        seen_again: Timestamp::from_micros(u64_at(bytes, 24)),
    }
}

/// Damage at `offset` of a stream.
pub(crate) fn damage(offset: u64, expected: &str, found: impl ToString) -> Error {
    Error::from(Corruption {
        path: Path::new(STREAM).to_path_buf(),
        offset,
        what: "export stream",
        expected: expected.into(),
        found: found.to_string(),
    })
}

/// What a stream is called in errors.
pub(crate) const STREAM: &str = "(export stream)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_round_trip_and_every_flipped_bit_is_noticed() {
        let id = Fingerprint::from_u128(7 << 70 | 5);
        let ticks = Ticks { base: Timestamp::from_secs(4), micros: 9 };
        let header = StreamHeader {
            identity: 1,
            slices: 8,
            key: [3; 16],
            created: 4,
            window: 5,
            time_source: 1,
            high_water: Timestamp::from_secs(6),
            complete_since: Timestamp::from_secs(7),
            next_generation: 8,
            forgotten: 1,
        };
        let entry =
            ForgottenEntry { fingerprint: id, at: Timestamp::MIN, seen_again: Timestamp::MAX };
        let value = Value { time: entry.at, payload: Some(id), outcome: Some([9; 40].into()) };
        let bare = Value { outcome: None, ..value.clone() };
        let blocks = [
            Block::Header(header),
            Block::Forgotten(vec![entry; 2]),
            Block::Generation { number: 4, ticks, expected: 10 },
            Block::Records(vec![(id, 200), (Fingerprint::from_u128(u128::MAX), 0)]),
            Block::Values(vec![(id, value), (Fingerprint::from_u128(u128::MAX), bare)]),
            Block::End { generations: 1, records: 2, values: 3 },
        ];
        let salt = salt(&[6; 16]);
        for block in blocks {
            let bytes = block.encode(salt, 1234);
            assert_eq!(Block::decode(&bytes, salt, 1234), Some(block));
            assert_eq!(Block::decode(&bytes, salt, 1235), None);
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Block::decode(&damaged, salt, 1234), None, "bit {bit}");
            }
        }
    }
}
