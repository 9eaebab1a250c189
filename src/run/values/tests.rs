//! What a values file promises, whole: written, read back, merged, and damaged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::memory_file::MemoryFile;
use super::{LatestValues, Values, ValuesWriter};
use crate::error::{Corruption, Error, Result};
use crate::format::value::file::{FILE_MIN, FOOTER, HEADER};
use crate::format::value::{BLOCK, ENTRY_HEAD, OUTCOME_MAX, SUM, Value};
use crate::format::{StoreId, put_u32, put_u64, u64_at};
use crate::key::Fingerprint;
use crate::time::Timestamp;

const STORE: StoreId = [0x5a; 16];
const NUMBER: u64 = 7;

type Map = BTreeMap<Fingerprint, Value>;

fn id(bits: u128) -> Fingerprint {
    Fingerprint::from_u128(bits)
}

fn value(micros: u64, outcome: &[u8]) -> Value {
    let time = Timestamp::from_micros(micros);
    Value { time, payload: Some(id(u128::from(micros))), outcome: Some(outcome.into()) }
}

fn writer(file: &MemoryFile) -> ValuesWriter {
    ValuesWriter::new(Box::new(file.clone()), Path::new("7.val"), &STORE, NUMBER).unwrap()
}

fn write(entries: &Map) -> Vec<u8> {
    let file = MemoryFile::default();
    let mut writer = writer(&file);
    entries.iter().for_each(|(&id, value)| writer.push(id, value).unwrap());
    assert_eq!(writer.finish().unwrap(), file.bytes().len() as u64);
    file.bytes()
}

fn open(bytes: &[u8]) -> Result<Values> {
    let file = Box::new(MemoryFile::holding(bytes.to_vec()));
    Values::open(file, PathBuf::from("7.val"), &STORE, NUMBER)
}

fn damages(values: &Values) -> Vec<Corruption> {
    let mut damages = Vec::new();
    values.verify(&mut |damage| damages.push(damage)).unwrap();
    damages
}

fn check(entries: &Map) {
    let bytes = write(entries);
    let values = open(&bytes).unwrap();
    assert_eq!(values.entries(), entries.len() as u64);
    assert_eq!(values.bytes(), bytes.len() as u64);
    assert!(values.memory_bytes() <= 24 * (2 * bytes.len() / BLOCK + 1));
    for (&id, value) in entries {
        assert_eq!(values.get(id).unwrap().as_ref(), Some(value));
        for beside in [id.as_u128().wrapping_sub(1), id.as_u128().wrapping_add(1)] {
            let beside = Fingerprint::from_u128(beside);
            assert_eq!(values.get(beside).unwrap().as_ref(), entries.get(&beside));
        }
    }
    let all: Vec<_> = values.cursor().map(Result::unwrap).collect();
    assert!(all.iter().map(|(id, value)| (id, value)).eq(entries));
    for &after in entries.keys().step_by(entries.len() / 5 + 1) {
        for after in [after, id(after.as_u128().wrapping_add(1))] {
            let rest = values.cursor_after(Some(after)).map(|entry| entry.unwrap().0);
            assert!(rest.eq(entries.keys().copied().filter(|&id| id > after)));
        }
    }
    assert_eq!(damages(&values), []);
}

/// Entries over several blocks; the fourth has an outcome of its own block's length.
fn sample() -> Map {
    let mut entries: Map = (0..60).map(|n| (id(n << 90 | n), value(n as u64, &[7; 700]))).collect();
    entries.insert(id(3 << 90), value(9, &[1; BLOCK + 5]));
    entries.insert(id(4 << 90), Value { time: Timestamp::MAX, payload: None, outcome: None });
    entries
}

#[test]
fn blocks_are_of_16_kib_or_of_one_long_entry() {
    let bytes = write(&sample());
    let values = open(&bytes).unwrap();
    let blocks = values.starts.len();
    assert!(blocks >= 4, "{blocks} blocks");
    let long = (0..blocks).filter(|&block| {
        let (from, to) = values.bounds(block);
        to - from > BLOCK as u64
    });
    let long: Vec<usize> = long.collect();
    assert_eq!(long.len(), 1);
    assert_eq!(values.starts[long[0]].first, id(3 << 90));
    assert_eq!(values.starts[long[0] + 1].first, id(3 << 90 | 3));
    check(&sample());
}

#[test]
fn the_least_and_the_most_can_be_kept() {
    check(&Map::new());
    assert_eq!(write(&Map::new()).len() as u64, FILE_MIN);
    let longest = value(1, &vec![3; OUTCOME_MAX]);
    let empty = Value { outcome: Some([].into()), ..value(2, b"") };
    check(&Map::from([(id(0), longest.clone()), (id(5), empty), (id(u128::MAX), longest)]));
}

