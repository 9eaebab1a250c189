use super::super::{read_exact_at, write_all_at};
use super::*;

fn scratch() -> (tempfile::TempDir, Disk) {
    (tempfile::tempdir().expect("scratch folder"), Disk)
}

#[test]
fn bytes_come_back_by_reading_and_by_mapping() {
    let (dir, disk) = scratch();
    let path = dir.path().join("a");
    let file = disk.create(&path).unwrap();
    write_all_at(&*file, b"hello", 3).unwrap();
    file.sync_data().unwrap();
    let mut buf = [1; 8];
    read_exact_at(&*file, &mut buf, 0).unwrap();
    assert_eq!(&buf, b"\0\0\0hello");
    assert_eq!(file.read_at(&mut buf, 8).unwrap(), 0);

    let region = disk.open(&path).unwrap().map(8).unwrap();
    assert_eq!(&*region, b"\0\0\0hello");
    disk.remove(&path).unwrap();
    assert_eq!(&region[3..], b"hello", "a mapping outlives the name");
    assert_eq!(file.map(9).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(file.map(0).unwrap().is_empty());
}

#[test]
fn create_never_reuses_a_file() {
    let (dir, disk) = scratch();
    let path = dir.path().join("a");
    disk.create(&path).unwrap();
    assert_eq!(disk.create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let missing = dir.path().join("b");
    assert_eq!(disk.open(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.open_write(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn allocate_extends_with_zeros_and_keeps_what_is_there() {
    let (dir, disk) = scratch();
    let file = disk.create(&dir.path().join("a")).unwrap();
    write_all_at(&*file, b"kept", 0).unwrap();
    file.allocate(0, 1 << 16).unwrap();
    file.allocate(0, 16).unwrap();
    file.allocate(7, 0).unwrap();
    assert_eq!(file.len().unwrap(), 1 << 16);
    let bytes = file.map(1 << 16).unwrap();
    assert_eq!(&bytes[..4], b"kept");
    assert!(bytes[4..].iter().all(|&byte| byte == 0));
    file.truncate(2).unwrap();
    assert_eq!(file.len().unwrap(), 2);
}

#[test]
fn filling_leaves_zeros_there_and_nothing_else_changed() {
    let (dir, disk) = scratch();
    let file = disk.create(&dir.path().join("filled")).unwrap();
    file.write_at(b"before", 0).unwrap();
    file.allocate(0, 700_000).unwrap();
    file.fill(6, 600_000).unwrap();
    assert_eq!(file.len().unwrap(), 700_000);
    let mut bytes = vec![1; 700_000];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    assert_eq!(&bytes[..6], b"before");
    assert!(bytes[6..].iter().all(|&byte| byte == 0));
}

#[test]
fn what_is_written_to_mapped_pieces_is_in_the_file() {
    let (dir, disk) = scratch();
    let path = dir.path().join("mapped");
    let file = disk.create(&path).unwrap();
    file.allocate(0, 30_000).unwrap();
    file.fill(0, 30_000).unwrap();
    // Neither their ends nor what is written keep to pages.
    for place in [100..9_000, 9_000..20_000] {
        file.map_to_write(place.start, place.end - place.start);
    }
    let bytes: Vec<u8> = (0..30_000_u32).map(|n| (n % 251) as u8 + 1).collect();
    let mut at = 0;
    for len in [70, 50, 1_000, 7_000, 3_000, 0, 8_000, 900, 5_000].into_iter().cycle() {
        let end = bytes.len().min(at + len);
        write_all_at(&*file, &bytes[at..end], at as u64).unwrap();
        at = end;
        let mut read = vec![0; at];
        read_exact_at(&*disk.open(&path).unwrap(), &mut read, 0).unwrap();
        assert!(read == bytes[..at], "up to {at}");
        if at == bytes.len() {
            break;
        }
    }
    file.sync_data().unwrap();
    assert!(*file.map(30_000).unwrap() == *bytes);
}

#[test]
fn a_write_ends_where_its_piece_ends() {
    let (dir, disk) = scratch();
    let file = disk.create(&dir.path().join("mapped")).unwrap();
    file.fill(0, 8_192).unwrap();
    file.map_to_write(0, 4_096);
    let mapped = cfg!(target_os = "linux");
    assert_eq!(file.write_at(&[1; 200], 4_000).unwrap(), if mapped { 96 } else { 200 });
    assert_eq!(file.write_at(&[2; 200], 4_096).unwrap(), 200);
    assert_eq!(file.write_at(&[3; 5_000], 0).unwrap(), if mapped { 4_096 } else { 5_000 });
}

/// A mapping of what was cut off is not written to: that would be a SIGBUS.
#[test]
fn what_is_cut_off_is_mapped_no_more() {
    let (dir, disk) = scratch();
    let file = disk.create(&dir.path().join("mapped")).unwrap();
    file.fill(0, 65_536).unwrap();
    file.map_to_write(0, 65_536);
    file.truncate(10).unwrap();
    assert_eq!(file.write_at(&[7; 100], 60_000).unwrap(), 100);
    assert_eq!(file.len().unwrap(), 60_100);
    let mut buf = [1; 60_100];
    read_exact_at(&*file, &mut buf, 0).unwrap();
    assert!(buf[..60_000].iter().all(|&byte| byte == 0) && buf[60_000..] == [7; 100]);
}

/// Beyond the end of a file there is nothing that could be mapped.
#[test]
fn what_cannot_be_mapped_is_written_as_before() {
    let (dir, disk) = scratch();
    let file = disk.create(&dir.path().join("short")).unwrap();
    file.map_to_write(1 << 20, 4_096);
    file.map_to_write(u64::MAX, 2);
    assert_eq!(file.write_at(&[1; 100], 1 << 20).unwrap(), 100);
    assert_eq!(file.len().unwrap(), (1 << 20) + 100);
}

/// Tells of each of these bytes of a file of 10,000, opened to be written and to be read; it stays as it was.
fn tell(places: &[(u64, u64)], told: impl Fn(&dyn File, u64, u64)) {
    let (dir, disk) = scratch();
    let path = dir.path().join("told");
    let file = disk.create(&path).unwrap();
    write_all_at(&*file, &[7; 10_000], 0).unwrap();
    for &(offset, len) in places {
        told(&*file, offset, len);
        told(&*disk.open(&path).unwrap(), offset, len);
    }
    let mut bytes = [0; 10_000];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    assert_eq!(bytes, [7; 10_000]);
}

#[test]
fn what_is_written_out_may_be_anything() {
    let places = [(0, 0), (0, 1), (1, 9_999), (8192, 1 << 40), (u64::MAX, u64::MAX)];
    tell(&places, |file, offset, len| file.write_out(offset, len).unwrap());
}

#[test]
fn what_will_be_read_may_be_anything() {
    let places = [(0, 0), (0, 1), (4096, 4096), (8192, u64::MAX), (u64::MAX, u64::MAX)];
    tell(&places, |file, offset, len| file.will_read(offset, len));
}

#[test]
fn rename_replaces_and_list_names_everything() {
    let (dir, disk) = scratch();
    let sub = dir.path().join("x/y");
    disk.create_dir(&sub).unwrap();
    disk.create_dir(&sub).unwrap();
    let (old, new) = (sub.join("old"), sub.join("new"));
    write_all_at(&*disk.create(&old).unwrap(), b"old", 0).unwrap();
    write_all_at(&*disk.create(&new).unwrap(), b"new", 0).unwrap();
    disk.rename(&new, &old).unwrap();
    disk.sync_dir(&sub).unwrap();
    assert_eq!(disk.list(&sub).unwrap(), ["old"]);
    assert_eq!(&*disk.open(&old).unwrap().map(3).unwrap(), b"new");
    assert_eq!(disk.list(dir.path()).unwrap(), ["x"]);
    assert!(disk.list(&new).is_err());
}

#[test]
fn a_link_and_a_copy_hold_the_same_bytes() {
    let (dir, disk) = scratch();
    let [from, linked, copied] = ["from", "linked", "copied"].map(|name| dir.path().join(name));
    write_all_at(&*disk.create(&from).unwrap(), b"bytes", 0).unwrap();
    disk.link(&from, &linked).unwrap();
    assert_eq!(disk.link(&from, &linked).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    copy(&from, &copied).unwrap();
    assert!(copy(&from, &copied).is_err());
    disk.remove(&from).unwrap();
    for path in [linked, copied] {
        assert_eq!(&*disk.open(&path).unwrap().map(5).unwrap(), b"bytes");
    }
}

#[test]
fn a_lock_has_one_holder_and_names_it() {
    let (dir, disk) = scratch();
    let path = dir.path().join("lock");
    assert_eq!(holder(&path), None);
    let held = disk.lock(&path).unwrap().expect("free");
    assert!(disk.lock(&path).unwrap().is_none());
    if cfg!(unix) {
        assert_eq!(holder(&path), Some(std::process::id()));
    }
    drop(held);
    assert!(disk.lock(&path).unwrap().is_some());
}

#[cfg(unix)]
#[test]
fn files_are_the_owners_alone_and_links_are_refused() {
    use std::os::unix::fs::{MetadataExt, symlink};
    let (dir, disk) = scratch();
    let [target, link, sub] = ["target", "link", "sub"].map(|name| dir.path().join(name));
    disk.create(&target).unwrap();
    disk.create_dir(&sub).unwrap();
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&sub).unwrap().mode() & 0o777, 0o700);

    symlink(&target, &link).unwrap();
    for refused in [disk.open(&link).map(drop), disk.open_write(&link).map(drop)] {
        assert!(refused.unwrap_err().to_string().contains("symbolic link"));
    }
    assert!(disk.lock(&link).is_err());
    assert_eq!(disk.create(&link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

/// `/dev/full` has no room for anything; what it says is what a full disk says.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_apart() {
    let file = Disk.open_write(Path::new("/dev/full")).unwrap();
    assert_eq!(file.write_at(b"x", 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
}

/// A process that is being started has the open file of its parent for a moment.
#[test]
fn a_lock_is_given_up_also_while_somebody_has_inherited_it() {
    let (dir, disk) = scratch();
    let path = dir.path().join("LOCK");
    let file = fs::File::create(&path).unwrap();
    file.try_lock().unwrap();
    let inherited = file.try_clone().unwrap();
    let lock = DiskLock { file };
    assert!(disk.lock(&path).unwrap().is_none());
    drop(lock);
    assert!(disk.lock(&path).unwrap().is_some());
    drop(inherited);
}

#[test]
fn random_bytes_differ() {
    assert_ne!(Disk.random().unwrap(), Disk.random().unwrap());
}
