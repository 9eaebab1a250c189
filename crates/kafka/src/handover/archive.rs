//! Where stores are shipped to and fetched from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::BoxError;
use crate::message::TopicPartition;

/// A place that the owners of a partition share, for checkpoints of its store. Checkpoints are as secret as
/// stores.
pub trait Archive {
    /// Keeps the checkpoint in the folder `checkpoint`, in place of an earlier one of the partition. It must
    /// be all there, or not at all, whatever happens meanwhile.
    ///
    /// # Errors
    ///
    /// The partition is given up without it, with a warning.
    fn put(&mut self, partition: &TopicPartition, checkpoint: &Path) -> Result<(), BoxError>;

    /// Copies the last checkpoint of the partition into the new folder `dest`. `false` if there is none.
    ///
    /// # Errors
    ///
    /// It is asked again later.
    fn fetch(&mut self, partition: &TopicPartition, dest: &Path) -> Result<bool, BoxError>;
}

/// An archive in a folder that all machines see: a network file system.
///
/// Each checkpoint is a folder of its own, and a small file, replaced as a whole, names the last one of a partition.
#[derive(Debug, Clone)]
pub struct FolderArchive {
    folder: PathBuf,
}

impl FolderArchive {
    /// An archive in `folder`, which is made if it is not there.
    #[must_use]
    pub fn new(folder: impl AsRef<Path>) -> FolderArchive {
        FolderArchive { folder: folder.as_ref().to_path_buf() }
    }

    /// The file that names the last checkpoint of a partition.
    fn pointer(&self, partition: &TopicPartition) -> PathBuf {
        self.folder.join(format!("{}.last", partition.stem()))
    }

    /// Removes the checkpoints of a partition but for one.
    fn remove_others(&self, partition: &TopicPartition, kept: &str) -> io::Result<()> {
        let of_partition = format!("{}.checkpoint-", partition.stem());
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(&of_partition) && name != kept {
                remove(&self.folder.join(name))?;
            }
        }
        Ok(())
    }
}

impl Archive for FolderArchive {
    fn put(&mut self, partition: &TopicPartition, checkpoint: &Path) -> Result<(), BoxError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("{}.checkpoint-{:016x}", partition.stem(), u64::from_le_bytes(random));
        fs::create_dir_all(&self.folder)?;
        copy(checkpoint, &self.folder.join(&name))?;
        let coming = self.folder.join(format!("{name}.name"));
        fs::write(&coming, &name)?;
        fs::File::open(&coming)?.sync_all()?;
        fs::rename(&coming, self.pointer(partition))?;
        sync(&self.folder)?;
        // Whoever fetches one of them now is told that it is gone, and fetches again.
        Ok(self.remove_others(partition, &name)?)
    }

    fn fetch(&mut self, partition: &TopicPartition, dest: &Path) -> Result<bool, BoxError> {
        let name = match fs::read_to_string(self.pointer(partition)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            name => name?,
        };
        copy(&self.folder.join(name), dest)?;
        Ok(true)
    }
}

/// Copies a folder of files, and folders in it, so that it is durable.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let dest = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &dest)?;
        } else {
            // With the permissions of the file: nobody else may read a store's key.
            fs::copy(entry.path(), &dest)?;
            fs::File::open(&dest)?.sync_all()?;
        }
    }
    sync(to)
}

/// Makes the names in a folder durable, where a folder can be synced.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Removes a folder that may not be there.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_checkpoint_is_fetched() {
        let dir = tempfile::tempdir().unwrap();
        let (partition, other) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
        let mut archive = FolderArchive::new(dir.path().join("archive"));
        let dest = dir.path().join("dest");
        assert!(!archive.fetch(&partition, &dest).unwrap());
        let checkpoint = dir.path().join("checkpoint");
        fs::create_dir_all(checkpoint.join("sled")).unwrap();
        for content in ["one", "two"] {
            fs::write(checkpoint.join("sled").join("db"), content).unwrap();
            archive.put(&partition, &checkpoint).unwrap();
        }
        assert!(archive.fetch(&partition, &dest).unwrap());
        assert_eq!(fs::read_to_string(dest.join("sled").join("db")).unwrap(), "two");
        assert!(!archive.fetch(&other, &dir.path().join("none")).unwrap());
        let left = fs::read_dir(dir.path().join("archive")).unwrap().count();
        assert_eq!(left, 2, "the last checkpoint and its name");
    }
}
