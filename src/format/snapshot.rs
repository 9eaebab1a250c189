//! The state file: the whole application state at one point of the log. Written once, never changed.
//!
//! Progress and entries are [items](Item) of a commit, prepared transactions keep the payload of
//! their frame. All lists ascend, so one state has one encoding.

use std::path::Path;

use super::checksum::Salt;
use super::commit::{Flaw, ITEM_HEADER, Item, Prepare, push_item};
use super::{StoreId, VERSION, u32_at, u64_at};
use crate::error::{Corruption, Error, Result};
use crate::time::Timestamp;

/// First bytes of the file.
pub(crate) const MAGIC: &[u8; 8] = b"FSSTATE\0";

const WHAT: &str = "state file";

const HEADER: usize = 64;
/// Bytes before the payload of a prepared transaction.
const PREPARED: usize = 16;

/// The content of a state file.
#[derive(Debug, Default)]
pub(crate) struct Snapshot<'a> {
    /// The next position to read of each source, ascending by name.
    pub(crate) sources: Vec<(&'a str, u64)>,
    /// Keys and values, ascending by key.
    pub(crate) entries: Vec<(&'a [u8], &'a [u8])>,
    /// Prepared transactions that are not settled, ascending by token.
    pub(crate) prepared: Vec<PreparedEntry<'a>>,
}

/// A prepared transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreparedEntry<'a> {
    /// The store time of its frame.
    pub(crate) time: Timestamp,
    /// The payload of its frame.
    pub(crate) prepare: Prepare<'a>,
}

impl<'a> Snapshot<'a> {
    /// The bytes of state file `number`.
    pub(crate) fn encode(&self, store: &StoreId, number: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend(u64::from(VERSION).to_le_bytes());
        bytes.extend_from_slice(store);
        let counts = [self.sources.len(), self.entries.len(), self.prepared.len()];
        let counts = counts.map(|n| u64::try_from(n).expect("counts fit"));
        [number].iter().chain(&counts).for_each(|word| bytes.extend(word.to_le_bytes()));
        for &(source, next) in &self.sources {
            push_item(&mut bytes, &Item::Progress { source, next });
        }
        for &(key, value) in &self.entries {
            push_item(&mut bytes, &Item::Put { key, value });
        }
        for PreparedEntry { time, prepare } in &self.prepared {
            let payload = prepare.commit().payload();
            let words = [time.as_micros(), payload.len() as u64];
            words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
            bytes.extend_from_slice(payload);
        }
        let sum = Salt::new(store, MAGIC, number).sum(0, &bytes);
        bytes.extend(sum.to_le_bytes());
        debug_assert_eq!(bytes.len(), self.encoded_len());
        bytes
    }

    fn encoded_len(&self) -> usize {
        let progress = self.sources.iter().map(|(source, _)| ITEM_HEADER + source.len() + 8);
        let entries = self.entries.iter().map(|(key, value)| ITEM_HEADER + key.len() + value.len());
        let prepared = self.prepared.iter().map(|p| PREPARED + p.prepare.commit().payload().len());
        HEADER + progress.chain(entries).chain(prepared).sum::<usize>() + 8
    }

    /// Reads the bytes of state file `number`, which is at `path`.
    pub(crate) fn decode(
        bytes: &'a [u8],
        store: &StoreId,
        number: u64,
        path: &Path,
    ) -> Result<Snapshot<'a>> {
        let corrupt = |offset: usize, expected: &str, found: String| {
            let (path, offset) = (path.to_path_buf(), offset as u64);
            let expected = expected.to_owned();
            Error::from(Corruption { path, offset, what: WHAT, expected, found })
        };
        if bytes.len() < HEADER + 8 || &bytes[..8] != MAGIC {
            let found = format!("{} bytes", bytes.len());
            return Err(corrupt(0, "a state file's first bytes", found));
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            let path = path.to_path_buf();
            return Err(Error::Version { path, found: version, supported: VERSION });
        }
        let end = bytes.len() - 8;
        let sum = Salt::new(store, MAGIC, number).sum(0, &bytes[..end]);
        let stored = u64_at(bytes, end);
        if sum != stored {
            let found = format!("{stored:016x}");
            return Err(corrupt(end, &format!("checksum {sum:016x}"), found));
        }
        if u32_at(bytes, 12) != 0 || bytes[16..32] != store[..] || u64_at(bytes, 32) != number {
            let found = format!("number {}", u64_at(bytes, 32));
            return Err(corrupt(12, &format!("this store, number {number}"), found));
        }
        decode_lists(&bytes[..end]).map_err(|flaw| flaw.corruption(path, 0, WHAT).into())
    }
}

