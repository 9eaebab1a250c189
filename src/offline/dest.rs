//! A folder in which a store is being built: locked, and empty again if that fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::Vault;
use crate::backend::mapped::MappedVault;
use crate::error::{Error, Result};
use crate::format::manifest::Manifest;
use crate::format::superblock::Superblock;
use crate::format::{StoreId, names};
use crate::run::ReadMode;
use crate::store::catalog::{Catalog, write_file};
use crate::sys::{Lock, Storage, disk};

/// See the module documentation.
///
/// Data comes first, `STORE` next and `MANIFEST` last, each durable before the next: a folder with
/// data and without a manifest is refused by every opening.
#[derive(Debug)]
pub(super) struct Dest<'a> {
    storage: &'a Arc<dyn Storage>,
    dir: PathBuf,
    existed: bool,
    finished: bool,
    _lock: Box<dyn Lock>,
}

impl<'a> Dest<'a> {
    /// Claims `dir`, which must be empty or not exist.
    pub(super) fn claim(storage: &'a Arc<dyn Storage>, dir: &Path) -> Result<Dest<'a>> {
        let existed = check_empty(&**storage, dir)?;
        storage.create_dir(dir).map_err(|e| Error::io("create", dir, e))?;
        let path = dir.join(names::LOCK);
        let give_up = |error: &Error| {
            // Where somebody else builds a store, nothing is ours to remove.
            if matches!(error, Error::Io { .. } | Error::DiskFull { .. }) {
                let _ = storage.remove(&path);
                if !existed {
                    let _ = storage.remove_dir(dir);
                }
            }
        };
        let lock = storage.lock(&path).map_err(|e| Error::io("lock", &path, e));
        let lock = lock.inspect_err(give_up)?.ok_or_else(|| {
            let holder = disk::holder(&path);
            Error::Locked { path: dir.to_path_buf(), holder }
        })?;
        check_empty(&**storage, dir).inspect_err(give_up)?;
        Ok(Dest { storage, dir: dir.to_path_buf(), existed, finished: false, _lock: lock })
    }

    pub(super) fn storage(&self) -> &Arc<dyn Storage> {
        self.storage
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the store, by its name, keeps its log and its runs.
    pub(super) fn vault(&self, store: &StoreId) -> Result<Arc<dyn Vault>> {
        let storage = Arc::clone(self.storage);
        Ok(Arc::new(MappedVault::new(storage, &self.dir, *store, ReadMode::default())))
    }

    /// Makes a store of the data that is there, their contents being durable.
    pub(super) fn finish(mut self, superblock: &Superblock, manifest: Manifest) -> Result<()> {
        let sync = || self.storage.sync_dir(&self.dir).map_err(|e| Error::io("sync", &self.dir, e));
        sync()?;
        write_file(&**self.storage, &self.dir.join(names::STORE), &superblock.encode())?;
        sync()?;
        let storage = Arc::clone(self.storage);
        Catalog::new(storage, &self.dir, superblock.store, manifest).install(|_| {})?;
        self.finished = true;
        Ok(())
    }

    /// Removes everything, the manifest first: what is left at any moment is refused.
    fn clear(&self) {
        let remove = |name: &str| {
            let path = self.dir.join(name);
            if let Err(error) = self.storage.remove(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a file");
            }
        };
        let Ok(mut entries) = self.storage.list(&self.dir) else {
            tracing::warn!(dir = %self.dir.display(), "cannot remove what was built");
            return;
        };
        entries.retain(|name| names::parse(name) != names::Kind::Foreign);
        if let Some(at) = entries.iter().position(|name| name == names::MANIFEST) {
            remove(&entries.swap_remove(at));
            let _ = self.storage.sync_dir(&self.dir);
        }
        entries.sort_by_key(|name| (name == names::LOCK, name != names::STORE));
        entries.iter().for_each(|name| remove(name));
        if !self.existed {
            let _ = self.storage.remove_dir(&self.dir);
        }
    }
}

impl Drop for Dest<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.clear();
        }
    }
}

/// Refuses a folder with anything in it but a lock file; says whether there is a folder.
fn check_empty(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    let entries = match storage.list(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        listed => listed.map_err(|e| Error::io("read", dir, e))?,
    };
    match entries.iter().find(|name| *name != names::LOCK) {
        None => Ok(true),
        Some(name) => Err(Error::Misuse(format!(
            "{} is not empty, it has {name:?}; choose a folder that is new or empty",
            dir.display()
        ))),
    }
}