#[test]
#[should_panic(expected = "ascend")]
fn an_entry_out_of_order_is_our_own_mistake() {
    let mut writer = writer(&MemoryFile::default());
    writer.push(id(2), &value(1, b"")).unwrap();
    writer.push(id(2), &value(1, b"")).unwrap();
}

#[test]
fn every_flipped_bit_is_noticed() {
    let entries: Map = (0..5).map(|n| (id(n << 80), value(n as u64, b"outcome"))).collect();
    let bytes = write(&entries);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        match open(&damaged) {
            Err(error) => assert!(matches!(error, Error::Corrupt(_)), "bit {bit}: {error}"),
            Ok(values) => {
                assert_eq!(damages(&values).len(), 1, "bit {bit}");
                let read: Vec<_> = values.cursor().collect();
                assert!(read.len() == 1 && read[0].is_err(), "bit {bit}");
                assert!(values.get(id(1 << 80)).is_err(), "bit {bit}");
            }
        }
    }
}

#[test]
fn every_cut_and_every_growth_is_noticed() {
    let bytes = write(&sample());
    let cuts = (0..200).chain((200..bytes.len()).step_by(97)).chain(bytes.len() - 90..bytes.len());
    for len in cuts {
        assert!(matches!(open(&bytes[..len]), Err(Error::Corrupt(_))), "{len} bytes");
    }
    for more in 1..50 {
        let mut grown = bytes.clone();
        grown.resize(bytes.len() + more, 0);
        assert!(matches!(open(&grown), Err(Error::Corrupt(_))), "{more} bytes more");
    }
}

#[test]
fn damage_of_one_block_leaves_the_others() {
    let entries = sample();
    let bytes = write(&entries);
    let (from, to) = open(&bytes).unwrap().bounds(1);
    let mut damaged = bytes.clone();
    damaged[(from + to) as usize / 2] ^= 1;
    let values = open(&damaged).unwrap();
    let found = damages(&values);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].offset, &*found[0].path), (from, Path::new("7.val")));
    let inside = values.starts[1].first..values.starts[2].first;
    for (&id, value) in &entries {
        match inside.contains(&id) {
            true => assert!(matches!(values.get(id), Err(Error::Corrupt(_)))),
            false => assert_eq!(values.get(id).unwrap().as_ref(), Some(value)),
        }
    }
    let mut cursor = values.cursor();
    assert_eq!(
        cursor.by_ref().filter(Result::is_ok).count(),
        entries.range(..inside.start).count()
    );
    assert!(cursor.next().is_none());
}

#[test]
fn another_file_or_version_is_refused() {
    let bytes = write(&sample());
    let open_as = |store: &StoreId, number| {
        let file = Box::new(MemoryFile::holding(bytes.clone()));
        Values::open(file, PathBuf::from("7.val"), store, number)
    };
    assert!(matches!(open_as(&[1; 16], NUMBER), Err(Error::Corrupt(_))));
    assert!(matches!(open_as(&STORE, 8), Err(Error::Corrupt(_))));
    let mut newer = bytes.clone();
    put_u32(&mut newer, 8, 9);
    reseal(&mut newer, 0, HEADER);
    assert!(matches!(open(&newer), Err(Error::Version { found: 9, .. })));
}

fn reseal(bytes: &mut [u8], from: usize, to: usize) {
    let salt = crate::format::value::file::salt(&STORE, NUMBER);
    let sum = salt.sum(from as u64, &bytes[from..to - SUM]);
    put_u64(bytes, to - SUM, sum);
}

/// Files that overlap in some ids, and what they should become.
fn overlapping(count: u128, files: u128, outcome: usize) -> (Vec<Map>, Map) {
    let mut expected = Map::new();
    let mut inputs = Vec::new();
    for file in 0..files {
        let entry = |n: u128| {
            let time = (n * 7 + file * 3) % 5;
            (id((n + file * count / 2) << 60), value(time as u64, &vec![file as u8; outcome]))
        };
        let input: Map = (0..count).map(entry).collect();
        for (&id, value) in &input {
            let kept = expected.entry(id).or_insert_with(|| value.clone());
            if value.time > kept.time {
                *kept = value.clone();
            }
        }
        inputs.push(input);
    }
    (inputs, expected)
}

