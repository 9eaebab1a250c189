//! Runs and segments in a real database.

use std::path::Path;
use std::sync::Arc;

use super::SledVault;
use crate::backend::{Found, RunTarget, Sealed, Vault};
use crate::compaction::write_run;
use crate::error::Error;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::{Record, Records};
use crate::sys::disk::Disk;
use crate::sys::{File, read_exact_at, write_all_at};
use crate::time::{Ticks, Timestamp};

const STORE: [u8; 16] = [0x5a; 16];

fn open(dir: &Path, create: bool) -> Result<SledVault, Error> {
    SledVault::open(Arc::new(Disk), dir, STORE, 16 << 20, create)
}

fn vault() -> (tempfile::TempDir, SledVault) {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(dir.path(), true).unwrap();
    (dir, vault)
}

fn target(number: u64, generation: u64, expected: u64) -> RunTarget {
    let ticks = Ticks { base: Timestamp::MIN, micros: 1 };
    RunTarget { number, generation, ticks, expected }
}

fn id(n: u64) -> Fingerprint {
    Fingerprint {
        hi: n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        lo: n.wrapping_mul(0xbf58_476d_1ce4_e5b9),
    }
}

fn records(from: u64, count: u64) -> Vec<Record> {
    let mut records: Vec<Record> = (from..from + count).map(|n| (id(n), n as u8)).collect();
    records.sort_unstable();
    records
}

/// Values for some of the records, of which some are long.
fn values(records: &[Record]) -> Vec<(Fingerprint, Value)> {
    let value = |(i, &(id, _)): (usize, &Record)| {
        let len = if i % 50 == 0 { 100_000 } else { i % 300 };
        let outcome = (i % 3 > 0).then(|| vec![i as u8; len].into());
        let payload = (i % 2 == 0).then_some(id);
        (id, Value { time: Timestamp::from_micros(i as u64), payload, outcome })
    };
    records.iter().enumerate().filter(|(i, _)| i % 7 == 0).map(value).collect()
}

fn write(vault: &SledVault, target: RunTarget, records: &[Record]) -> Arc<dyn Sealed> {
    let (values, records) = (values(records).into_iter().map(Ok), records.to_vec());
    write_run(vault, target, records.into_iter(), values).unwrap()
}

fn check(run: &dyn Sealed, expected: &[Record]) {
    let ids: Vec<Fingerprint> = (0..3_000).map(id).collect();
    let asked: Vec<u32> = (0..3_000).collect();
    let (mut maybe, mut found) = (Vec::new(), Found::default());
    run.sift(&ids, &asked, &mut maybe).unwrap();
    run.find(&ids, &maybe, &mut found).unwrap();
    found.hits.sort_unstable();
    let wanted = |&(i, _): &(u32, u8)| expected.iter().any(|&(id, _)| id == ids[i as usize]);
    assert_eq!(found.hits.len(), expected.len());
    assert!(found.hits.iter().all(wanted) && found.hits.iter().all(|&(i, tick)| i as u8 == tick));
    assert!(found.pages < expected.len() as u64 + 100, "{} pages", found.pages);
    let (read, ended) = run.records_from(0).read_all();
    ended.unwrap();
    assert!(read == expected);
    for from in [1, expected.len() / 2, expected.len() - 1] {
        let (rest, ended) = run.records_from(expected[from].0.hi).read_all();
        ended.unwrap();
        assert!(rest == expected[from..]);
    }
    let values = values(expected);
    assert_eq!(run.values(), values.len() as u64);
    assert!(run.values_after(None).map(Result::unwrap).eq(values.iter().cloned()));
    let middle = values.len() / 2;
    let rest = run.values_after(Some(values[middle].0)).map(Result::unwrap);
    assert!(rest.eq(values[middle + 1..].iter().cloned()));
    for &(id, _) in expected {
        let kept = values.iter().find(|value| value.0 == id).map(|value| value.1.clone());
        assert_eq!(run.value(id).unwrap(), kept);
    }
    run.verify(&mut |damage| panic!("{damage}")).unwrap();
}

#[test]
fn a_run_answers_exactly_before_and_after_reopening() {
    let (dir, vault) = vault();
    let records = records(0, 1_000);
    let run = write(&vault, target(1, 1, 1_000), &records);
    check(&*run, &records);
    let entry = run.entry();
    drop(run);
    vault.close();
    let vault = open(dir.path(), false).unwrap();
    check(&*vault.open_run(&entry).unwrap(), &records);
    assert_eq!(std::fs::read_dir(dir.path().join("sled/blobs")).unwrap().count(), 0);
}

