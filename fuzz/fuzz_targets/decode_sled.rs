//! Damaged, forged and invented keys and values of sled through every decoder.
//!
//! Oracle: of a run with damaged values either a typed error or exactly what was written; of a forged
//! one, whose checksums are right, no panic and no memory beyond what is there.
#![no_main]

use arbitrary::Arbitrary;
use firstseen::Error;
use firstseen::testing::decode::sled::{self, PlainValue, Record, Shelf, ShelvedRun};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

#[derive(Debug, Arbitrary)]
enum Input {
    /// Bytes from nowhere, for all decoders of a value.
    Invented(u64, Vec<u8>),
    Block {
        records: Vec<(u32, u8)>,
        next: Option<u32>,
        change: Change,
    },
    Run {
        records: Vec<(u16, u8)>,
        /// Of each id its time, whether there is a payload, and the length of the outcome.
        values: Vec<(u16, u32, bool, Option<u16>)>,
        changes: Vec<(u16, Change)>,
        forge: bool,
    },
}

/// What happens to a value.
#[derive(Debug, Arbitrary)]
enum Change {
    Lose,
    /// The value of another key stands in its place.
    Swap(u16),
    Flip(u16, u8),
    Cut(u16),
    Grow(u8),
    /// A word of eight bytes.
    Put(u8, u64),
}

impl Change {
    /// Changes a value, without its checksum if that is to be made right again. `None`: it is lost.
    fn apply(&self, mut bytes: Vec<u8>, other: &[u8]) -> Option<Vec<u8>> {
        let len = bytes.len().max(1);
        match *self {
            Change::Lose => return None,
            Change::Swap(_) => bytes = other.to_vec(),
            Change::Flip(at, mask) => {
                if let Some(byte) = bytes.get_mut(usize::from(at) % len) {
                    *byte ^= mask;
                }
            }
            Change::Cut(at) => bytes.truncate(usize::from(at)),
            Change::Grow(by) => bytes.resize(bytes.len() + usize::from(by), by),
            Change::Put(at, word) => {
                let at = usize::from(at) * 8;
                if let Some(place) = bytes.get_mut(at..at + 8) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
            }
        }
        Some(bytes)
    }
}

thread_local! {
    static SHELF: (TempDir, Shelf) = {
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let dir = dir.expect("a folder for the database");
        let shelf = Shelf::create(dir.path()).expect("a new database");
        (dir, shelf)
    };
}

fuzz_target!(|input: Input| match input {
    Input::Invented(run, bytes) => invented(run, &bytes),
    Input::Block { mut records, next, change } => {
        records.sort_unstable();
        records.dedup_by_key(|record| record.0);
        let records: Vec<Record> = records.into_iter().map(|(n, t)| (u128::from(n), t)).collect();
        block(&records, next.map_or(u128::MAX, u128::from), &change);
    }
    Input::Run { mut records, mut values, changes, forge } => {
        records.sort_unstable();
        records.dedup_by_key(|record| record.0);
        values.sort_unstable();
        values.dedup_by_key(|value| value.0);
        let records = records.into_iter().map(|(n, tick)| (u128::from(n) << 112 | 5, tick));
        let values = values.into_iter().map(|(n, time, payload, outcome)| {
            let payload = payload.then_some(u128::from(time) << 64);
            let outcome = outcome.map(|len| vec![n as u8; usize::from(len)]);
            (u128::from(n) << 112 | 5, (u64::from(time), payload, outcome))
        });
        let (records, values) = (records.collect(), values.collect());
        SHELF.with(|(_, shelf)| run(shelf, records, values, &changes, forge));
    }
});

/// Whatever is understood has one meaning.
fn invented(run: u64, bytes: &[u8]) {
    for again in sled::read_key(run, bytes) {
        assert_eq!(again, bytes);
    }
    if let Some(again) = sled::read_header(bytes) {
        assert_eq!(again, bytes);
    }
    if let Some(content) = sled::open(b"key", bytes) {
        assert_eq!(sled::seal(b"key", &content), bytes);
    }
    let first = bytes.get(16..32).map(|first| first.try_into().expect("sixteen bytes"));
    let first = first.map_or(0, u128::from_be_bytes);
    if let Some((records, next, _)) = sled::read_block(bytes, first) {
        assert_eq!(sled::write_block(&records, next), bytes);
    }
}

