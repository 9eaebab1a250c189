//! Folders of stores on real files: how much they take, and copies of them as they stand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What all files below a folder take on the disk, in bytes: blocks, not lengths. Files may go away
/// meanwhile.
pub fn disk_usage(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let each = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => disk_usage(&entry.path()),
        Ok(found) => blocks(&found),
        Err(_) => 0,
    });
    each.sum()
}

#[cfg(unix)]
fn blocks(found: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(found) * 512
}

#[cfg(not(unix))]
fn blocks(found: &fs::Metadata) -> u64 {
    found.len()
}

/// Copies a folder, also of a store that is open: what a kill leaves, if nothing is going on.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if entry.is_dir() {
            copy_folder(&entry, &to);
        } else {
            fs::copy(&entry, &to).unwrap();
        }
    }
}

/// All bytes at a path: of a file, or of the files below a folder. Links are not followed.
pub fn bytes_below(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    if !path.is_dir() {
        return BTreeMap::from([(path.into(), fs::read(path).unwrap())]);
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| !path.is_symlink()).flat_map(|path| bytes_below(&path)).collect()
}
