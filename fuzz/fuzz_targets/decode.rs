//! Damaged, forged and invented files through every decoder.
//!
//! Oracle: of a damaged file either a typed error or exactly what was written, a part of it where
//! the format allows a torn end; of a forged one, whose checksums are right, no panic and no
//! allocation beyond the file's size.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use firstseen::testing::decode::{
    self, FuzzRun, FuzzValues, PlainCommit, PlainItem, PlainManifest, PlainState, Record,
};
use firstseen::{Error, ReadMode};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Input {
    /// Bytes from nowhere, for all decoders.
    Invented(Vec<u8>),
    Superblock(Damage),
    Manifest(Damage),
    Segment {
        calls: Vec<Vec<(u32, u8)>>,
        synced: bool,
        frame_at: u16,
        damage: Damage,
    },
    Run {
        records: Vec<(u16, u8)>,
        spread: Spread,
        damage: Damage,
    },
    Commit {
        ids: Vec<u32>,
        items: Vec<FuzzItem>,
        damage: Damage,
    },
    State {
        sources: BTreeMap<String, u64>,
        entries: BTreeMap<Vec<u8>, Vec<u8>>,
        prepared: BTreeMap<Vec<u8>, (u64, Vec<FuzzItem>)>,
        damage: Damage,
    },
    Values {
        /// Of each id its time, whether there is a payload, and the length of the outcome.
        entries: Vec<(u16, u32, bool, Option<u16>)>,
        damage: Damage,
    },
}

/// An item of a commit, right or wrong.
#[derive(Debug, Arbitrary)]
enum FuzzItem {
    Progress(String, u64),
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Payload(u8, u128, Option<Vec<u8>>),
    Outcome(u8, Vec<u8>),
    Token(Vec<u8>),
    RawId(u8, Vec<u8>),
    Fence(u64),
}

impl FuzzItem {
    fn plain(self) -> PlainItem {
        match self {
            FuzzItem::Progress(source, next) => PlainItem::Progress { source, next },
            FuzzItem::Put(key, value) => PlainItem::Put { key, value },
            FuzzItem::Delete(key) => PlainItem::Delete { key },
            FuzzItem::Payload(index, payload, outcome) => {
                PlainItem::Value { index: index.into(), payload: Some(payload), outcome }
            }
            FuzzItem::Outcome(index, outcome) => {
                PlainItem::Value { index: index.into(), payload: None, outcome: Some(outcome) }
            }
            FuzzItem::Token(token) => PlainItem::Token(token),
            FuzzItem::RawId(index, id) => PlainItem::RawId { index: index.into(), id },
            FuzzItem::Fence(fence) => PlainItem::Fence(fence),
        }
    }
}

/// How far apart the records of a run are.
#[derive(Debug, Arbitrary)]
enum Spread {
    Even,
    Packed,
    Squared,
}

/// What happens to a file's bytes.
#[derive(Debug, Arbitrary)]
struct Damage {
    flips: Vec<(u16, u8)>,
    cut: Option<u16>,
    grow: u8,
    forge: bool,
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if let Some(cut) = self.cut {
            bytes.truncate(usize::from(cut));
        }
        bytes.resize(bytes.len() + usize::from(self.grow), self.grow);
        let len = bytes.len().max(1);
        for &(at, mask) in &self.flips {
            if let Some(byte) = bytes.get_mut(usize::from(at) % len) {
                *byte ^= mask;
            }
        }
    }
}

fuzz_target!(|input: Input| match input {
    Input::Invented(bytes) => invented(bytes),
    Input::Superblock(damage) => superblock(&damage),
    Input::Manifest(damage) => manifest(&damage),
    Input::Segment { calls, synced, frame_at, damage } => {
        let ids = |call: Vec<(u32, u8)>| call.into_iter().map(|(id, t)| (id.into(), t)).collect();
        let calls: Vec<Vec<Record>> = calls.into_iter().map(ids).collect();
        segment(&calls, synced, frame_at.into(), &damage);
    }
    Input::Run { records, spread, damage } => run(records, &spread, &damage),
    Input::Commit { ids, items, damage } => {
        let ids = ids.into_iter().map(u128::from).collect();
        let items = items.into_iter().map(FuzzItem::plain).collect();
        commit(&PlainCommit { ids, items }, &damage);
    }
    Input::State { sources, entries, prepared, damage } => {
        let prepared = prepared.into_iter().filter_map(|(token, (time, items))| {
            let token = PlainItem::Token(token);
            let items = [token].into_iter().chain(items.into_iter().map(FuzzItem::plain));
            let payload = PlainCommit { ids: vec![1, 2], items: items.collect() };
            let right = PlainCommit::read_prepare(&payload.write()).is_ok();
            right.then_some((time, payload))
        });
        let sources = sources.into_iter().filter(|(name, _)| (1..=1024).contains(&name.len()));
        let entries = entries.into_iter().filter(|(key, _)| key.len() <= 1024);
        let (sources, entries) = (sources.collect(), entries.collect());
        state(&PlainState { sources, entries, prepared: prepared.collect() }, &damage);
    }
    Input::Values { entries, damage } => values(entries, &damage),
});

