//! A folder in which a store is being built: locked, and empty again if that fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::held::MEMORY;
use crate::backend::{Place, Vault, check_backend, open_vault, remove_vault};
use crate::config::Backend;
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
    backend: Backend,
    existed: bool,
    finished: bool,
    _lock: Box<dyn Lock>,
}

impl<'a> Dest<'a> {
    /// Claims `dir`, which must be empty or not exist, for a store with this backend.
    pub(super) fn claim(
        storage: &'a Arc<dyn Storage>,
        dir: &Path,
        backend: Backend,
    ) -> Result<Dest<'a>> {
        check_backend(backend, &**storage)?;
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
        let dir = dir.to_path_buf();
        Ok(Dest { storage, dir, backend, existed, finished: false, _lock: lock })
    }

    pub(super) fn storage(&self) -> &Arc<dyn Storage> {
        self.storage
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the store, by its name, keeps its log and its runs. Empty; to be closed before the store is
    /// finished.
    pub(super) fn vault(&self, store: &StoreId) -> Result<Arc<dyn Vault>> {
        let place = Place {
            storage: self.storage,
            dir: &self.dir,
            store: *store,
            read_mode: ReadMode::default(),
            memory_budget: MEMORY,
        };
        open_vault(self.backend, &place, true)
    }

    /// Makes a store of the data that is there, their contents being durable.
    pub(super) fn finish(mut self, superblock: &Superblock, mut manifest: Manifest) -> Result<()> {
        let superblock = Superblock { backend: self.backend.code(), ..superblock.clone() };
        // The first manifest of a store says that it was not used yet.
        manifest.sequence = manifest.sequence.max(1);
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
        if let Err(error) = remove_vault(&**self.storage, &self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot remove a database");
        }
        entries.retain(|name| {
            !matches!(names::parse(name), names::Kind::Foreign | names::Kind::Database)
        });
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
