//! Offline tools on stores with progress, state, outcomes and prepared transactions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::snapshot::Snapshot;
use super::transfer::{export_in, import_in};
use super::{CommittedState, checkpoint, dump, inspect, state, verify};
use crate::error::{Corruption, Error};
use crate::format::checksum::Salt;
use crate::format::commit::{Item, abort_payload, push_ids, push_item};
use crate::format::frame::{FrameBuffer, FrameKind};
use crate::format::names;
use crate::format::segment::MAGIC as SEGMENT_MAGIC;
use crate::key::Fingerprint;
use crate::log::replay;
use crate::sys::{Storage, read_exact_at, write_all_at};
use crate::testing::{ManualClock, MemoryDisk};
use crate::time::Timestamp;
use crate::{Backend, Store, Verdict};

const DIR: &str = "/s";
const COPY: &str = "/copy";
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn open_at(disk: &MemoryDisk, dir: &str) -> Store {
    let builder = Store::builder().memory_budget(16 << 20).active_ids(500).background(false);
    let builder = builder.clock(Arc::new(ManualClock::new(NOW)));
    builder.storage(Arc::new(disk.clone())).open(dir).unwrap()
}

fn open(disk: &MemoryDisk) -> Store {
    open_at(disk, DIR)
}

fn storage(disk: &MemoryDisk) -> Arc<dyn Storage> {
    Arc::new(disk.clone())
}

/// Transaction `n`: an id with an outcome, a position, a key of its own and the count of all.
fn transaction(store: &Store, n: u64) -> crate::Claim {
    let mut tx = store.begin_from("orders", &[(n, format!("id-{n}"))]).unwrap();
    tx.set_outcome(0, format!("outcome-{n}"));
    tx.put_state("count", (n + 1).to_string());
    tx.put_state(format!("key-{n}"), "x");
    tx
}

/// A state file with a prepared transaction in it, and in the log behind it commits, one more that is
/// prepared, one that was settled and one that was given up.
fn sample() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    (0..10).for_each(|n| transaction(&store, n).commit().unwrap());
    let _ = store.begin(&["old"]).unwrap().prepare("token-old").unwrap();
    store.seal().unwrap();
    (10..15).for_each(|n| transaction(&store, n).commit().unwrap());
    let mut tx = store.begin(&["new", "newer"]).unwrap();
    tx.put_state("held", "yes");
    let _ = tx.prepare([0xff, b'\\']).unwrap();
    store.begin(&["done"]).unwrap().prepare("token-done").unwrap().commit().unwrap();
    store.begin(&["not"]).unwrap().prepare("token-not").unwrap().abort().unwrap();
    std::mem::forget(store);
    disk
}

/// All that a store says beside ids.
fn committed(store: &Store) -> CommittedState {
    let in_doubt = store.in_doubt().into_iter().map(|prepared| super::InDoubt {
        token: prepared.token().to_vec(),
        fence: prepared.fence(),
        since: prepared.since().unwrap(),
        ids: prepared.ids(),
    });
    CommittedState {
        sources: store.sources().unwrap(),
        entries: store.scan_state("").unwrap(),
        in_doubt: in_doubt.collect(),
    }
}

fn outcomes(store: &Store, count: u64) -> Vec<Option<Vec<u8>>> {
    (0..count).map(|n| store.outcome(format!("id-{n}")).unwrap()).collect()
}

fn damages(disk: &MemoryDisk, dir: &str) -> (super::Verified, Vec<Corruption>) {
    let mut damages = Vec::new();
    let verified = verify::verify(disk, Path::new(dir), &mut |d| damages.push(d.clone())).unwrap();
    (verified, damages)
}

#[test]
fn what_is_read_of_a_folder_is_what_an_opening_finds() {
    let disk = sample();
    let found = state::state(&disk, Path::new(DIR)).unwrap();
    let inspected = inspect::inspect(&disk, Path::new(DIR)).unwrap();
    let store = open(&disk.kill());
    assert_eq!(found, committed(&store));
    assert_eq!(found.sources, [("orders".to_string(), 15)]);
    let tokens: Vec<_> = found.in_doubt.iter().map(|prepared| &*prepared.token).collect();
    assert_eq!(tokens, [&b"token-old"[..], &[0xff, b'\\']]);
    assert_eq!(found.in_doubt[1].ids, [&b"new"[..], b"newer"]);
    let bytes: usize = found.entries.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert_eq!((inspected.state_keys, inspected.state_bytes), (16, bytes as u64));
    assert_eq!((&inspected.sources, &inspected.in_doubt), (&found.sources, &found.in_doubt));
    assert_eq!((inspected.ids_in_runs, inspected.ids_in_log), (10, 6));
    assert_eq!(inspected.values, 15);
    store.seal().unwrap();
    let sealed = inspect::inspect(&*store.core().options.storage, Path::new(DIR)).unwrap();
    assert_eq!((sealed.values, sealed.ids_in_log, sealed.state_keys), (15, 0, 16));
    assert!(sealed.values_bytes > inspected.values_bytes, "headers are around the values");
}

