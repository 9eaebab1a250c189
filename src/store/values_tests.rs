//! Files of values in the life of a store: opened, missing, left over, merged, expired.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::catalog::Catalog;
use super::layout::read_store;
use super::{Builder, Store};
use crate::error::Error;
use crate::format::names::{self, Kind};
use crate::sys::Storage;
use crate::testing::values::{give_values, values_of};
use crate::testing::{ManualClock, MemoryDisk};
use crate::time::Timestamp;

const DIR: &str = "/s";
const HOUR: Duration = Duration::from_secs(3_600);

fn builder(disk: &MemoryDisk, clock: &ManualClock) -> Builder {
    let builder = Store::builder().storage(Arc::new(disk.clone())).background(false);
    let builder = builder.clock(Arc::new(clock.clone())).window(8 * HOUR).future_skew(HOUR);
    builder.memory_budget(16 << 20).active_ids(500)
}

fn ids(range: std::ops::Range<u64>) -> Vec<[u8; 8]> {
    range.map(u64::to_le_bytes).collect()
}

/// A closed store of three runs of one generation.
fn sample() -> (MemoryDisk, ManualClock) {
    let (disk, clock) = (MemoryDisk::new(), ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let store = builder(&disk, &clock).open(DIR).unwrap();
    for start in [0, 400, 800] {
        store.check_and_insert(&ids(start..start + 400)).unwrap();
        store.seal().unwrap();
    }
    store.close().unwrap();
    (disk, clock)
}

fn numbers(disk: &MemoryDisk) -> (Vec<u64>, Vec<u64>) {
    let names = disk.list(Path::new(DIR)).unwrap();
    let kinds = || names.iter().map(|name| names::parse(name));
    let mut runs: Vec<u64> =
        kinds().filter_map(|k| if let Kind::Run(n) = k { Some(n) } else { None }).collect();
    let mut values: Vec<u64> =
        kinds().filter_map(|k| if let Kind::Values(n) = k { Some(n) } else { None }).collect();
    runs.sort_unstable();
    values.sort_unstable();
    (runs, values)
}

#[test]
fn ids_without_values_have_no_file() {
    let (disk, clock) = sample();
    assert_eq!(numbers(&disk), (vec![1, 2, 3], vec![]));
    assert_eq!(values_of(&builder(&disk, &clock).open(DIR).unwrap()), []);
}

#[test]
fn values_are_opened_and_counted_with_their_runs() {
    let (disk, clock) = sample();
    let without = builder(&disk, &clock).open(DIR).unwrap().stats().run_bytes;
    let given = give_values(&disk, Path::new(DIR), 1);
    let store = builder(&disk, &clock).open(DIR).unwrap();
    assert_eq!(values_of(&store), given);
    let bytes: u64 = [1, 2]
        .map(|number| disk.open(&names::values(Path::new(DIR), number)).unwrap().len().unwrap())
        .iter()
        .sum();
    assert_eq!(store.stats().run_bytes, without + bytes);
}

#[test]
fn a_values_file_that_no_manifest_lists_is_removed() {
    let (disk, clock) = sample();
    give_values(&disk, Path::new(DIR), 1);
    for number in [3, 9] {
        disk.create(&names::values(Path::new(DIR), number)).unwrap();
    }
    let store = builder(&disk, &clock).open(DIR).unwrap();
    assert_eq!(store.recovery().removed_files, 2);
    assert_eq!(numbers(&disk), (vec![1, 2, 3], vec![1, 2]));
}

#[test]
fn a_values_file_that_is_missing_counts_as_its_run() {
    let (disk, clock) = sample();
    give_values(&disk, Path::new(DIR), 1);
    let path = names::values(Path::new(DIR), 2);
    disk.remove(&path).unwrap();
    let error = builder(&disk, &clock).open(DIR).unwrap_err();
    assert!(matches!(error, Error::WindowIncomplete { missing } if missing == path));
    let store = builder(&disk, &clock).accept_incomplete(true).open(DIR).unwrap();
    assert_eq!(store.recovery().missing_runs, 1);
    let known = store.contains(&ids(0..1_200)).unwrap();
    assert_eq!(known.iter().filter(|&&known| known).count(), 800);
}

#[test]
fn a_values_file_that_is_not_the_one_listed_is_damage() {
    let dir = Path::new(DIR);
    let (disk, clock) = sample();
    give_values(&disk, dir, 1);
    disk.rename(&names::values(dir, 1), &names::values(dir, 2)).unwrap();
    assert!(matches!(builder(&disk, &clock).open(DIR), Err(Error::Corrupt(_))));

    let (disk, clock) = sample();
    give_values(&disk, dir, 1);
    let (superblock, manifest) = read_store(&disk, dir).unwrap();
    let mut catalog = Catalog::new(Arc::new(disk.clone()), dir, superblock.store, manifest);
    catalog.install(|manifest| manifest.runs[1].values += 1).unwrap();
    let error = builder(&disk, &clock).open(DIR).unwrap_err();
    assert!(matches!(error, Error::Corrupt(damage) if damage.path == names::values(dir, 2)));
}

#[test]
fn values_are_merged_and_expire_with_their_runs() {
    let (disk, clock) = sample();
    let given = give_values(&disk, Path::new(DIR), 1);
    let store = builder(&disk, &clock).open(DIR).unwrap();
    clock.advance(2 * HOUR);
    store.check_and_insert(&ids(5_000..5_001)).unwrap();
    store.compact().unwrap();
    assert_eq!(values_of(&store), given);
    let (runs, values) = numbers(&disk);
    assert_eq!((runs.len(), values.len()), (2, 1));
    assert!(runs.contains(&values[0]));
    let disk = disk.kill();
    let store = builder(&disk, &clock).open(DIR).unwrap();
    assert_eq!(values_of(&store), given);
    clock.advance(9 * HOUR);
    store.compact().unwrap();
    assert!(numbers(&disk).1.is_empty());
}

#[test]
fn a_cap_on_disk_space_counts_values() {
    let opened = |times| {
        let (disk, clock) = sample();
        give_values(&disk, Path::new(DIR), times);
        clock.advance(2 * HOUR);
        let store = builder(&disk, &clock).max_bytes(32 << 20).open(DIR).unwrap();
        store.check_and_insert(&ids(5_000..5_001)).unwrap();
        store.compact().unwrap();
        (numbers(&disk).1.len(), store.contains(&ids(0..1)).unwrap()[0])
    };
    assert_eq!(opened(1), (1, true));
    assert_eq!(opened(150), (0, false));
}
