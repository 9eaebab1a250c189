//! Folders of stores on real files: how much they take, and copies of them as they stand.

use std::fs;
use std::path::Path;

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
