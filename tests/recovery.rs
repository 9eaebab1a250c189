//! What opening finds: clean and unclean ends, left-over files, damage, foreign folders.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{MemoryDisk, Op, Storage};
use firstseen::{Backend, Builder, Durability, Error, Store, Verdict};

mod support;

use support::disk::{Before, DIR, HookedDisk, files, flip, names, overwrite, path, read};
use support::ids;

fn builder(disk: &MemoryDisk) -> Builder {
    let builder = Store::builder().storage(Arc::new(disk.clone())).background(false);
    builder.memory_budget(32 << 20).active_ids(1_000)
}

fn open(disk: &MemoryDisk) -> Store {
    builder(disk).open(DIR).unwrap()
}

fn range(from: u64, to: u64) -> Vec<Vec<u8>> {
    ids(&(from..to).collect::<Vec<_>>())
}

fn insert(store: &Store, from: u64, to: u64) {
    let verdicts = store.check_and_insert(&range(from, to)).unwrap();
    assert!(verdicts.iter().all(Verdict::is_new), "{from}..{to}: {verdicts:?}");
}

fn assert_known(store: &Store, from: u64, to: u64) {
    let known = store.contains(&range(from, to)).unwrap();
    let missing = known.iter().position(|known| !known);
    assert_eq!(missing, None, "of {from}..{to}");
}

/// A store that synced three calls, and died.
fn three_calls(durability: Durability) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let store = builder(&disk).durability(durability).open(DIR).unwrap();
    (0..3).for_each(|n| insert(&store, n * 100, n * 100 + 100));
    disk.kill()
}

fn corruption(opened: firstseen::Result<Store>) -> firstseen::Corruption {
    match opened {
        Err(Error::Corrupt(corruption)) => corruption,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_replayed_is_kept_when_it_is_sealed_or_its_table_is_full() {
    let disk = three_calls(Durability::Buffered);
    let store = open(&disk);
    assert_eq!(store.recovery().ids, 300);
    store.seal().unwrap();
    assert_known(&store, 0, 300);
    let store = open(&disk.kill());
    assert_known(&store, 0, 300);

    let disk = three_calls(Durability::Buffered);
    let store = open(&disk);
    insert(&store, 1_000, 1_900);
    assert_known(&store, 0, 300);
    store.compact().unwrap();
    assert_known(&store, 0, 300);
    assert_known(&open(&disk.kill()), 0, 300);
}

#[test]
fn a_replayed_duplicate_is_as_durable_as_it_is_said_to_be() {
    let disk = three_calls(Durability::Buffered);
    let store = builder(&disk).durability(Durability::Sync).open(DIR).unwrap();
    assert!(store.check_and_insert(&range(0, 300)).unwrap().iter().all(Verdict::is_duplicate));
    assert_known(&open(&disk.crash()), 0, 300);

    let disk = three_calls(Durability::Buffered);
    open(&disk).sync().unwrap();
    assert_known(&open(&disk.crash()), 0, 300);
}

#[test]
fn an_opening_that_dropped_an_empty_segment_can_be_repeated() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    insert(&store, 0, 900);
    insert(&store, 900, 1_800);
    store.seal().unwrap();
    // The segment that the manifest knows of has its name, and none of its bytes.
    let disk = disk.crash();
    let first = open(&disk);
    assert_known(&first, 0, 1_800);
    let again = open(&disk.kill());
    assert_known(&again, 0, 1_800);
    insert(&again, 2_000, 2_010);
    assert_known(&open(&disk.crash()), 0, 1_800);
}

#[test]
fn left_over_files_are_removed_and_counted() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    insert(&store, 0, 900);
    store.compact().unwrap();
    insert(&store, 900, 1_000);
    store.close().unwrap();
    for name in ["000000000099.run", "MANIFEST.new", "000000000000.log", "000000000003.log"] {
        disk.create(&path(name)).unwrap();
    }
    let store = open(&disk);
    assert_eq!(store.recovery().removed_files, 4, "{:?}", names(&disk));
    assert_known(&store, 0, 1_000);
    insert(&store, 1_000, 1_100);
    assert_known(&open(&disk.kill()), 0, 1_100);
}

