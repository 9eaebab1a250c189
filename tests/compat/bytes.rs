//! The same calls leave the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use firstseen::{Backend, offline};

use crate::fixtures;
use crate::support::found::{put, sum};
use crate::workload::{ALL, Fixture, MAPPED_CLOSED, MAPPED_KILLED, of_this_build};

/// Not a test: makes the fixtures anew.
#[test]
#[ignore = "writes tests/fixtures"]
fn make() {
    assert_eq!(of_this_build().count(), ALL.len(), "half of them need the feature `sled`");
    for fixture in ALL {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("store");
        let answers = fixture.make(&dir);
        fixtures::store(fixture.name, &dir, &answers);
        if fixture.name == MAPPED_CLOSED.name {
            let mut stream = Vec::new();
            offline::export(&dir, &mut stream).unwrap();
            fixtures::pack(&fixtures::folder().join("export.fse.gz"), &stream);
        }
    }
}

fn made(fixture: &Fixture) -> (BTreeMap<String, Vec<u8>>, String, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("store");
    let answers = fixture.make(&dir);
    let mut stream = Vec::new();
    offline::export(&dir, &mut stream).unwrap();
    (fixtures::files(&dir), answers, stream)
}

const CHANGED: &str = "is not what version 1 of the format was written like. A change of the format is a new version: it \
comes with docs/FORMAT.md, CHANGELOG.md, and fixtures of its own beside those that are there. If the same format was \
filled in another way on purpose (what is merged when, how large a filter is), see to it that all other tests here \
hold with the fixtures as they are, and only then make them anew: see tests/compat/main.rs";

/// Nothing is left to chance but the store's name and key, which are chosen here, and the order of forgotten
/// ids in a manifest. So a change of any byte is seen.
#[test]
fn are_those_of_the_fixtures() {
    for fixture in [MAPPED_CLOSED, MAPPED_KILLED] {
        let (files, answers, stream) = made(&fixture);
        assert_eq!(answers, fixtures::answers(fixture.name));
        let expected = fixtures::load(fixture.name);
        let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&files), names(&expected), "{}: a list of files {CHANGED}", fixture.name);
        for (name, bytes) in &files {
            let (found, expected) = (in_order(name, bytes), in_order(name, &expected[name]));
            let at = found.iter().zip(&expected).position(|(a, b)| a != b);
            let same = found == expected;
            assert!(same, "{}: {name} at byte {at:?} {CHANGED}", fixture.name);
        }
        if fixture.name == MAPPED_CLOSED.name {
            assert!(stream == fixtures::stream(), "the export stream {CHANGED}");
        }
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Forgotten ids stand in a manifest in no order: they are sorted, and its checksum, which holds, is blanked.
fn in_order(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if name == "MANIFEST" {
        let end = bytes.len() - 8;
        let begin = end - 32 * u64_at(&bytes, 96) as usize;
        let mut entries: Vec<[u8; 32]> = bytes[begin..end].as_chunks().0.to_vec();
        entries.sort_unstable();
        put(&mut bytes, begin, entries.as_flattened());
        put(&mut bytes, end, &[0; 8]);
    }
    bytes
}

/// The fixtures are worth something only if everything that the format has is in them.
#[test]
fn have_every_kind_of_file_and_frame() {
    let (mut kinds, mut ends) = (BTreeSet::new(), BTreeSet::new());
    for fixture in ALL {
        let files = fixtures::load(fixture.name);
        let manifest = &files["MANIFEST"];
        let [generations, runs, forgotten] = [80, 88, 96].map(|at| u64_at(manifest, at));
        assert!(generations >= 2 && runs >= 3 && forgotten >= 3, "{}", fixture.name);
        assert!(u64_at(manifest, 112) > 0, "a state file");
        assert_eq!(files["STORE"][12], fixture.identity as u8);
        assert_eq!(manifest[36], u8::from(fixture.event_time));
        if fixture.backend == Backend::Sled {
            assert!(files.contains_key("sled/db") && files.contains_key("sled/conf"));
            continue;
        }
        ends.extend(
            files.keys().filter_map(|name| name.split_once('.').map(|(_, end)| end.to_owned())),
        );
        let segments = files.iter().filter(|(name, _)| name.ends_with(".log"));
        let mut frames = Vec::new();
        segments.for_each(|(name, bytes)| frames.extend(kinds_of_frames(name, bytes)));
        // The last word of a store that was closed: a frame of kind 3 without ids.
        assert_eq!(frames.last() == Some(&(3, 0)), fixture.closed);
        kinds.extend(frames.into_iter().map(|(kind, _)| kind));
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), ["log", "run", "state", "val"]);
    let small = fixtures::folder();
    for entry in fs::read_dir(small).unwrap().map(|entry| entry.unwrap().path()) {
        let files = if entry.is_dir() { fixtures::files(&entry) } else { BTreeMap::new() };
        let bytes: usize = files.values().map(Vec::len).sum();
        assert!(bytes < 64 << 10, "{}: {bytes} bytes", entry.display());
    }
}

/// Kind and length of each frame of a segment.
fn kinds_of_frames(name: &str, bytes: &[u8]) -> Vec<(u8, usize)> {
    let store: [u8; 16] = bytes[16..32].try_into().unwrap();
    let (mut frames, mut at) = (Vec::new(), 128);
    while at + 40 <= bytes.len() {
        let header = &bytes[at + 8..at + 40];
        if u64_at(bytes, at)
            != sum(&store, b"FSLOG\0\0\0", fixtures::number(name), at as u64, header)
        {
            break;
        }
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        frames.push((header[12], len));
        at += 40 + len.next_multiple_of(8);
    }
    frames
}
