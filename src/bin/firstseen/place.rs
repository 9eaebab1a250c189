//! Where the store of a command lives: the folder that was named, or a private one for this run.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::fail::{Failure, Result};

/// How the names of temporary folders start.
const PREFIX: &str = "firstseen-run-";

/// The file in a temporary folder that its owner holds locked.
const OWNER: &str = "owner";

/// A private folder that is removed when it is dropped.
///
/// A killed process leaves its folder behind. So its owner holds a lock in it, and whoever makes
/// the next one removes those of the same user whose lock is free.
#[derive(Debug)]
pub(crate) struct TemporaryFolder {
    path: PathBuf,
    _owner: File,
}

impl TemporaryFolder {
    /// A new folder in `parent`, readable by this user alone.
    pub(crate) fn create_in(parent: &Path) -> Result<TemporaryFolder> {
        let fail = |error| Failure::io("create a folder in", parent.display(), &error);
        let path = create_fresh(parent).map_err(fail)?;
        // Locked before it has its name, so that nobody can take it in between.
        let unnamed = path.join("owner.new");
        let owner = File::create(&unnamed).map_err(fail)?;
        owner.try_lock().map_err(|error| fail(error.into()))?;
        fs::rename(&unnamed, path.join(OWNER)).map_err(fail)?;
        remove_abandoned(parent, &path);
        Ok(TemporaryFolder { path, _owner: owner })
    }

    /// The place for a store, or for a checkpoint, in it.
    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("store")
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Best effort: what is left is removed by the next run.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn create_fresh(parent: &Path) -> io::Result<PathBuf> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    for attempt in 0_u32.. {
        let path = parent.join(format!("{PREFIX}{}-{attempt}", std::process::id()));
        match builder.create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 10_000 => {}
            Err(error) => return Err(error),
        }
    }
    unreachable!("the attempts are bounded")
}

/// Removes folders of killed runs beside `mine`. Errors are passed over: nothing depends on it.
fn remove_abandoned(parent: &Path, mine: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !named || path == mine || !same_owner(&path, mine) {
            continue;
        }
        // A folder without its file is just being made; it is left alone.
        let Ok(owner) = File::open(path.join(OWNER)) else {
            continue;
        };
        if owner.try_lock().is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Whether both are true folders of one user.
fn same_owner(path: &Path, mine: &Path) -> bool {
    let (Ok(theirs), Ok(mine)) = (fs::symlink_metadata(path), fs::symlink_metadata(mine)) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if theirs.uid() != mine.uid() {
            return false;
        }
    }
    theirs.is_dir() && mine.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_owner_and_an_abandoned_one_with_the_next() {
        let parent = tempfile::tempdir().expect("a folder");
        let abandoned = parent.path().join(format!("{PREFIX}1-0"));
        fs::create_dir(&abandoned).expect("a folder");
        fs::write(abandoned.join(OWNER), "").expect("a file");
        let unfinished = parent.path().join(format!("{PREFIX}2-0"));
        fs::create_dir(&unfinished).expect("a folder");

        let first = TemporaryFolder::create_in(parent.path()).expect("a folder");
        assert!(!abandoned.exists());
        assert!(unfinished.exists());
        let second = TemporaryFolder::create_in(parent.path()).expect("a folder");
        assert_ne!(first.store(), second.store());
        assert!(first.path.exists());
        fs::write(first.store(), "x").expect("a file");
        let path = first.path.clone();
        drop(first);
        assert!(!path.exists());
    }
}