#[test]
fn a_cut_or_zeroed_tail_is_dropped_and_reported() {
    for keep in [0, 1, 64, 128, 140, 1_768, 1_800, 3_400] {
        let disk = three_calls(Durability::Buffered);
        let name = files(&disk, ".log").pop().unwrap();
        let bytes = read(&disk, &name);
        let mut zeroed = bytes[..keep].to_vec();
        for zeros in [0, bytes.len() - keep] {
            zeroed.resize(keep + zeros, 0);
            overwrite(&disk, &name, &zeroed);
            let opened = builder(&disk).open(DIR);
            let store = opened.unwrap();
            let whole = (keep.saturating_sub(128) / 1_640) as u64 * 100;
            assert_eq!(store.recovery().ids, whole, "{keep} bytes kept");
            assert_known(&store, 0, whole);
            assert_eq!(
                store.contains(&range(whole, 300)).unwrap(),
                vec![false; 300 - whole as usize]
            );
            assert_eq!(store.recovery().torn_bytes > 0, keep > 128 && (keep - 128) % 1_640 != 0);
            drop(store);
        }
    }
}

#[test]
fn rot_in_the_middle_of_what_was_synced_is_an_error() {
    let disk = three_calls(Durability::Sync);
    let name = files(&disk, ".log").pop().unwrap();
    let bytes = read(&disk, &name);
    for at in (128..128 + 1_640).step_by(97) {
        flip(&disk, &name, at);
        let found = corruption(builder(&disk).open(DIR));
        assert_eq!((found.path, found.offset), (path(&name), 128), "byte {at}");
        overwrite(&disk, &name, &bytes);
    }
    for at in (0..128).step_by(7) {
        flip(&disk, &name, at);
        let opened = builder(&disk).open(DIR);
        assert!(matches!(opened, Err(Error::Corrupt(_) | Error::Version { .. })), "byte {at}");
        overwrite(&disk, &name, &bytes);
    }
    assert_known(&open(&disk), 0, 300);
}

#[test]
fn a_missing_run_is_told_and_can_be_accepted() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    insert(&store, 0, 500);
    store.seal().unwrap();
    insert(&store, 500, 1_000);
    store.close().unwrap();
    let run = files(&disk, ".run").pop().unwrap();
    disk.remove(&path(&run)).unwrap();
    match builder(&disk).open(DIR) {
        Err(Error::WindowIncomplete { missing }) => assert_eq!(missing, path(&run)),
        other => panic!("{other:?}"),
    }
    let store = builder(&disk).accept_incomplete(true).open(DIR).unwrap();
    assert_eq!(store.recovery().missing_runs, 1);
    assert!(store.effective_window() < Duration::from_secs(60), "{:?}", store.effective_window());
    assert_known(&store, 500, 1_000);
    store.compact().unwrap();
    drop(store);
    assert_known(&open(&disk), 500, 1_000);
}

#[test]
fn missing_fixed_files_and_segments_are_told() {
    for lost in ["STORE", "MANIFEST", "000000000001.log"] {
        let disk = three_calls(Durability::Buffered);
        open(&disk).close().unwrap();
        disk.remove(&path(lost)).unwrap();
        match builder(&disk).open(DIR) {
            Err(Error::WindowIncomplete { missing }) => assert_eq!(missing, path(lost)),
            other => panic!("{lost}: {other:?}"),
        }
    }
}

#[test]
fn a_foreign_folder_is_left_alone() {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    disk.create(&path("notes.txt")).unwrap();
    assert!(matches!(builder(&disk).open(DIR), Err(Error::NotAStore { .. })));
    assert_eq!(names(&disk), ["notes.txt"]);
    let none = builder(&MemoryDisk::new()).create(false).open(DIR);
    assert!(matches!(none, Err(Error::NotAStore { .. })));
}

/// A database is on real files only, so that is so for a disk in memory with the feature `sled`, too.
#[test]
fn a_backend_that_this_build_has_not_leaves_no_folder() {
    let disk = MemoryDisk::new();
    let refused = builder(&disk).backend(Backend::Sled).open(DIR).err();
    assert!(matches!(refused, Some(Error::InvalidOption { option: "backend", .. })));
    assert!(disk.list(Path::new(DIR)).is_err(), "{:?}", disk.list(Path::new(DIR)));
}

