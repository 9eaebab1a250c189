//! Offline tools on a disk in memory: faults, damage, cuts.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::transfer::{export_in, import_in};
use super::verify::verify;
use super::{Record, checkpoint, dump, inspect};
use crate::error::{Corruption, Error};
use crate::format::names;
use crate::format::superblock::Superblock;
use crate::sys::{Storage, read_exact_at, write_all_at};
use crate::testing::values::{give_values, values_of};
use crate::testing::{ManualClock, MemoryDisk};
use crate::{Backend, Durability, Store, Timestamp, Verdict};

const DIR: &str = "/s";
const COPY: &str = "/copy";

fn open_at(disk: &MemoryDisk, dir: &str, create: bool) -> Result<Store, Error> {
    let builder = Store::builder().memory_budget(16 << 20).active_ids(500).create(create);
    builder.background(false).storage(Arc::new(disk.clone())).open(dir)
}

fn ids(range: std::ops::Range<u64>) -> Vec<[u8; 8]> {
    range.map(u64::to_le_bytes).collect()
}

/// Runs, most with values, several segments, forgotten ids of which one came back, and a log; left
/// open or closed.
fn sample(disk: &MemoryDisk, close: bool) {
    let store = open_at(disk, DIR, true).unwrap();
    for start in [0, 300, 600] {
        store.check_and_insert(&ids(start..start + 300)).unwrap();
    }
    store.seal().unwrap();
    store.check_and_insert(&ids(900..1_000)).unwrap();
    store.forget(&ids(10..14)).unwrap();
    store.check_and_insert(&ids(12..13)).unwrap();
    store.forget(&ids(950..951)).unwrap();
    store.check_and_insert(&ids(1_000..1_050)).unwrap();
    match close {
        true => store.close().unwrap(),
        false => std::mem::forget(store),
    }
    give_values(disk, Path::new(DIR), 1);
}

fn storage(disk: &MemoryDisk) -> Arc<dyn Storage> {
    Arc::new(disk.clone())
}

fn records(disk: &MemoryDisk, dir: &str) -> BTreeSet<Record> {
    let mut records = BTreeSet::new();
    let give = &mut |record| {
        assert!(records.insert(record), "{record:?} twice");
        Ok(())
    };
    let count = dump::dump(disk, Path::new(dir), give).unwrap();
    assert_eq!(count, records.len() as u64);
    records
}

fn damages(disk: &MemoryDisk, dir: &str) -> (super::Verified, Vec<Corruption>) {
    let mut damages = Vec::new();
    let verified = verify(disk, Path::new(dir), &mut |d| damages.push(d.clone())).unwrap();
    assert_eq!(verified.damages, damages.len() as u64);
    (verified, damages)
}

/// Everything in it answers as the original does.
fn check_copy(disk: &MemoryDisk, dir: &str) {
    let store = open_at(disk, dir, false).unwrap();
    let known = store.contains(&ids(0..1_060)).unwrap();
    for (id, known) in known.into_iter().enumerate() {
        let forgotten = matches!(id, 10 | 11 | 13 | 950 | 1_050..);
        assert_eq!(known, !forgotten, "id {id}");
    }
}

#[test]
fn inspection_dump_and_verification_agree() {
    for close in [false, true] {
        let disk = MemoryDisk::new();
        sample(&disk, close);
        let found = inspect::inspect(&disk, Path::new(DIR)).unwrap();
        assert_eq!((found.ids_in_runs, found.ids_in_log, found.forgotten), (900, 151, 5));
        assert_eq!(found.generations.iter().map(|g| g.ids).sum::<u64>(), 900);
        assert_eq!(found.torn_bytes, 0);
        assert_eq!(records(&disk, DIR).len(), 1_046);
        let (verified, damages) = damages(&disk, DIR);
        assert_eq!(damages, []);
        assert_eq!((verified.records, verified.torn_bytes), (1_051, 0));
        assert!(verified.bytes <= found.total_bytes);
    }
}

