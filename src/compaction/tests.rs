//! Runs with values, sealed and merged on a disk in memory that fails.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::merge::write_records;
use super::{Merging, write_run};
use crate::backend::mapped::MappedVault;
use crate::backend::{RunTarget, Sealed, Vault};
use crate::error::Result;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::{ReadMode, Records};
use crate::sys::Storage;
use crate::testing::MemoryDisk;
use crate::time::{Ticks, Timestamp};

const DIR: &str = "/s";

type Values = Vec<(Fingerprint, Value)>;

fn vault(disk: &MemoryDisk) -> MappedVault {
    MappedVault::new(Arc::new(disk.clone()), Path::new(DIR), [0x5a; 16], ReadMode::default())
}

fn target(number: u64) -> RunTarget {
    let ticks = Ticks { base: Timestamp::MIN, micros: 1 };
    RunTarget { number, generation: 1, ticks, expected: 1_000 }
}

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    disk
}

fn id(run: u64, n: u64) -> Fingerprint {
    Fingerprint::from_u128((u128::from(n) << 100) + u128::from(run))
}

/// Values for the ids of run `number` whose count is a multiple of `each`.
fn values(number: u64, each: usize, outcome: usize) -> Values {
    let value = |n| {
        let time = Timestamp::from_micros(n);
        (id(number, n), Value { time, payload: None, outcome: Some(vec![7; outcome].into()) })
    };
    (0..1_000).step_by(each).map(value).collect()
}

fn write(disk: &MemoryDisk, number: u64, values: Values) -> Result<Arc<dyn Sealed>> {
    let records: Vec<_> = (0..1_000).map(|n| (id(number, n), number as u8)).collect();
    write_run(&vault(disk), target(number), records.into_iter(), values.into_iter().map(Ok))
}

fn kept(run: &dyn Sealed) -> Values {
    run.values_after(None).map(Result::unwrap).collect()
}

fn names(disk: &MemoryDisk) -> BTreeSet<String> {
    disk.list(Path::new(DIR)).unwrap().into_iter().collect()
}

#[test]
fn a_run_and_its_values_are_durable_when_they_are_written() {
    for given in [values(1, 7, 30), Vec::new()] {
        let disk = disk();
        let run = write(&disk, 1, given.clone()).unwrap();
        assert_eq!(kept(&*run), given);
        assert_eq!(
            (names(&disk).len(), run.entry().values == 0),
            match given.len() {
                0 => (1, true),
                _ => (2, false),
            }
        );
        let disk = disk.crash();
        let again = vault(&disk).open_run(&run.entry()).unwrap();
        assert_eq!((again.records(), kept(&*again)), (1_000, given.clone()));
    }
}

#[test]
fn a_run_that_could_not_be_written_leaves_nothing() {
    let count = {
        let disk = disk();
        write(&disk, 1, values(1, 7, 3_000)).unwrap();
        disk.ops()
    };
    let before = disk().ops();
    let mut failed = 0;
    for failing in before..count {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            let disk = disk();
            disk.fail_at(failing, kind);
            match write(&disk, 1, values(1, 7, 3_000)) {
                Ok(run) => assert_eq!(kept(&*run).len(), 143),
                Err(_) => {
                    failed += 1;
                    assert_eq!(names(&disk).len(), 0, "operation {failing}");
                }
            }
        }
    }
    assert!(failed > 20, "{failed} writes failed");
}

#[test]
fn what_a_failed_write_left_is_not_taken_for_values() {
    let disk = disk();
    write(&disk, 1, values(1, 7, 30)).unwrap();
    let run = write(&disk, 1, Vec::new()).unwrap();
    assert_eq!((kept(&*run), names(&disk).len()), (Vec::new(), 1));
}

