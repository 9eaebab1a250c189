//! The vault of a store, by the name of its backend.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Vault;
use super::mapped::MappedVault;
#[cfg(feature = "sled")]
use super::sled::SledVault;
use crate::config::Backend;
use crate::error::{Error, Result};
use crate::format::{StoreId, names};
use crate::run::ReadMode;
use crate::sys::Storage;

/// Where a vault is, and for whom.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) storage: &'a Arc<dyn Storage>,
    /// The store's folder.
    pub(crate) dir: &'a Path,
    pub(crate) store: StoreId,
    /// How mapped runs are read.
    pub(crate) read_mode: ReadMode,
    /// The store's memory budget, of which the cache of a database takes its share.
    #[cfg_attr(not(feature = "sled"), allow(dead_code))]
    pub(crate) memory_budget: u64,
}

/// Opens the vault of a store, or creates it, empty.
pub(crate) fn open_vault(
    backend: Backend,
    place: &Place<'_>,
    create: bool,
) -> Result<Arc<dyn Vault>> {
    let storage = Arc::clone(place.storage);
    match backend {
        Backend::Mapped => {
            Ok(Arc::new(MappedVault::new(storage, place.dir, place.store, place.read_mode)))
        }
        #[cfg(feature = "sled")]
        Backend::Sled => {
            check_backend(backend, &*storage)?;
            let Place { dir, store, memory_budget, .. } = *place;
            refuse_link(&*storage, &dir.join(names::SLED))?;
            Ok(Arc::new(SledVault::open(storage, dir, store, memory_budget, create)?))
        }
        #[cfg(not(feature = "sled"))]
        Backend::Sled => {
            let _ = create;
            check_backend(backend, &*storage).map(|()| unreachable!("this build has no sled"))
        }
    }
}

/// Refuses a backend that this build, or this storage, has not.
pub(crate) fn check_backend(backend: Backend, storage: &dyn Storage) -> Result<()> {
    let refuse =
        |reason: &str| Err(Error::InvalidOption { option: "backend", reason: reason.into() });
    match backend {
        Backend::Mapped => Ok(()),
        Backend::Sled if !cfg!(feature = "sled") => {
            refuse("`sled` is not in this build; build it with the cargo feature `sled`")
        }
        Backend::Sled if !storage.is_of_the_system() => {
            refuse("`sled` is on real files only, not on a storage of a test")
        }
        Backend::Sled => Ok(()),
    }
}

/// Removes all that a vault has in a folder that nobody has open, but for files with names of their own.
pub(crate) fn remove_vault(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let path = dir.join(names::SLED);
    refuse_link(storage, &path)?;
    remove_folder(storage, &path, 1).map_err(|e| Error::io("remove", &path, e))
}

/// Refuses a symbolic link where a database, or a file of it, is about to be opened or removed by its path:
/// unlike the files that are opened here, that would be followed.
pub(super) fn refuse_link(storage: &dyn Storage, path: &Path) -> Result<()> {
    storage.refuse_link(path).map_err(|e| Error::io("open", path, e))
}

/// Removes a folder with its files, and with its folders down to `depth`.
fn remove_folder(storage: &dyn Storage, path: &Path, depth: u32) -> io::Result<()> {
    let entries = match storage.list(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    for name in entries {
        let path = path.join(name);
        match storage.remove(&path) {
            Err(_) if depth > 0 => remove_folder(storage, &path, depth - 1)?,
            removed => removed?,
        }
    }
    storage.remove_dir(path)
}