/// A database is on real files only, so that is so for a disk in memory with the feature `sled`, too.
#[test]
fn a_backend_that_this_build_has_not_is_no_damage() {
    let disk = MemoryDisk::new();
    sample(&disk, true);
    let path = Path::new(DIR).join(names::STORE);
    let file = disk.open_write(&path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    let superblock = Superblock::decode(&bytes, &path).unwrap();
    let superblock = Superblock { backend: Backend::Sled.code(), ..superblock };
    write_all_at(&*file, &superblock.encode(), 0).unwrap();
    let verified = verify(&disk, Path::new(DIR), &mut |damage| panic!("{damage}"));
    assert!(
        matches!(verified, Err(Error::InvalidOption { option: "backend", .. })),
        "{verified:?}"
    );
}

/// The process died after it had made the store and before it had made the database.
#[cfg(feature = "sled")]
#[test]
fn a_store_in_sled_that_was_never_used_is_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let (made, dir) = (dir.path().join("made"), dir.path().join("s"));
    let _store = Store::builder().memory_budget(16 << 20).background(false).open(&made).unwrap();
    std::fs::create_dir(&dir).unwrap();
    std::fs::copy(made.join(names::MANIFEST), dir.join(names::MANIFEST)).unwrap();
    let superblock = std::fs::read(made.join(names::STORE)).unwrap();
    let superblock = Superblock::decode(&superblock, &made).unwrap();
    let superblock = Superblock { backend: Backend::Sled.code(), ..superblock };
    std::fs::write(dir.join(names::STORE), superblock.encode()).unwrap();

    let found = super::inspect(&dir).unwrap();
    assert_eq!((found.sequence, found.backend, found.ids()), (1, Backend::Sled, 0));
    let verified = super::verify(&dir, &mut |damage| panic!("{damage}")).unwrap();
    assert_eq!((verified.damages, verified.records), (0, 0));
    assert!(!dir.join(names::SLED).exists());
    Store::open(&dir).unwrap().close().unwrap();
}

#[test]
fn a_checkpoint_of_an_open_store_has_everything_and_shares_nothing_that_changes() {
    let disk = MemoryDisk::new();
    sample(&disk, false);
    let storage = storage(&disk);
    checkpoint::checkpoint_in(&storage, Path::new(DIR), Path::new(COPY)).unwrap();
    let again = checkpoint::checkpoint_in(&storage, Path::new(DIR), Path::new(COPY));
    assert!(matches!(again, Err(Error::Misuse(_))), "{again:?}");
    let before = records(&disk, DIR);
    // Durable when the call returns.
    let disk = disk.crash();
    assert!(records(&disk, COPY) == before);
    assert_eq!(damages(&disk, COPY).1, []);
    check_copy(&disk, COPY);
}

#[test]
fn an_interrupted_checkpoint_is_never_opened_as_something_else() {
    for restore in [false, true] {
        let copy = |disk: &MemoryDisk| {
            let (storage, from, to) = (storage(disk), Path::new(DIR), Path::new(COPY));
            match restore {
                true => checkpoint::restore_in(&storage, from, to),
                false => checkpoint::checkpoint_in(&storage, from, to),
            }
        };
        let made = || {
            let disk = MemoryDisk::new();
            sample(&disk, true);
            disk
        };
        let disk = made();
        let before = disk.ops();
        copy(&disk).unwrap();
        let count = disk.ops() - before;
        for failing in 0..count {
            for sticky in [false, true] {
                let disk = made().kill();
                match sticky {
                    true => disk.fail_from(failing, io::ErrorKind::Other),
                    false => disk.fail_at(failing, io::ErrorKind::Other),
                }
                let copied = copy(&disk);
                disk.heal();
                if copied.is_err() && !sticky {
                    assert!(disk.list(Path::new(COPY)).is_err(), "operation {failing}");
                }
                for disk in [disk.kill(), disk.crash(), disk.crash_with(failing)] {
                    match open_at(&disk, COPY, false) {
                        Ok(store) => drop(store),
                        Err(_) => continue,
                    }
                    check_copy(&disk, COPY);
                }
            }
        }
    }
}