fn merge(inputs: &[Map]) -> Vec<u8> {
    let inputs: Vec<_> = inputs.iter().map(|input| open(&write(input)).unwrap()).collect();
    let file = MemoryFile::default();
    let mut writer = writer(&file);
    for entry in LatestValues::new(inputs.iter().map(Values::cursor).collect()).unwrap() {
        let (id, value) = entry.unwrap();
        writer.push(id, &value).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), file.bytes().len() as u64);
    file.bytes()
}

#[test]
fn of_one_id_in_several_files_the_latest_stays() {
    for files in [0, 1, 2, 5] {
        let (inputs, expected) = overlapping(300, files, 90);
        assert!(merge(&inputs) == write(&expected), "{files} files");
    }
}

#[test]
fn a_merge_ends_at_damage() {
    let mut bytes = write(&sample());
    bytes[HEADER + 3] ^= 1;
    let values = open(&bytes).unwrap();
    assert!(matches!(LatestValues::new(vec![values.cursor()]), Err(Error::Corrupt(_))));
}

fn any_value() -> impl Strategy<Value = Value> {
    let len = prop_oneof![9 => 0..60_usize, 3 => 0..5_000_usize, 1 => 15_000..40_000_usize];
    let outcome = prop::option::of((len, any::<u8>()));
    (any::<u64>(), prop::option::of(any::<u128>()), outcome).prop_map(|(time, payload, outcome)| {
        let outcome = outcome.map(|(len, byte)| vec![byte; len].into());
        Value { time: Timestamp::from_micros(time), payload: payload.map(id), outcome }
    })
}

fn any_map() -> impl Strategy<Value = Map> {
    let bits = prop_oneof![any::<u128>(), 0..90_u128, Just(u128::MAX)];
    prop::collection::btree_map(bits.prop_map(id), any_value(), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_map_is_answered_exactly(entries in any_map()) {
        check(&entries);
    }

    #[test]
    fn merging_agrees_with_one_map(inputs in prop::collection::vec(any_map(), 0..4)) {
        let mut expected = Map::new();
        for (id, value) in inputs.iter().flatten() {
            let kept = expected.entry(*id).or_insert_with(|| value.clone());
            if value.time > kept.time {
                *kept = value.clone();
            }
        }
        prop_assert!(merge(&inputs) == write(&expected));
    }

    /// Somebody who computes checksums gets an error or an answer, never a panic or a hang.
    #[test]
    fn bytes_with_good_checksums_do_not_panic(
        entries in any_map(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<bool>(), any::<u8>()),
            1..6,
        ),
    ) {
        let mut bytes = write(&entries);
        let values = open(&bytes).unwrap();
        let directory = values.footer.directory as usize;
        let bounds: Vec<_> = (0..values.starts.len()).map(|block| values.bounds(block)).collect();
        let end = bytes.len();
        for (at, around, value) in changes {
            // Around the blocks there is little, and all of it matters.
            let from = if around { directory } else { 0 };
            bytes[from + at.index(end - from)] = value;
        }
        for (from, to) in bounds {
            reseal(&mut bytes, from as usize, to as usize);
        }
        reseal(&mut bytes, 0, HEADER);
        reseal(&mut bytes, directory, end - FOOTER);
        reseal(&mut bytes, end - FOOTER, end);
        if let Ok(values) = open(&bytes) {
            for &id in entries.keys() {
                let _ = values.get(id);
            }
            let most = u64_at(&bytes, end - FOOTER + 24) as usize / ENTRY_HEAD + 1;
            prop_assert!(values.cursor().count() <= most);
            let _ = damages(&values);
        }
    }
}

/// The worked example of docs/FORMAT.md: bytes that change only together with it.
#[test]
fn the_example_of_the_format() {
    let second = 1_000_000;
    let paid = Value {
        time: Timestamp::from_micros(1_700_000_000 * second),
        payload: None,
        outcome: Some((*b"paid").into()),
    };
    let bare = Value {
        time: Timestamp::from_micros(1_700_000_001 * second),
        payload: Some(id(9)),
        outcome: None,
    };
    let bytes = write(&Map::from([(id(5 << 64 | 1), paid), (id(1 << 122), bare)]));
    let sums = [56, 142, 174, 214].map(|at| u64_at(&bytes, at));
    let expected = [
        0xd3e4_a084_2b2e_a693,
        0x265f_c55c_96a2_d5d6,
        0xba92_bc83_0df5_9039,
        0xb621_be04_36a8_cc8d,
    ];
    assert_eq!(sums, expected);
    assert_eq!(bytes[64..72], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[88..97], *b"\x04\0\0\0\x02paid");
    assert_eq!(bytes[121..127], [0, 0, 0, 0, 1, 9]);
    assert_eq!(bytes.len(), 222);
}