#[test]
fn ids_of_commits_are_dumped_once_with_their_times() {
    let disk = sample();
    let mut dumped = BTreeMap::new();
    let each = &mut |record: super::Record| {
        assert!(dumped.insert(record.fingerprint, record).is_none(), "{record:?} twice");
        Ok(())
    };
    assert_eq!(dump::dump(&disk, Path::new(DIR), each).unwrap(), 16);
    let store = open(&disk.kill());
    let names = (0..15).map(|n| format!("id-{n}")).chain(["done".into()]);
    for name in names {
        let record = &dumped[&store.core().identity.fingerprint(name.as_bytes())];
        let mut verdicts = Vec::new();
        store.check(&[&name], &mut verdicts).unwrap();
        let Verdict::Duplicate { first_seen, .. } = verdicts[0] else { panic!("{verdicts:?}") };
        assert_eq!((record.first_seen, record.generation), (first_seen, 1), "{name}");
    }
}

#[test]
fn copies_have_state_progress_outcomes_and_what_is_prepared() {
    for how in [checkpoint::checkpoint_in, checkpoint::restore_in] {
        let disk = sample();
        how(&storage(&disk), Path::new(DIR), Path::new(COPY)).unwrap();
        let store = open(&disk.kill());
        // The copy is durable when the call returns.
        let disk = disk.crash();
        assert_eq!(damages(&disk, COPY).1, []);
        let copy = open_at(&disk, COPY);
        assert_eq!(committed(&copy), committed(&store));
        assert_eq!(outcomes(&copy, 15), outcomes(&store, 15));
        for prepared in copy.in_doubt() {
            prepared.commit().unwrap();
        }
        assert_eq!(copy.state("held").unwrap().as_deref(), Some(&b"yes"[..]));
        let known = copy.contains(&["old", "new", "newer", "done", "not"]).unwrap();
        assert_eq!(known, [true, true, true, true, false]);
    }
}

#[test]
fn a_copy_gives_out_no_fencing_token_of_a_claim_that_it_holds() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    store.check_and_insert(&["a"]).unwrap();
    let snapshot = Snapshot::take(&disk, Path::new(DIR)).unwrap();
    // The first claim of a store has tokens reserved in the manifest: after it was read.
    let held = store.begin(&["b"]).unwrap().prepare("t").unwrap().fence();
    let (from, to) = (Path::new(DIR), Path::new(COPY));
    checkpoint::copy_snapshot(&storage(&disk), snapshot, from, to, checkpoint::How::Copy).unwrap();
    let copy = open_at(&disk, COPY);
    assert_eq!(copy.in_doubt()[0].fence(), held);
    let fence = copy.begin(&["c"]).unwrap().token();
    assert!(fence > held, "{fence} after {held}");
}