/// An error from bytes is one of the kinds that say so, and names the place.
fn typed(error: &Error) {
    let typed = matches!(
        error,
        Error::Corrupt(_) | Error::Version { .. } | Error::NotAStore { .. } | Error::Io { .. }
    );
    assert!(
        typed && error.to_string().contains("file") || matches!(error, Error::NotAStore { .. })
    );
}

fn invented(mut bytes: Vec<u8>) {
    let read = |bytes: &[u8]| {
        let _ = decode::read_superblock(bytes).map_err(|e| typed(&e));
        let _ = PlainManifest::read(bytes).map_err(|e| typed(&e));
        let _ = decode::read_segment(bytes).map_err(|e| typed(&e));
        let _ = PlainState::read(bytes).map_err(|e| typed(&e));
        read_payload(bytes);
        read_forged_run(bytes);
        read_forged_values(bytes);
    };
    read(&bytes);
    decode::reseal_superblock(&mut bytes);
    decode::reseal_manifest(&mut bytes);
    read(&bytes);
    decode::reseal_state(&mut bytes);
    decode::reseal_values(&mut bytes);
    read(&bytes);
    decode::reseal_run(&mut bytes);
    read(&bytes);
}

fn superblock(damage: &Damage) {
    let written = decode::write_superblock(1, [3; 16], 9);
    let mut bytes = written.clone();
    damage.apply(&mut bytes);
    if damage.forge {
        decode::reseal_superblock(&mut bytes);
    }
    match decode::read_superblock(&bytes) {
        Ok(read) if !damage.forge => assert!(read == written && bytes == written),
        Ok(_) => {}
        Err(error) => typed(&error),
    }
}

fn manifest(damage: &Damage) {
    let manifest = PlainManifest {
        head: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        options: [8, 1],
        generations: vec![[1, 2, 3]; 2],
        runs: vec![[4, 5, 6, 7, 8]; 3],
        forgotten: vec![[8, 9, 10, 11]; 2],
    };
    let written = manifest.write();
    let mut bytes = written.clone();
    damage.apply(&mut bytes);
    if damage.forge {
        decode::reseal_manifest(&mut bytes);
    }
    match PlainManifest::read(&bytes) {
        Ok(read) if !damage.forge => assert!(read == manifest && bytes == written),
        Ok(_) => {}
        Err(error) => typed(&error),
    }
}

fn segment(calls: &[Vec<Record>], synced: bool, frame_at: usize, damage: &Damage) {
    let mut bytes = decode::write_segment(calls, synced);
    let whole = bytes.clone();
    damage.apply(&mut bytes);
    if damage.forge {
        decode::reseal_segment(&mut bytes, frame_at);
    }
    match decode::read_segment(&bytes) {
        Ok(_) if damage.forge => {}
        Ok(Some(read)) => {
            assert!(calls.starts_with(&read), "{read:?} is not the front of {calls:?}");
            assert!(bytes != whole || read == calls);
        }
        Ok(None) => assert_ne!(bytes, whole),
        Err(error) => {
            typed(&error);
            assert_ne!(bytes, whole);
        }
    }
}

fn run(records: Vec<(u16, u8)>, spread: &Spread, damage: &Damage) {
    let mut records: Vec<Record> = records
        .into_iter()
        .map(|(n, tick)| match spread {
            Spread::Even => (u128::from(n) << 112, tick),
            Spread::Packed => (u128::from(n), tick),
            Spread::Squared => ((u128::from(n) * u128::from(n)) << 90, tick),
        })
        .collect();
    records.sort_unstable();
    records.dedup_by_key(|record| record.0);
    let mut bytes = decode::write_run(&records);
    let whole = bytes.clone();
    damage.apply(&mut bytes);
    if damage.forge {
        decode::reseal_run(&mut bytes);
        return read_forged_run(&bytes);
    }
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let run = match FuzzRun::open(&bytes, mode) {
            Ok(run) => run,
            Err(error) => {
                typed(&error);
                assert_ne!(bytes, whole);
                continue;
            }
        };
        let (read, end) = run.records();
        assert!(records.starts_with(&read));
        assert!(end.is_err() || read == records);
        let flaws = run.verify().expect("a medium without faults");
        assert_eq!(flaws.is_empty(), bytes == whole, "{flaws:?}");
        for &(id, tick) in &records {
            match run.get(id) {
                Ok(found) => assert_eq!(found, Some(tick)),
                Err(error) => typed(&error),
            }
            let absent = id.wrapping_add(1);
            if records.binary_search_by_key(&absent, |record| record.0).is_err() {
                match run.get(absent) {
                    Ok(found) => assert_eq!(found, None),
                    Err(error) => typed(&error),
                }
            }
        }
    }
}

