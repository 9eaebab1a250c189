use std::io::ErrorKind;

use super::*;
use crate::sys::{read_exact_at, write_all_at};

const DIR: &str = "store";

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    disk
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// A durable file.
fn saved(disk: &MemoryDisk, name: &str, bytes: &[u8]) -> Box<dyn File> {
    let file = disk.create(&path(name)).unwrap();
    write_all_at(&*file, bytes, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    file
}

fn read(disk: &MemoryDisk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(&path(name))?;
    let mut bytes = vec![0; file.len()? as usize];
    read_exact_at(&*file, &mut bytes, 0)?;
    Ok(bytes)
}

#[test]
fn a_crash_keeps_what_was_synced_and_a_kill_keeps_all() {
    let disk = disk();
    let file = saved(&disk, "a", &[1; 1000]);
    write_all_at(&*file, &[2; 700], 600).unwrap();
    disk.create(&path("b")).unwrap();
    let mut both = vec![1; 600];
    both.extend([2; 700]);
    let killed = disk.kill();
    assert_eq!(read(&killed, "a").unwrap(), both);
    assert!(read(&killed, "b").unwrap().is_empty());
    for crashed in [disk.crash(), killed.crash()] {
        assert_eq!(read(&crashed, "a").unwrap(), [1; 1000]);
        assert_eq!(crashed.list(Path::new(DIR)).unwrap(), ["a",]);
    }
    file.sync_data().unwrap();
    assert_eq!(read(&disk.crash(), "a").unwrap(), both);
}

#[test]
fn names_are_durable_after_a_folder_sync() {
    let disk = disk();
    saved(&disk, "old", b"old");
    saved(&disk, "new", b"new");
    disk.link(&path("old"), &path("second")).unwrap();
    disk.rename(&path("new"), &path("old")).unwrap();
    let crashed = disk.crash();
    assert_eq!(read(&crashed, "old").unwrap(), b"old");
    assert_eq!(read(&crashed, "new").unwrap(), b"new");
    assert!(read(&crashed, "second").is_err());
    disk.sync_dir(Path::new(DIR)).unwrap();
    disk.remove(&path("old")).unwrap();
    let crashed = disk.crash();
    assert_eq!(read(&crashed, "old").unwrap(), b"new");
    assert_eq!(read(&crashed, "second").unwrap(), b"old");
    assert_eq!(read(&crashed, "new").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_torn_write_keeps_some_of_its_sectors() {
    let disk = disk();
    let file = saved(&disk, "a", &[1; 4096]);
    write_all_at(&*file, &[2; 4096], 0).unwrap();
    write_all_at(&*file, &[3; 100], 8192).unwrap();
    let mut torn = 0;
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let crashed = disk.crash_with(seed);
        let bytes = read(&crashed, "a").unwrap();
        assert_eq!(bytes, read(&disk.crash_with(seed), "a").unwrap(), "seed {seed}");
        assert!((4096..=8292).contains(&bytes.len()));
        for sector in bytes[..4096].chunks(512) {
            assert!(sector == [1; 512] || sector == [2; 512]);
        }
        assert!(bytes[4096..].iter().all(|byte| [0, 3].contains(byte)));
        torn += u32::from(bytes[..4096].contains(&1) && bytes[..4096].contains(&2));
        lengths.insert(bytes.len());
        assert_eq!(read(&crashed.crash(), "a").unwrap(), bytes, "what survived is durable");
    }
    assert!(torn > 32 && lengths.len() > 8);
}

#[test]
fn renames_survive_whole_or_not_at_all() {
    let disk = disk();
    saved(&disk, "old", b"old");
    saved(&disk, "new", b"new");
    disk.rename(&path("new"), &path("old")).unwrap();
    let outcomes = (0..32).map(|seed| {
        let crashed = disk.crash_with(seed);
        (read(&crashed, "old").unwrap(), read(&crashed, "new").ok())
    });
    let outcomes: std::collections::BTreeSet<_> = outcomes.collect();
    let kept = (b"old".to_vec(), Some(b"new".to_vec()));
    assert_eq!(outcomes, [kept, (b"new".to_vec(), None)].into());
}

#[test]
fn a_failed_sync_has_lost_its_data() {
    let disk = disk();
    let file = saved(&disk, "a", b"1111");
    write_all_at(&*file, b"2222", 0).unwrap();
    disk.fail_at(disk.ops(), ErrorKind::Other);
    assert_eq!(file.sync_data().unwrap_err().kind(), ErrorKind::Other);
    file.sync_data().unwrap();
    assert_eq!(read(&disk, "a").unwrap(), b"2222", "the cache lies");
    assert_eq!(read(&disk.crash(), "a").unwrap(), b"1111");
    assert!((0..32).any(|seed| read(&disk.crash_with(seed), "a").unwrap() == b"2222"));
    write_all_at(&*file, b"3", 3).unwrap();
    file.sync_all().unwrap();
    assert_eq!(read(&disk.crash(), "a").unwrap(), b"2223");
}

#[test]
fn faults_come_when_planned() {
    let disk = disk();
    let start = disk.ops();
    disk.fail_at(start + 1, ErrorKind::Interrupted);
    disk.fail_from(start + 3, ErrorKind::Other);
    disk.set_write_limit(Some(3));
    let file = disk.create(&path("a")).unwrap();
    assert_eq!(file.write_at(b"1234", 0).unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(file.write_at(b"1234", 0).unwrap(), 3);
    assert!(file.write_at(b"4", 3).is_err());
    assert!(disk.open(&path("a")).is_err());
    assert_eq!(disk.count(Op::Write), 3);
    assert_eq!(disk.history()[start as usize..][..2], [Op::Create, Op::Write]);
    disk.heal();
    assert_eq!(read(&disk, "a").unwrap(), b"123");
}

#[test]
fn a_full_disk_takes_what_fits_and_removal_makes_room() {
    let disk = disk();
    disk.set_capacity(Some(100));
    let a = disk.create(&path("a")).unwrap();
    a.allocate(0, 60).unwrap();
    assert_eq!(a.allocate(0, 101).unwrap_err().kind(), ErrorKind::StorageFull);
    let b = disk.create(&path("b")).unwrap();
    assert_eq!(b.write_at(&[1; 64], 0).unwrap(), 40);
    let full = write_all_at(&*b, &[1; 24], 40).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    write_all_at(&*a, &[2; 60], 0).unwrap();
    disk.remove(&path("a")).unwrap();
    let mut bytes = [0; 60];
    read_exact_at(&*a, &mut bytes, 0).unwrap();
    assert_eq!(bytes, [2; 60], "a handle outlives the name");
    assert_eq!(disk.used(), 100, "and so does the room that it takes");
    assert!(write_all_at(&*b, &[1; 24], 40).is_err());
    drop(a);
    write_all_at(&*b, &[1; 24], 40).unwrap();
    assert_eq!(disk.used(), 64);
}

#[test]
fn cutting_and_extending_reads_as_zeros() {
    let disk = disk();
    let file = saved(&disk, "a", &[1; 1500]);
    file.truncate(700).unwrap();
    file.truncate(1500).unwrap();
    let mut expected = vec![1; 700];
    expected.resize(1500, 0);
    assert_eq!(read(&disk, "a").unwrap(), expected);
    file.sync_data().unwrap();
    assert_eq!(read(&disk.crash(), "a").unwrap(), expected);
}

#[test]
fn locks_end_with_their_holder() {
    let disk = disk();
    let held = disk.lock(&path("lock")).unwrap().expect("free");
    assert!(disk.lock(&path("lock")).unwrap().is_none());
    assert!(disk.kill().lock(&path("lock")).unwrap().is_some());
    assert!(disk.crash().lock(&path("lock")).unwrap().is_some());
    drop(held);
    assert!(disk.lock(&path("lock")).unwrap().is_some());
}

#[test]
fn misuse_is_refused() {
    let disk = disk();
    saved(&disk, "a", b"1");
    let file = disk.open(&path("a")).unwrap();
    assert_eq!(file.write_at(b"2", 0).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(disk.create(&path("a")).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(disk.create(Path::new("no/a")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(file.map(2).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(&*file.map(1).unwrap(), b"1");
}

#[test]
#[should_panic(expected = "a file that was mapped is written to")]
fn writing_to_a_mapped_file_panics() {
    let disk = disk();
    let file = saved(&disk, "a", b"1");
    let _region = file.map(1).unwrap();
    let _ = file.write_at(b"2", 0);
}