#[test]
fn runs_share_a_tree_and_do_not_see_each_other() {
    let (_dir, vault) = vault();
    let (first, second) = (records(0, 900), records(900, 900));
    let one = write(&vault, target(1, 4, 900), &first);
    let other = write(&vault, target(2, 4, 900), &second);
    check(&*one, &first);
    check(&*other, &second);
    vault.remove_run(&one.entry()).unwrap();
    check(&*other, &second);
    assert!(matches!(vault.open_run(&one.entry()), Err(Error::WindowIncomplete { .. })));
    vault.remove_generation(4, &[]).unwrap();
    assert!(matches!(vault.open_run(&other.entry()), Err(Error::WindowIncomplete { .. })));
}

#[test]
fn a_run_that_is_not_finished_leaves_nothing() {
    let (_dir, vault) = vault();
    let mut sink = vault.start_run(target(1, 1, 1_000)).unwrap();
    sink.push(&records(0, 2_000)).unwrap();
    drop(sink);
    let database = vault.database().unwrap();
    let tree = database.db().open_tree(super::keys::generation(1)).unwrap();
    assert_eq!(tree.len(), 0);
}

#[test]
fn an_empty_run_is_a_run() {
    let (_dir, vault) = vault();
    let run = write(&vault, target(1, 1, 0), &[]);
    let mut found = Found::default();
    run.find(&[id(1)], &[0], &mut found).unwrap();
    assert!(found.hits.is_empty() && run.records_from(0).read_all().0.is_empty());
    assert_eq!(run.value(id(1)).unwrap(), None);
    run.verify(&mut |damage| panic!("{damage}")).unwrap();
}

/// Whatever key is lost or changed, what a run has is found, or an error says why not.
#[test]
fn a_key_that_is_lost_or_changed_is_noticed() {
    let (_dir, vault) = vault();
    let records = records(0, 600);
    let run = write(&vault, target(1, 1, 600), &records);
    let entry = run.entry();
    drop(run);
    let database = vault.database().unwrap();
    let tree = database.db().open_tree(super::keys::generation(1)).unwrap();
    let pairs: Vec<_> = tree.iter().map(Result::unwrap).collect();
    assert!(pairs.len() > 20);
    for (key, value) in pairs {
        for change in [None, Some(0), Some(value.len() - 1)] {
            match change {
                None => drop(tree.remove(&key).unwrap()),
                Some(at) => {
                    let mut changed = value.to_vec();
                    changed[at] ^= 1;
                    tree.insert(&key, changed).unwrap();
                }
            }
            if let Ok(run) = vault.open_run(&entry) {
                for &(id, tick) in &records {
                    let mut found = Found::default();
                    if run.find(&[id], &[0], &mut found).is_ok() {
                        assert_eq!(found.hits, [(0, tick)], "key {key:?}, change {change:?}");
                    }
                }
                for (id, value) in values(&records) {
                    if let Ok(found) = run.value(id) {
                        assert_eq!(found, Some(value), "key {key:?}, change {change:?}");
                    }
                }
                let read: Result<Vec<_>, Error> = run.values_after(None).collect();
                if let Ok(read) = read {
                    assert!(read == values(&records), "key {key:?}, change {change:?}");
                }
                let mut damages = 0;
                run.verify(&mut |_| damages += 1).unwrap();
                assert!(damages > 0, "key {key:?}, change {change:?}");
            }
            tree.insert(&key, &value).unwrap();
        }
    }
    check(&*vault.open_run(&entry).unwrap(), &records);
}

/// Who reads in order, as a merge does, is not told less than the run has.
#[test]
fn a_front_that_is_lost_is_not_passed_over() {
    let (_dir, vault) = vault();
    let records = records(0, 600);
    let entry = write(&vault, target(1, 1, 600), &records).entry();
    let database = vault.database().unwrap();
    let tree = database.db().open_tree(super::keys::generation(1)).unwrap();
    let first = records[0].0;
    tree.remove(super::keys::records(1, first)).unwrap().unwrap();
    tree.remove(super::keys::values(1, first, 0)).unwrap().unwrap();
    let run = vault.open_run(&entry).unwrap();
    for from in [0, records[1].0.hi] {
        let (_, read) = run.records_from(from).read_all();
        assert!(matches!(read, Err(Error::Corrupt(_))), "from {from:#x}: {read:?}");
    }
    for after in [None, Some(first)] {
        let read = run.values_after(after).next().unwrap();
        assert!(matches!(read, Err(Error::Corrupt(_))), "after {after:?}: {read:?}");
    }
}

fn content(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_exact_at(file, &mut bytes, 0).unwrap();
    bytes
}