#[test]
fn only_one_has_it_open() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    assert!(matches!(builder(&disk).open(DIR), Err(Error::Locked { .. })));
    store.close().unwrap();
    drop(open(&disk));
    let dir = tempfile::tempdir().unwrap();
    let _store = Store::open(dir.path()).unwrap();
    match Store::open(dir.path()) {
        Err(Error::Locked { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_who_create_at_once_do_not_undo_each_other() {
    let disk = MemoryDisk::new();
    let other = disk.clone();
    let late = HookedDisk::new(&disk);
    late.once(Before::Lock, move || {
        let store = open(&other);
        insert(&store, 0, 10);
        store.close().unwrap();
    });
    let store = builder(&disk).storage(Arc::new(late)).open(DIR).unwrap();
    assert_known(&store, 0, 10);
}

#[test]
fn newer_versions_are_not_touched() {
    for name in ["STORE", "MANIFEST", "000000000001.log", "000000000001.run"] {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        insert(&store, 0, 500);
        store.seal().unwrap();
        insert(&store, 500, 600);
        store.close().unwrap();
        let kind = name.split_once('.').map(|(_, kind)| kind);
        let name = kind.map_or(name.to_owned(), |kind| files(&disk, kind).pop().unwrap());
        let mut bytes = read(&disk, &name);
        bytes[8] += 1;
        overwrite(&disk, &name, &bytes);
        match builder(&disk).open(DIR) {
            Err(Error::Version { path: file, found, supported }) => {
                assert_eq!((file, found), (path(&name), supported + 1));
            }
            // A run's version stands behind its checksum.
            Err(Error::Corrupt(damage)) if name.ends_with(".run") => {
                assert_eq!(damage.path, path(&name));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_power_cut_after_a_kill_finds_one_manifest_and_its_files() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    insert(&store, 0, 900);
    // Killed between putting the new manifest in its place and making that durable.
    let ops = disk.ops();
    store.seal().unwrap();
    let steps = disk.ops() - ops;
    for dies_at in 0..steps {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        insert(&store, 0, 900);
        store.sync().unwrap();
        disk.fail_from(disk.ops() + dies_at, ErrorKind::Other);
        let _ = store.seal();
        let killed = disk.kill();
        let opened = open(&killed);
        for seed in 0..8 {
            assert_known(&open(&killed.crash_with(seed)), 0, 900);
        }
        assert_known(&opened, 0, 900);
    }
}

#[test]
fn a_failed_write_takes_back_nothing_that_was_acknowledged() {
    for durability in [Durability::Buffered, Durability::Sync] {
        for later in 0..2 {
            let disk = MemoryDisk::new();
            let store = builder(&disk).durability(durability).open(DIR).unwrap();
            (0..3).for_each(|n| insert(&store, n * 100, n * 100 + 100));
            disk.fail_at(disk.ops() + later, ErrorKind::Other);
            let outcome = store.check_and_insert(&range(300, 400));
            assert_eq!(outcome.is_err(), durability == Durability::Sync || later == 0);
            let left = open(&disk.kill());
            assert_known(&left, 0, 300);
            assert_eq!(left.contains(&range(300, 400)).unwrap(), [outcome.is_ok(); 100]);
        }
    }
}

#[test]
fn a_full_disk_at_the_first_segment_does_not_end_the_log_there() {
    for operation in 0..12 {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        disk.fail_at(disk.ops() + operation, ErrorKind::StorageFull);
        match store.check_and_insert(&range(0, 100)) {
            Err(Error::DiskFull { .. }) => insert(&store, 0, 100),
            Err(Error::Poisoned { .. }) => continue,
            other => drop(other.unwrap()),
        }
        assert_known(&open(&disk.kill()), 0, 100);
    }
}

#[test]
fn a_forgotten_id_that_came_back_is_acknowledged_like_any_other() {
    let disk = MemoryDisk::new();
    let store = builder(&disk).durability(Durability::Sync).open(DIR).unwrap();
    insert(&store, 0, 10);
    assert_eq!(store.forget(&range(0, 5)).unwrap(), 5);
    disk.fail_from(disk.ops(), ErrorKind::Other);
    assert!(store.check_and_insert(&range(0, 5)).is_err());
    // Their record is not durable, so nobody may be told of it.
    assert!(store.check_and_insert(&range(0, 5)).is_err());
    assert!(store.contains(&range(0, 5)).is_err());
    disk.heal();
    let left = open(&disk.crash());
    assert_eq!(left.contains(&range(0, 10)).unwrap(), [[false; 5], [true; 5]].concat());
}

#[test]
fn a_manifest_knows_of_no_forgetting_that_the_log_lost() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    insert(&store, 0, 900);
    assert_eq!(store.forget(&range(0, 5)).unwrap(), 5);
    insert(&store, 1_000, 1_900);
    insert(&store, 2_000, 2_900);
    insert(&store, 0, 5);
    // Needs a fresh table while two wait: one is sealed, and a manifest written.
    insert(&store, 3_000, 3_900);
    assert_eq!(store.stats().sealed, 1);
    for seed in 0..32 {
        let left = open(&disk.crash_with(seed));
        let known = left.contains(&range(0, 5)).unwrap();
        let before = left.contains(&range(2_000, 2_900)).unwrap();
        assert!(known == [false; 5] || before == [true; 900], "seed {seed}");
    }
}

#[test]
fn a_manifest_of_unknown_fate_is_followed_by_nothing() {
    let steps = {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        insert(&store, 0, 900);
        let ops = disk.ops();
        store.seal().unwrap();
        disk.ops() - ops
    };
    for operation in 0..steps {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        insert(&store, 0, 900);
        disk.fail_at(disk.ops() + operation, ErrorKind::Other);
        let _ = store.seal();
        let _ = store.seal();
        assert_known(&open(&disk.kill()), 0, 900);
        let _ = store.check_and_insert(&range(900, 910));
        let _ = store.close();
        assert_known(&open(&disk), 0, 900);
    }
}

/// Three segments with a call each, of which nothing was made durable.
fn three_segments() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let store = builder(&disk).active_ids(100).open(DIR).unwrap();
    (0..3).for_each(|n| insert(&store, n * 70, n * 70 + 70));
    assert_eq!(files(&disk, ".log").len(), 3);
    disk.kill()
}

/// Nothing of the two had been made durable, and of the later more had reached the medium than of the earlier.
#[test]
fn a_header_cut_short_before_a_whole_one_ends_the_log() {
    for kept in 0..128 {
        for zeros_behind in [false, true] {
            let disk = three_segments();
            let name = &files(&disk, ".log")[1];
            let mut bytes = read(&disk, name);
            let len = if zeros_behind { bytes.len() } else { kept };
            bytes.truncate(kept);
            bytes.resize(len, 0);
            overwrite(&disk, name, &bytes);
            let opened = builder(&disk).open(DIR);
            let store = opened.unwrap_or_else(|error| panic!("{kept} bytes of it: {error}"));
            assert_known(&store, 0, 70);
            assert_eq!(store.contains(&range(70, 210)).unwrap(), [false; 140]);
            drop(store);
            assert_known(&open(&disk), 0, 70);
        }
    }
}

/// The same bytes, but what is behind them says that they were durable.
#[test]
fn a_header_cut_short_before_one_that_vouches_for_it_is_damage() {
    for kept in 0..128 {
        let disk = MemoryDisk::new();
        let store = builder(&disk).active_ids(100).open(DIR).unwrap();
        insert(&store, 0, 70);
        insert(&store, 70, 140);
        store.sync().unwrap();
        insert(&store, 140, 210);
        let disk = disk.kill();
        let name = &files(&disk, ".log")[1];
        overwrite(&disk, name, &read(&disk, name)[..kept]);
        let found = corruption(builder(&disk).open(DIR));
        assert_eq!(found.path, path(name), "{kept} bytes of it");
    }
}

/// A failure cuts files to what was acknowledged. Then a power cut that leaves lengths as it likes ends some of them
/// inside of a header, and what was never durable kept the store from opening.
#[test]
fn a_power_cut_after_a_failure_leaves_a_store_that_opens() {
    let go = |disk: &MemoryDisk| -> firstseen::Result<()> {
        let store = builder(disk).active_ids(100).open(DIR)?;
        for n in 0..5 {
            store.check_and_insert(&range(n * 70, n * 70 + 70))?;
        }
        store.close()
    };
    let whole = MemoryDisk::new();
    go(&whole).unwrap();
    let mut refused = 0;
    for (at, op) in (0..).zip(whole.history()) {
        if !matches!(op, Op::Rename | Op::SyncDir) {
            continue;
        }
        let disk = MemoryDisk::new();
        disk.fail_at(at, ErrorKind::Other);
        refused += u32::from(go(&disk).is_err());
        for seed in 0..40 * support::scale() {
            let opened = builder(&disk.crash_with(seed)).open(DIR);
            assert!(opened.is_ok(), "{op:?} {at}, seed {seed}: {:?}", opened.err());
        }
    }
    assert!(refused > 8, "{refused}");
}