/// Four runs, one of them without values.
fn inputs(disk: &MemoryDisk) -> (Vec<Arc<dyn Sealed>>, Values) {
    let values = [1, 2, 3, 4].map(|run| match run {
        2 => Vec::new(),
        _ => values(run, run as usize, 9_000),
    });
    let runs = (1..).zip(&values).map(|(run, values)| write(disk, run, values.clone()).unwrap());
    let runs = runs.collect();
    let mut all = values.concat();
    all.sort_by_key(|&(id, _)| id);
    (runs, all)
}

fn merge(merging: &mut Merging) -> Result<(Arc<dyn Sealed>, usize)> {
    for steps in 1.. {
        if let Some(run) = merging.step()? {
            return Ok((run, steps));
        }
    }
    unreachable!()
}

#[test]
fn merged_runs_keep_all_values_in_steps() {
    let disk = disk();
    let (runs, all) = inputs(&disk);
    let mut merging = Merging::start(runs, &vault(&disk), target(9)).unwrap();
    let (run, steps) = merge(&mut merging).unwrap();
    assert_eq!((run.records(), steps), (4_000, 3));
    assert!(kept(&*run) == all);
    drop(merging);
    assert_eq!(names(&disk).len(), 4 + 3 + 2);
    let again = vault(&disk.crash()).open_run(&run.entry()).unwrap();
    assert!(kept(&*again) == all);
}

/// Also among ids that share their top 64 bits, and where several runs have one id.
#[test]
fn a_merge_goes_on_where_its_last_step_ended() {
    let disk = disk();
    let part = |number: u64| {
        let ids = (0..1_000).map(|n| Fingerprint { hi: n / 400, lo: n * (number % 2 + 1) });
        let records: Vec<_> = ids.map(|id| (id, number as u8)).collect();
        write_run(&vault(&disk), target(number), records.into_iter(), std::iter::empty()).unwrap()
    };
    let runs = [1, 2, 3].map(part);
    let mut expected: Vec<_> =
        runs.iter().flat_map(|run| run.records_from(0).read_all().0).collect();
    expected.sort_unstable();
    expected.dedup_by_key(|(id, _)| *id);
    let (mut sink, mut last) = (vault(&disk).start_run(target(9)).unwrap(), None);
    let mut steps = 1;
    while !write_records(&runs, &mut *sink, &mut last, 1).unwrap() {
        steps += 1;
    }
    let (merged, read) = sink.finish().unwrap().records_from(0).read_all();
    read.unwrap();
    assert_eq!((merged, steps > 3), (expected, true), "{steps} steps");
}

#[test]
fn merged_runs_without_values_have_none() {
    let disk = disk();
    let runs = vec![write(&disk, 1, Vec::new()).unwrap(), write(&disk, 2, Vec::new()).unwrap()];
    let (run, steps) = merge(&mut Merging::start(runs, &vault(&disk), target(9)).unwrap()).unwrap();
    assert_eq!((run.records(), steps), (2_000, 1));
    assert_eq!(run.values(), 0);
    assert_eq!(names(&disk).len(), 3);
}

#[test]
fn a_merge_that_is_given_up_leaves_nothing() {
    let whole = {
        let disk = disk();
        let (runs, _) = inputs(&disk);
        let before = disk.ops();
        merge(&mut Merging::start(runs, &vault(&disk), target(9)).unwrap()).unwrap();
        before..disk.ops()
    };
    for failing in whole {
        let disk = disk();
        let (runs, _) = inputs(&disk);
        let before = names(&disk);
        disk.fail_at(failing, ErrorKind::Other);
        let merged = Merging::start(runs, &vault(&disk), target(9)).and_then(|mut m| merge(&mut m));
        assert!(merged.is_ok() || names(&disk) == before, "operation {failing}");
    }
    for steps in 0..2 {
        let disk = disk();
        let (runs, _) = inputs(&disk);
        let before = names(&disk);
        let mut merging = Merging::start(runs, &vault(&disk), target(9)).unwrap();
        (0..steps).for_each(|_| assert!(merging.step().unwrap().is_none()));
        drop(merging);
        assert_eq!(names(&disk), before, "after {steps} steps");
    }
}