fn block(records: &[Record], next: u128, change: &Change) {
    let whole = sled::write_block(records, next);
    let first = records.first().map_or(0, |record| record.0);
    let read = sled::read_block(&whole, first);
    let expected = (!records.is_empty()).then(|| (records.to_vec(), next, true));
    assert_eq!(read, expected);
    let Some(bytes) = change.apply(whole, &[7; 70]) else { return };
    if let Some((records, next, _)) = sled::read_block(&bytes, first) {
        assert_eq!(sled::write_block(&records, next), bytes);
    }
}

/// An error from bytes is one of the kinds that say so.
fn typed(error: &Error) {
    let typed =
        matches!(error, Error::Corrupt(_) | Error::Version { .. } | Error::WindowIncomplete { .. });
    assert!(typed, "{error:?}");
}

fn run(
    shelf: &Shelf,
    records: Vec<Record>,
    values: Vec<(u128, PlainValue)>,
    changes: &[(u16, Change)],
    forge: bool,
) {
    let whole = shelf.write(&records, &values).expect("a medium without faults");
    let mut pairs = whole.clone();
    for (at, change) in changes {
        if pairs.is_empty() {
            break;
        }
        let at = usize::from(*at) % pairs.len();
        let other = match *change {
            Change::Swap(other) => pairs[usize::from(other) % pairs.len()].1.clone(),
            _ => Vec::new(),
        };
        let (key, value) = pairs.swap_remove(at);
        let content = |value: &[u8]| value[..value.len().saturating_sub(8)].to_vec();
        let changed = match forge {
            true => change.apply(content(&value), &content(&other)).map(|c| sled::seal(&key, &c)),
            false => change.apply(value, &other),
        };
        pairs.extend(changed.map(|value| (key, value)));
    }
    pairs.sort_unstable();
    let bytes: usize = pairs.iter().map(|(_, value)| value.len()).sum();
    let run = match shelf.open(&pairs) {
        Ok(run) => run,
        Err(error) => {
            assert!(pairs != whole);
            return typed(&error);
        }
    };
    assert!(run.memory() <= bytes, "{} bytes of memory for {bytes}", run.memory());
    read(&run, &records, &values, if forge { None } else { Some(pairs == whole) });
}

/// `exact`: what is read is what was written, or an error; nothing is damaged if it is true.
fn read(run: &ShelvedRun, records: &[Record], values: &[(u128, PlainValue)], exact: Option<bool>) {
    let ((read, end), (kept, kept_end)) = (run.records(), run.values());
    let flaws = run.verify().expect("a medium without faults");
    if let Some(whole) = exact {
        assert!(records.starts_with(&read) && (end.is_err() || read == records));
        assert!(values.starts_with(&kept) && (kept_end.is_err() || kept == values));
        assert_eq!(flaws.is_empty(), whole, "{flaws:?}");
    }
    let _ = end.and(kept_end).map_err(|e| typed(&e));
    let asked = records.iter().map(|record| record.0).chain(values.iter().map(|value| value.0));
    for id in asked.flat_map(|id| [id, id + 1]).chain([0, 1 << 100, u128::MAX]) {
        let written = records.binary_search_by_key(&id, |record| record.0);
        match run.get(id) {
            Ok(found) if exact.is_some() => assert_eq!(found, written.ok().map(|i| records[i].1)),
            Ok(_) => {}
            Err(error) => typed(&error),
        }
        let written = values.binary_search_by_key(&id, |value| value.0);
        match run.value(id) {
            Ok(found) if exact.is_some() => {
                assert_eq!(found.as_ref(), written.ok().map(|i| &values[i].1));
            }
            Ok(_) => {}
            Err(error) => typed(&error),
        }
    }
}
