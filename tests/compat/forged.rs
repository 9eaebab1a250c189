//! Files and streams that somebody has forged, with their checksums made right. What they say is nonsense, and may
//! come true as far as it can; nobody panics over it, waits for ever, or takes all memory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use firstseen::testing::ManualClock;
use firstseen::{Error, offline};

use crate::fixtures;
use crate::support::found::{put, put_sum, sum};
use crate::workload::{MAPPED_CLOSED, builder, named, of_this_build, time_of};

const HEAD: usize = 16;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The stream with the payload of its first block of this kind changed.
fn forged(kind: u32, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut stream = fixtures::stream();
    let store: [u8; 16] = stream[16..32].try_into().unwrap();
    let mut at = 32;
    while u32_at(&stream, at + 8) != kind {
        at += HEAD + u32_at(&stream, at + 12) as usize;
    }
    let end = at + HEAD + u32_at(&stream, at + 12) as usize;
    change(&mut stream[at + HEAD..end]);
    let sum = sum(&store, b"FSEXPORT", 1, at as u64, &stream[at + 8..end]);
    put(&mut stream, at, &sum.to_le_bytes());
    stream
}

/// How many records are to come is said before they come. Nothing is allocated in memory for them, and what is
/// set aside on the disk is asked for first.
#[test]
fn streams_that_promise_more_than_there_is_room_for_are_refused() {
    for backend in of_this_build().map(|fixture| fixture.backend) {
        for promised in [u64::MAX, u64::MAX / 16] {
            let stream = forged(3, |payload| put(payload, 24, &promised.to_le_bytes()));
            let dir = tempfile::tempdir().unwrap();
            let dest = dir.path().join("imported");
            let refused = offline::import_into(&mut stream.as_slice(), &dest, backend);
            let no_room = matches!(refused, Err(Error::DiskFull { .. } | Error::Io { .. }));
            assert!(no_room && !dest.exists(), "{backend}, {promised}: {refused:?}");
        }
    }
}

/// Times, lengths of ticks and numbers that would overflow where they are added up.
#[test]
fn streams_with_absurd_times_and_numbers_do_no_harm() {
    for backend in of_this_build().map(|fixture| fixture.backend) {
        let mut streams = Vec::new();
        for at in [4, 32, 40, 48, 56, 64, 72] {
            streams.push((1, at, forged(1, |payload| put(payload, at, &[0xff; 4]))));
            let end = |payload: &mut [u8]| put(payload, at.max(8), &u64::MAX.to_le_bytes());
            streams.push((1, at, forged(1, end)));
        }
        for at in [0, 8, 16] {
            streams.push((3, at, forged(3, |payload| put(payload, at, &u64::MAX.to_le_bytes()))));
            streams.push((3, at, forged(3, |payload| put(payload, at, &0_u64.to_le_bytes()))));
        }
        for (kind, at, stream) in streams {
            let dir = tempfile::tempdir().unwrap();
            let dest = dir.path().join("imported");
            if offline::import_into(&mut stream.as_slice(), &dest, backend).is_err() {
                assert!(!dest.exists());
                continue;
            }
            use_it(&dest, &format!("{backend}, kind {kind}, at {at}"));
        }
    }
}

/// Opens a store and does all that there is to do. Errors are answers, too.
fn use_it(dir: &Path, what: &str) {
    let clock = ManualClock::new(time_of(&fixtures::answers(MAPPED_CLOSED.name)));
    let each = || -> Result<(), Error> {
        offline::verify(dir, &mut |_| {})?;
        let _ = (offline::inspect(dir), offline::state(dir), offline::dump(dir, &mut |_| Ok(())));
        let _ = offline::export(dir, &mut std::io::sink());
        let store = builder(&clock).open(dir)?;
        store.check_and_insert(&named("first", 0..50))?;
        store.begin(&["claimed"])?.commit()?;
        store.seal()?;
        clock.advance(Duration::from_secs(700));
        store.check_and_insert(&named("more", 0..50))?;
        store.compact()?;
        let _ = (store.effective_window(), store.stats());
        store.close()?;
        let store = builder(&clock).open(dir)?;
        store.check_and_insert(&named("more", 0..50)).map(drop)
    };
    if let Err(error) = each() {
        eprintln!("{what}: {error}");
    }
}

/// Puts these words, one after the other, in the place of each of `words` of a part that ends in a checksum.
fn forge_words(file: &str, words: std::ops::Range<usize>, len: Option<usize>) {
    let (fixture, id) = (fixtures::load(MAPPED_CLOSED.name), 16..32);
    let store: [u8; 16] = fixture["STORE"][id].try_into().unwrap();
    for word in words {
        for value in [0, 1, (1 << 62) - 1, 1 << 62, u64::MAX] {
            let dir = tempfile::tempdir().unwrap();
            fixtures::lay(MAPPED_CLOSED.name, dir.path());
            let mut bytes = fixture[file].clone();
            let len = len.unwrap_or(bytes.len());
            put(&mut bytes, word * 8, &value.to_le_bytes());
            put_sum(&store, fixtures::number(file), 0, &mut bytes[..len]);
            fs::write(dir.path().join(file), bytes).unwrap();
            use_it(dir.path(), &format!("{file}, {value} at {}", word * 8));
        }
    }
}

#[test]
fn manifests_do_no_harm() {
    let len = fixtures::load(MAPPED_CLOSED.name)["MANIFEST"].len();
    forge_words("MANIFEST", 2..len / 8 - 1, None);
}

#[test]
fn headers_do_no_harm() {
    forge_words("STORE", 6..8, None);
    forge_words("000000000006.log", 5..9, Some(128));
    forge_words("000000000004.run", 5..12, Some(4096));
    forge_words("000000000004.val", 4..7, Some(64));
    forge_words("000000000005.state", 5..8, None);
}

/// One such name must not make anybody look for all the segments before it.
#[test]
fn names_of_segments_from_far_away_do_no_harm() {
    for name in ["999999999999.log", "4611686018427387903.log", "18446744073709551615.log"] {
        let dir = tempfile::tempdir().unwrap();
        fixtures::lay(MAPPED_CLOSED.name, dir.path());
        fs::write(dir.path().join(name), "").unwrap();
        let verified = offline::verify(dir.path(), &mut |_| {}).unwrap();
        assert!(verified.damages < 100, "{name}: {verified:?}");
        let exported = offline::export(dir.path(), &mut std::io::sink());
        match name.len() {
            24 => assert!(exported.is_ok(), "{name} is no segment: {exported:?}"),
            _ => assert!(matches!(exported, Err(Error::WindowIncomplete { .. })), "{name}"),
        }
        use_it(dir.path(), name);
    }
}