/// Reads a state file whose checksum is right; `bytes` ends before it.
fn decode_lists(bytes: &[u8]) -> Result<Snapshot<'_>, Flaw> {
    let [sources, entries, prepared] = [40, 48, 56].map(|at| u64_at(bytes, at));
    let flaw = |at: usize, expected: &'static str, found: String| Err(Flaw { at, expected, found });
    let (mut snapshot, mut at) = (Snapshot::default(), HEADER);
    for _ in 0..sources {
        let item = Item::decode(bytes, at, 0)?;
        match item {
            Item::Progress { source, next }
                if snapshot.sources.last().is_none_or(|&(last, _)| last < source) =>
            {
                snapshot.sources.push((source, next));
            }
            _ => return flaw(at, "the progress of sources, ascending", kind_of(&item)),
        }
        at += item.encoded_len();
    }
    for _ in 0..entries {
        let item = Item::decode(bytes, at, 0)?;
        match item {
            Item::Put { key, value }
                if snapshot.entries.last().is_none_or(|&(last, _)| last < key) =>
            {
                snapshot.entries.push((key, value));
            }
            _ => return flaw(at, "keys of the state, ascending", kind_of(&item)),
        }
        at += item.encoded_len();
    }
    for _ in 0..prepared {
        let rest = bytes.len() - at;
        if rest < PREPARED {
            return flaw(at, "a prepared transaction", format!("{rest} bytes"));
        }
        let (time, len) = (u64_at(bytes, at), u64_at(bytes, at + 8));
        let start = at + PREPARED;
        let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len));
        let Some(payload) = end.and_then(|end| bytes.get(start..end)) else {
            return flaw(at + 16, "a length that fits the file", format!("{len}"));
        };
        let prepare = Prepare::decode(payload).map_err(|f| Flaw { at: start + f.at, ..f })?;
        if snapshot.prepared.last().is_some_and(|last| last.prepare.token() >= prepare.token()) {
            return flaw(at, "tokens, ascending", "one that is lower".into());
        }
        let time = Timestamp::from_micros(time);
        snapshot.prepared.push(PreparedEntry { time, prepare });
        at = start + payload.len();
    }
    if at != bytes.len() {
        return flaw(at, "counts that fill the file", format!("{} bytes more", bytes.len() - at));
    }
    Ok(snapshot)
}

fn kind_of(item: &Item<'_>) -> String {
    let kind = match item {
        Item::Progress { .. } => "a progress",
        Item::Put { .. } => "an entry",
        _ => "another kind of item",
    };
    format!("{kind} in this place")
}

#[cfg(test)]
mod tests {
    use super::super::commit::push_ids;
    use super::*;
    use crate::key::Fingerprint;

    const STORE: StoreId = [4; 16];

    fn prepared(token: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        push_ids(&mut payload, [Fingerprint::from_u128(9)].into_iter());
        push_item(&mut payload, &Item::Token(token));
        push_item(&mut payload, &Item::Put { key: b"held", value: b"1" });
        payload
    }

    fn sample(payloads: &[Vec<u8>]) -> Snapshot<'_> {
        let entry = |payload| PreparedEntry {
            time: Timestamp::from_secs(3),
            prepare: Prepare::decode(payload).unwrap(),
        };
        Snapshot {
            sources: vec![("orders/0", 5), ("orders/1", 0)],
            entries: vec![(b"", b"empty"), (b"total", b"")],
            prepared: payloads.iter().map(|payload| entry(payload)).collect(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Snapshot<'_>> {
        Snapshot::decode(bytes, &STORE, 7, Path::new("7.state"))
    }

    #[test]
    fn round_trips() {
        let payloads = [prepared(b"a"), prepared(b"b")];
        let sample = sample(&payloads);
        let bytes = sample.encode(&STORE, 7);
        let back = decode(&bytes).unwrap();
        assert_eq!((&back.sources, &back.entries), (&sample.sources, &sample.entries));
        let (a, b) = (&back.prepared[0], &back.prepared[1]);
        assert_eq!((a.prepare.token(), b.prepare.token()), (&b"a"[..], &b"b"[..]));
        assert_eq!(a.time, Timestamp::from_secs(3));
        assert_eq!(b.prepare.commit().payload(), payloads[1]);
        let empty = Snapshot::default().encode(&STORE, 7);
        assert!(decode(&empty).unwrap().entries.is_empty());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let payloads = [prepared(b"a")];
        let bytes = sample(&payloads).encode(&STORE, 7);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        let path = Path::new("8.state");
        assert!(Snapshot::decode(&bytes, &STORE, 8, path).is_err(), "another number");
        assert!(Snapshot::decode(&bytes, &[5; 16], 7, path).is_err(), "another store");
    }

    #[test]
    fn of_a_forged_file_what_decodes_has_one_meaning() {
        let payloads = [prepared(b"a"), prepared(b"b")];
        let bytes = sample(&payloads).encode(&STORE, 7);
        let end = bytes.len() - 8;
        for bit in 0..end * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let sum = Salt::new(&STORE, MAGIC, 7).sum(0, &forged[..end]);
            forged[end..].copy_from_slice(&sum.to_le_bytes());
            match decode(&forged) {
                Ok(read) => assert_eq!(read.encode(&STORE, 7), forged, "bit {bit}"),
                Err(error) => assert!(error.to_string().contains("7.state"), "{error}"),
            }
        }
    }

    #[test]
    fn lists_ascend() {
        let payloads = [prepared(b"b"), prepared(b"a")];
        for wrong in [
            Snapshot { sources: vec![("b", 0), ("a", 0)], ..Snapshot::default() },
            Snapshot { entries: vec![(b"a", b""), (b"a", b"")], ..Snapshot::default() },
            Snapshot { prepared: sample(&payloads).prepared, ..Snapshot::default() },
        ] {
            let error = decode(&wrong.encode(&STORE, 7)).unwrap_err().to_string();
            assert!(error.contains("ascending"), "{error}");
        }
    }
}