/// Every byte that is to be verified.
fn bytes_of(disk: &MemoryDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let names = disk.list(Path::new(DIR)).unwrap();
    let read = |name: String| {
        let path = Path::new(DIR).join(name);
        let file = disk.open(&path).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        read_exact_at(&*file, &mut bytes, 0).unwrap();
        (path, bytes)
    };
    let is_data = |name: &String| ![names::LOCK, names::RESERVE].contains(&name.as_str());
    names.into_iter().filter(is_data).map(read).collect()
}

/// The damage that an opening refuses, of a segment that lets nothing in between others.
#[test]
fn verification_sees_a_changed_header_of_an_empty_segment() {
    let (disk, clock) = (MemoryDisk::new(), ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let hour = Duration::from_secs(3_600);
    let builder = Store::builder().memory_budget(16 << 20).window(hour).background(false);
    let builder = builder.clock(Arc::new(clock.clone())).durability(Durability::Sync);
    let store = builder.storage(storage(&disk)).open(DIR).unwrap();
    for call in [0..10, 0..10, 20..30] {
        store.check_and_insert(&ids(call)).unwrap();
        clock.advance(hour / 4);
    }
    let disk = disk.kill();
    assert_eq!(damages(&disk, DIR).0.damages, 0);
    let logs = bytes_of(&disk)
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "log"));
    for (path, bytes) in logs {
        let file = disk.open_write(&path).unwrap();
        write_all_at(&*file, &[bytes[125] ^ 1], 125).unwrap();
        assert!(damages(&disk, DIR).0.damages > 0, "{}", path.display());
        write_all_at(&*file, &bytes[125..126], 125).unwrap();
    }
}

#[test]
fn verification_sees_flipped_bytes_and_cuts() {
    let disk = MemoryDisk::new();
    sample(&disk, true);
    let disk = disk.kill();
    let files = bytes_of(&disk);
    let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    for sampled in 0..2_000 {
        let mut at = sampled * total / 2_000 + sampled % 7;
        at = at.min(total - 1);
        let (path, bytes) = files
            .iter()
            .find(|(_, bytes)| match at.checked_sub(bytes.len()) {
                Some(rest) => {
                    at = rest;
                    false
                }
                None => true,
            })
            .unwrap();
        let file = disk.open_write(path).unwrap();
        write_all_at(&*file, &[bytes[at] ^ (1 << (sampled % 8))], at as u64).unwrap();
        let (verified, found) = damages(&disk, DIR);
        assert!(verified.damages + verified.torn_bytes > 0, "byte {at} of {}", path.display());
        assert!(found.iter().all(|damage| damage.path == *path), "{found:?}");
        write_all_at(&*file, &bytes[at..=at], at as u64).unwrap();
    }
    for (path, bytes) in &files {
        for len in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            let file = disk.open_write(path).unwrap();
            file.truncate(len as u64).unwrap();
            let log = path.extension().is_some_and(|extension| extension == "log");
            let (verified, _) = damages(&disk, DIR);
            assert!(log || verified.damages > 0, "{len} bytes of {}", path.display());
            write_all_at(&*file, bytes, 0).unwrap();
        }
        disk.remove(path).unwrap();
        assert!(damages(&disk, DIR).0.damages > 0, "{} removed", path.display());
        write_all_at(&*disk.create(path).unwrap(), bytes, 0).unwrap();
    }
    assert_eq!(damages(&disk, DIR).1, []);
}