#[test]
fn every_damage_of_state_and_transactions_is_told() {
    let disk = sample().kill();
    let number = Snapshot::take(&disk, Path::new(DIR)).unwrap().manifest.state;
    let path = names::state(Path::new(DIR), number);
    let file = disk.open(&path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    let writer = disk.open_write(&path).unwrap();
    for at in 0..bytes.len() {
        write_all_at(&*writer, &[bytes[at] ^ 0x10], at as u64).unwrap();
        let (_, found) = damages(&disk, DIR);
        assert_eq!(found.len(), 1, "byte {at}: {found:?}");
        assert_eq!(found[0].path, path);
        let errors = [
            state::state(&disk, Path::new(DIR)).err(),
            inspect::inspect(&disk, Path::new(DIR)).err(),
            checkpoint::restore_in(&storage(&disk), Path::new(DIR), Path::new(COPY)).err(),
        ];
        let typed = |error: &_| matches!(error, Some(Error::Corrupt(_) | Error::Version { .. }));
        assert!(errors.iter().all(typed), "byte {at}: {errors:?}");
        assert!(disk.list(Path::new(COPY)).is_err());
        write_all_at(&*writer, &bytes[at..=at], at as u64).unwrap();
    }
    assert_eq!(damages(&disk, DIR).1, []);
    disk.remove(&path).unwrap();
    assert_eq!(damages(&disk, DIR).1.iter().filter(|damage| damage.path == path).count(), 1);
    let missing = state::state(&disk, Path::new(DIR));
    assert!(matches!(missing, Err(Error::WindowIncomplete { .. })), "{missing:?}");
}

#[test]
fn a_state_file_is_verified_also_without_a_manifest() {
    let disk = sample().kill();
    let number = Snapshot::take(&disk, Path::new(DIR)).unwrap().manifest.state;
    let path = names::state(Path::new(DIR), number);
    disk.remove(&Path::new(DIR).join(names::MANIFEST)).unwrap();
    assert_eq!(damages(&disk, DIR).1.len(), 1);
    write_all_at(&*disk.open_write(&path).unwrap(), b"!", 70).unwrap();
    assert_eq!(damages(&disk, DIR).1.iter().filter(|damage| damage.path == path).count(), 1);
}

/// Puts a frame behind the last one of the last segment; its offset.
fn forge(disk: &MemoryDisk, kind: FrameKind, payload: &[u8]) -> (std::path::PathBuf, u64) {
    let snapshot = Snapshot::take(disk, Path::new(DIR)).unwrap();
    let segment = snapshot.files.segments.last().unwrap();
    let salt = Salt::new(&snapshot.superblock.store, SEGMENT_MAGIC, segment.number);
    let end = replay(&*segment.file, &segment.path, salt, &mut |_, _, _| Ok(())).unwrap().end;
    let mut frame = FrameBuffer::default();
    frame.start();
    frame.extend(payload);
    frame.seal(kind, NOW, 0, &[]);
    let file = disk.open_write(&segment.path).unwrap();
    write_all_at(&*file, frame.place(salt, end, 0), end).unwrap();
    (segment.path.clone(), end)
}

#[test]
fn frames_with_a_right_checksum_and_a_wrong_payload_are_damage() {
    let id = Fingerprint::from_u128(7);
    let payload = |items: &[Item<'_>]| {
        let mut payload = Vec::new();
        push_ids(&mut payload, std::iter::once(id));
        items.iter().for_each(|item| push_item(&mut payload, item));
        payload
    };
    let wrong = [
        (FrameKind::Commit, payload(&[Item::RawId { index: 0, id: b"id" }])),
        (FrameKind::Commit, vec![0xff; 24]),
        (FrameKind::Commit, Vec::new()),
        (FrameKind::Prepare, payload(&[])),
        (FrameKind::Abort, payload(&[Item::Token(b"t")])),
        (FrameKind::Ids, vec![1; 17]),
    ];
    for (kind, payload) in wrong {
        let disk = sample().kill();
        let records = damages(&disk, DIR).0.records;
        let (path, at) = forge(&disk, kind, &payload);
        // What comes behind is read all the same.
        forge(&disk, FrameKind::Ids, &[2; 16]);
        let (verified, found) = damages(&disk, DIR);
        assert_eq!(found.len(), 1, "{kind:?}: {found:?}");
        assert_eq!(found[0].path, path);
        assert!(found[0].offset >= at && found[0].offset <= at + 72, "{:?}", found[0]);
        assert_eq!(verified.records, records + 1);
        let errors = [
            state::state(&disk, Path::new(DIR)).err(),
            inspect::inspect(&disk, Path::new(DIR)).err(),
            dump::dump(&disk, Path::new(DIR), &mut |_| Ok(())).err(),
            export_in(&disk, Path::new(DIR), &mut std::io::sink()).err(),
        ];
        let typed = |error: &_| matches!(error, Some(Error::Corrupt(_)));
        assert!(errors.iter().all(typed), "{kind:?}: {errors:?}");
    }
    let disk = sample().kill();
    forge(&disk, FrameKind::Abort, &abort_payload(b"never prepared"));
    assert_eq!(damages(&disk, DIR).1, []);
}

#[test]
fn a_stream_has_the_outcomes_that_are_still_in_the_log() {
    let disk = sample();
    let store = open(&disk.kill());
    // One that was in a run comes back with another outcome, and one of the log without any.
    store.forget(&["id-3", "id-12", "id-13"]).unwrap();
    let mut tx = store.begin(&["id-3", "id-12"]).unwrap();
    tx.set_outcome(0, "again");
    tx.commit().unwrap();
    let expected = outcomes(&store, 15);
    let disk = Arc::clone(&store.core().options.storage);
    let mut stream = Vec::new();
    export_in(&*disk, Path::new(DIR), &mut stream).unwrap();
    import_in(&disk, &mut stream.as_slice(), Path::new(COPY), Backend::Mapped).unwrap();
    let copy = Store::builder().memory_budget(16 << 20).background(false);
    let copy = copy.clock(Arc::new(ManualClock::new(NOW))).storage(disk).open(COPY).unwrap();
    assert_eq!(outcomes(&copy, 15), expected);
    assert_eq!(expected[3].as_deref(), Some(&b"again"[..]));
    assert_eq!((&expected[12], &expected[13]), (&None, &None));
    // The stream is about ids: nothing else is in it, nor what is only prepared.
    assert_eq!(
        committed(&copy),
        CommittedState { sources: vec![], entries: vec![], in_doubt: vec![] }
    );
    assert_eq!(copy.contains(&["old", "done", "id-13"]).unwrap(), [false, true, false]);
}