/// A payload has no checksum of its own: whatever decodes has one meaning.
fn read_payload(bytes: &[u8]) -> Vec<PlainCommit> {
    let reads = [PlainCommit::read, PlainCommit::read_prepare, PlainCommit::read_abort];
    let mut understood = Vec::new();
    for read in reads {
        match read(bytes) {
            Ok(commit) => {
                assert_eq!(commit.write(), bytes);
                understood.push(commit);
            }
            Err(error) => typed(&error),
        }
    }
    understood
}

fn commit(commit: &PlainCommit, damage: &Damage) {
    let mut bytes = commit.write();
    let whole = bytes.clone();
    damage.apply(&mut bytes);
    let understood = read_payload(&bytes);
    assert!(bytes != whole || understood.iter().all(|read| read == commit));
}

fn state(state: &PlainState, damage: &Damage) {
    let mut bytes = state.write();
    let whole = bytes.clone();
    damage.apply(&mut bytes);
    if damage.forge {
        decode::reseal_state(&mut bytes);
    }
    match PlainState::read(&bytes) {
        Ok(read) => {
            assert_eq!(read.write(), bytes);
            assert!(damage.forge || (read == *state && bytes == whole));
        }
        Err(error) => {
            typed(&error);
            assert_ne!(bytes, whole);
        }
    }
}

fn read_forged_run(bytes: &[u8]) {
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let run = match FuzzRun::open(bytes, mode) {
            Ok(run) => run,
            Err(error) => {
                typed(&error);
                continue;
            }
        };
        let (read, _) = run.records();
        let _ = run.verify().map_err(|e| typed(&e));
        for id in read.iter().map(|record| record.0).take(64).chain([0, 1 << 100, u128::MAX]) {
            let _ = run.get(id).map_err(|e| typed(&e));
        }
    }
}

fn values(mut entries: Vec<(u16, u32, bool, Option<u16>)>, damage: &Damage) {
    entries.sort_unstable();
    entries.dedup_by_key(|entry| entry.0);
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(n, time, payload, outcome)| {
            let payload = payload.then_some(u128::from(time) << 64);
            let outcome = outcome.map(|len| vec![n as u8; usize::from(len)]);
            (u128::from(n) << 112, (u64::from(time), payload, outcome))
        })
        .collect();
    let mut bytes = decode::write_values(&entries);
    let whole = bytes.clone();
    damage.apply(&mut bytes);
    if damage.forge {
        decode::reseal_values(&mut bytes);
        return read_forged_values(&bytes);
    }
    let values = match FuzzValues::open(&bytes) {
        Ok(values) => values,
        Err(error) => {
            typed(&error);
            return assert_ne!(bytes, whole);
        }
    };
    let (read, end) = values.entries();
    assert!(entries.starts_with(&read));
    assert!(end.is_err() || read == entries);
    let flaws = values.verify().expect("a medium without faults");
    assert_eq!(flaws.is_empty(), bytes == whole, "{flaws:?}");
    for (id, value) in &entries {
        match values.get(*id) {
            Ok(found) => assert_eq!(found.as_ref(), Some(value)),
            Err(error) => typed(&error),
        }
        match values.get(id + 1) {
            Ok(found) => assert_eq!(found, None),
            Err(error) => typed(&error),
        }
    }
}

fn read_forged_values(bytes: &[u8]) {
    let values = match FuzzValues::open(bytes) {
        Ok(values) => values,
        Err(error) => return typed(&error),
    };
    let (read, _) = values.entries();
    let _ = values.verify().map_err(|e| typed(&e));
    for id in read.iter().map(|entry| entry.0).take(64).chain([0, 1 << 100, u128::MAX]) {
        let _ = values.get(id).map_err(|e| typed(&e));
    }
}