#[test]
fn every_damage_of_a_run_is_reported_also_when_it_does_not_open() {
    let disk = MemoryDisk::new();
    sample(&disk, true);
    let disk = disk.kill();
    let (path, bytes) = bytes_of(&disk)
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|e| e == "run"))
        .unwrap();
    let file = disk.open_write(&path).unwrap();
    let pages = bytes.len() as u64 / 4096;
    (0..pages).for_each(|page| write_all_at(&*file, &[0xa5; 3], page * 4096 + 9).unwrap());
    assert_eq!(damages(&disk, DIR).0.damages, pages);
}

#[test]
fn a_stream_carries_ids_times_and_generations() {
    let disk = MemoryDisk::new();
    sample(&disk, false);
    let mut stream = Vec::new();
    let exported = export_in(&disk, Path::new(DIR), &mut stream).unwrap();
    // The one that was forgotten and came back is not a record.
    assert_eq!(exported, 1_045);
    let mut input = stream.as_slice();
    let imported =
        import_in(&storage(&disk), &mut input, Path::new(COPY), Backend::Mapped).unwrap();
    assert_eq!((imported, input.len()), (exported, 0));
    let before = records(&disk, DIR);
    let values = values_of(&open_at(&disk.kill(), DIR, false).unwrap());
    let disk = disk.crash();
    assert!(records(&disk, COPY) == before);
    assert_eq!(damages(&disk, COPY).1, []);
    check_copy(&disk, COPY);
    let store = open_at(&disk, COPY, false).unwrap();
    // All but those of the four that were forgotten since, of which one came back.
    let mut kept = values_of(&store).into_iter().peekable();
    let left_out = values.iter().filter(|value| kept.next_if_eq(value).is_none()).count();
    assert_eq!((left_out, kept.next()), (4, None));
    assert!(store.check_and_insert(&ids(10..12)).unwrap().iter().all(Verdict::is_new));
}

#[test]
fn damaged_and_cut_streams_leave_nothing_behind() {
    let disk = MemoryDisk::new();
    sample(&disk, true);
    let mut stream = Vec::new();
    export_in(&disk, Path::new(DIR), &mut stream).unwrap();
    let refused = |bytes: &[u8]| {
        let disk = MemoryDisk::new();
        let mut input = bytes;
        let error =
            import_in(&storage(&disk), &mut input, Path::new(COPY), Backend::Mapped).unwrap_err();
        assert!(matches!(error, Error::Corrupt(_) | Error::Version { .. }), "{error:?}");
        assert!(disk.list(Path::new(COPY)).is_err());
    };
    for at in (0..stream.len()).step_by(stream.len() / 200) {
        refused(&stream[..at]);
        let mut damaged = stream.clone();
        damaged[at] ^= 1 << (at % 8);
        refused(&damaged);
    }
    refused(&stream[..stream.len() - 1]);
}

#[test]
fn copies_have_the_values_and_inspection_counts_them() {
    for restore in [false, true] {
        let disk = MemoryDisk::new();
        sample(&disk, true);
        let disk = disk.kill();
        let values = values_of(&open_at(&disk, DIR, false).unwrap());
        assert!(!values.is_empty());
        let (storage, from, to) = (storage(&disk), Path::new(DIR), Path::new(COPY));
        match restore {
            true => checkpoint::restore_in(&storage, from, to).unwrap(),
            false => checkpoint::checkpoint_in(&storage, from, to).unwrap(),
        }
        let disk = disk.crash();
        assert_eq!(damages(&disk, COPY).1, []);
        let found = inspect::inspect(&disk, to).unwrap();
        let lens = bytes_of(&disk).into_iter().map(|(path, bytes)| (path, bytes.len() as u64));
        let in_runs = lens.filter(|(path, _)| path.extension().is_some_and(|e| e != "log"));
        let in_runs: u64 = in_runs.map(|(_, len)| len).sum();
        assert_eq!(found.generations.iter().map(|g| g.bytes).sum::<u64>(), in_runs);
        assert!(values_of(&open_at(&disk, COPY, false).unwrap()) == values);
    }
}
