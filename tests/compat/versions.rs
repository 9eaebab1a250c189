//! A build that is older than a store refuses it, names what it found and what it reads, and leaves it alone.
//!
//! The version of every kind of file is made one higher, and its checksum made right: what a newer build would
//! write. With a wrong checksum it may be damage as well, which `recovery` looks at.

use std::fs;
use std::path::{Path, PathBuf};

use firstseen::testing::ManualClock;
use firstseen::{Error, offline};

use crate::fixtures::{self, number};
use crate::support::found::{put, put_sum, sum};
use crate::workload::{Fixture, MAPPED_CLOSED, MAPPED_KILLED, builder, time_of};

/// How far a kind's first checksum reaches, it included; `None`: to the end of the file.
const KINDS: &[(&str, Option<usize>)] = &[
    ("STORE", None),
    ("MANIFEST", None),
    ("log", Some(128)),
    ("run", Some(4096)),
    ("val", Some(64)),
    ("state", None),
];

fn clock(fixture: &Fixture) -> ManualClock {
    ManualClock::new(time_of(&fixtures::answers(fixture.name)))
}

/// The files of a kind.
fn of_kind(dir: &Path, kind: &str) -> Vec<PathBuf> {
    let names = fixtures::files(dir).into_keys();
    let of_kind = names.filter(|name| name == kind || name.ends_with(&format!(".{kind}")));
    of_kind.map(|name| dir.join(name)).collect()
}

fn store_id(dir: &Path) -> [u8; 16] {
    fs::read(dir.join("STORE")).unwrap()[16..32].try_into().unwrap()
}

fn refused(result: Result<impl std::fmt::Debug, Error>, file: &Path) {
    match result {
        Err(Error::Version { path, found: 2, supported: 1 }) => assert_eq!(path, file),
        other => panic!("{}: {other:?}", file.display()),
    }
}

/// Opening it refuses it, and so do the tools that read the file; nothing is changed.
fn refused_by_all(dir: &Path, clock: &ManualClock, file: &Path) {
    let before = fixtures::files(dir);
    refused(builder(clock).open(dir), file);
    match file.extension().is_some_and(|end| end == "state") {
        true => refused(offline::state(dir), file),
        false => refused(offline::export(dir, &mut Vec::new()), file),
    }
    let mut damages = Vec::new();
    offline::verify(dir, &mut |damage| damages.push(damage.clone())).unwrap();
    let told = damages.iter().find(|damage| damage.path == file).unwrap();
    assert_eq!((&*told.expected, &*told.found), ("version 1", "version 2"));
    assert!(fixtures::files(dir) == before, "{} was changed", dir.display());
}

#[test]
fn every_kind_of_file_is_refused_by_name() {
    for (fixture, &(kind, reach)) in [MAPPED_CLOSED, MAPPED_KILLED]
        .iter()
        .flat_map(|fixture| KINDS.iter().map(move |kind| (fixture, kind)))
    {
        let dir = tempfile::tempdir().unwrap();
        fixtures::lay(fixture.name, dir.path());
        let file = of_kind(dir.path(), kind).pop().unwrap();
        let mut bytes = fs::read(&file).unwrap();
        assert_eq!(bytes[8..12], 1_u32.to_le_bytes());
        put(&mut bytes, 8, &2_u32.to_le_bytes());
        let reach = reach.unwrap_or(bytes.len());
        let name = file.file_name().unwrap().to_str().unwrap();
        put_sum(&store_id(dir.path()), number(name), 0, &mut bytes[..reach]);
        fs::write(&file, bytes).unwrap();
        refused_by_all(dir.path(), &clock(fixture), &file);
    }
}

/// A new kind of frame is a new version.
#[test]
fn a_frame_of_an_unknown_kind_is_of_a_newer_version() {
    let dir = tempfile::tempdir().unwrap();
    fixtures::lay(MAPPED_CLOSED.name, dir.path());
    let file = of_kind(dir.path(), "log").pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[128 + 20] = 7;
    let number = number(file.file_name().unwrap().to_str().unwrap());
    let magic = b"FSLOG\0\0\0";
    let sum = sum(&store_id(dir.path()), magic, number, 128, &bytes[136..168]);
    put(&mut bytes, 128, &sum.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    refused_by_all(dir.path(), &clock(&MAPPED_CLOSED), &file);
}

#[test]
fn a_stream_is_refused() {
    let mut stream = fixtures::stream();
    put(&mut stream, 8, &2_u32.to_le_bytes());
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("imported");
    let refused = offline::import(&mut stream.as_slice(), &dest);
    assert!(matches!(refused, Err(Error::Version { found: 2, supported: 1, .. })), "{refused:?}");
    assert!(!dest.exists());
}

/// The header of a run in a database has the version at 0.
#[cfg(feature = "sled")]
#[test]
fn a_run_in_sled_is_refused() {
    use crate::workload::SLED_CLOSED;
    let dir = tempfile::tempdir().unwrap();
    fixtures::lay(SLED_CLOSED.name, dir.path());
    let folder = dir.path().join("sled");
    let store = store_id(dir.path());
    {
        let db = sled::open(&folder).unwrap();
        let trees = db.tree_names();
        let name = trees.iter().find(|name| name.starts_with(b"generation/")).unwrap();
        let tree = db.open_tree(name).unwrap();
        let (key, value) = tree.iter().map(Result::unwrap).find(|(key, _)| key.len() == 9).unwrap();
        let mut value = value.to_vec();
        assert_eq!(value[..4], 1_u32.to_le_bytes());
        put(&mut value, 0, &2_u32.to_le_bytes());
        let end = value.len() - 8;
        let number = u64::from_be_bytes(key[..8].try_into().unwrap());
        let place = xxhash_rust::xxh3::xxh3_64(&key);
        let sum = sum(&store, b"FSSLED\0\0", number, place, &value[..end]);
        put(&mut value, end, &sum.to_le_bytes());
        tree.insert(key, value).unwrap();
        db.flush().unwrap();
    }
    let names = |dir: &Path| {
        let files = fixtures::files(dir).into_iter();
        files.filter(|(name, _)| !name.starts_with("sled/")).collect::<Vec<_>>()
    };
    let before = names(dir.path());
    refused(builder(&clock(&SLED_CLOSED)).open(dir.path()), &folder);
    refused(offline::export(dir.path(), &mut Vec::new()), &folder);
    assert!(names(dir.path()) == before);
}