#[test]
fn a_segment_reads_back_what_was_appended_and_not_cut() {
    let (dir, vault) = vault();
    let expected: Vec<u8> = (0..200_000_u32).map(|n| (n / 7) as u8).collect();
    let file = vault.create_segment(3).unwrap();
    let other = vault.create_segment(4).unwrap();
    write_all_at(&*other, b"another", 0).unwrap();
    let mut offset = 0;
    for len in [128, 1, 6_135, 6_136, 6_137, 100_000, 40_000].into_iter().cycle() {
        let end = expected.len().min(offset + len);
        write_all_at(&*file, &expected[offset..end], offset as u64).unwrap();
        offset = end;
        if end == expected.len() {
            break;
        }
    }
    assert!(content(&*file) == expected);
    for len in [200_000, 199_999, 150_000, 128, 100, 0] {
        file.truncate(len as u64).unwrap();
        assert!(content(&*file) == expected[..len], "{len}");
    }
    write_all_at(&*file, b"again", 0).unwrap();
    drop((file, other));
    vault.close();
    let vault = open(dir.path(), false).unwrap();
    assert_eq!(vault.segments(0).unwrap(), [3, 4]);
    assert_eq!(vault.segments(4).unwrap(), [4]);
    assert_eq!(content(&*vault.open_segment(3).unwrap()), b"again");
    assert_eq!(content(&*vault.open_segment(4).unwrap()), b"another");
    vault.remove_segment(3).unwrap();
    assert_eq!(vault.segments(0).unwrap(), [4]);
    assert_eq!(std::fs::read_dir(dir.path().join("sled/blobs")).unwrap().count(), 0);
}

#[test]
fn a_hole_in_a_segment_is_damage_and_cutting_makes_none() {
    let (_dir, vault) = vault();
    let file = vault.create_segment(1).unwrap();
    write_all_at(&*file, &vec![7; 3_000_000], 0).unwrap();
    let database = vault.database().unwrap();
    let keys: Vec<_> = database.log().iter().keys().map(Result::unwrap).collect();
    assert!(keys.len() > 400);
    database.log().remove(&keys[300]).unwrap();
    let mut bytes = vec![0; 3_000_000];
    let read = read_exact_at(&*file, &mut bytes, 0).unwrap_err();
    assert!(matches!(Error::io("read", Path::new("x"), read), Error::Corrupt(_)));
    let hole = 300 * (super::piece::MAX - super::piece::SUM) as u64;
    file.truncate(hole).unwrap();
    assert!(content(&*file).len() as u64 == hole);
}

#[test]
fn a_database_that_is_missing_or_not_the_stores_is_refused() {
    let (dir, vault) = vault();
    vault.close();
    let path = dir.path().join("sled");
    let others = SledVault::open(Arc::new(Disk), dir.path(), [1; 16], 16 << 20, false);
    assert!(matches!(others, Err(Error::Corrupt(_))), "{others:?}");
    for name in ["db", "conf"] {
        std::fs::rename(path.join(name), path.join("away")).unwrap();
        match open(dir.path(), false) {
            Err(Error::WindowIncomplete { missing }) => assert_eq!(missing, path.join(name)),
            other => panic!("{other:?}"),
        }
        std::fs::rename(path.join("away"), path.join(name)).unwrap();
    }
    open(dir.path(), false).unwrap();
}

/// The worked example of docs/FORMAT-sled.md: bytes that change only together with it.
#[test]
fn the_example_of_the_format() {
    let (_dir, vault) = vault();
    let ticks = Ticks { base: Timestamp::from_secs(1_700_000_000), micros: 1_000_000 };
    let target = RunTarget { number: 7, generation: 3, ticks, expected: 2 };
    let ids = [5 << 64 | 1, 1 << 122].map(Fingerprint::from_u128);
    let records = vec![(ids[0], 0x11), (ids[1], 0x33)];
    let paid = Value { time: ticks.base, payload: None, outcome: Some((*b"paid").into()) };
    write_run(&vault, target, records.into_iter(), std::iter::once(Ok((ids[0], paid)))).unwrap();
    let database = vault.database().unwrap();
    let tree = database.db().open_tree(super::keys::generation(3)).unwrap();
    let shown: Vec<String> =
        tree.iter().map(Result::unwrap).map(|(key, value)| show(&key, &value)).collect();
    let text = include_str!("../../../docs/FORMAT-sled.md");
    for piece in shown {
        assert!(text.contains(&piece), "docs/FORMAT-sled.md does not have\n{piece}");
    }
}

/// A key and its value as docs/FORMAT-sled.md shows them: lines of 16 bytes, of zeros left out.
fn show(key: &[u8], value: &[u8]) -> String {
    let hex = |bytes: &[u8]| {
        let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes.join(" ")
    };
    let mut shown = format!("  key  {}", hex(key));
    for (i, line) in value.chunks(16).enumerate() {
        if line.iter().any(|&byte| byte != 0) {
            shown.push_str(&format!("\n{:6}  {}", i * 16, hex(line)));
        }
    }
    shown
}
