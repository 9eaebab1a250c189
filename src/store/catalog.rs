//! The manifest in memory and on disk: how a change of the live files becomes durable.
//!
//! Order, for every change: the new files' bytes, their names, the new manifest's bytes, its name;
//! only then are files removed that it no longer lists. A crash in between leaves files that no
//! manifest lists, which the next opening removes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::manifest::Manifest;
use crate::format::{StoreId, names};
use crate::planted::{Bug, planted};
use crate::sys::{File, Storage, read_exact_at, write_all_at};

/// Longest file that is read as a whole: a manifest with every forgotten id and a million runs, or a
/// state with all that may be prepared.
const SMALL_FILE_MAX: u64 = 256 << 20;
/// What is set aside so that a manifest can be written on a full disk.
const RESERVE_BYTES: u64 = 256 << 10;
/// The least that is set aside for a state file, once there is a state.
const STATE_ROOM_MIN: u64 = 1 << 20;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Catalog {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    store: StoreId,
    pub(crate) manifest: Manifest,
    /// Bytes that are set aside for a full disk.
    reserved: u64,
    /// Why it is not known which manifest a reopen would find, if so.
    unsettled: Option<Arc<str>>,
}

impl Catalog {
    /// The catalog of the store in `dir`, whose manifest is `manifest`.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        dir: &Path,
        store: StoreId,
        manifest: Manifest,
    ) -> Catalog {
        Catalog { storage, dir: dir.to_path_buf(), store, manifest, reserved: 0, unsettled: None }
    }

    /// Makes a changed manifest durable. On an error the old one stands, here and on disk, unless the
    /// catalog is unsettled: then either may be on disk, the files of both must stay, and no further
    /// change is taken.
    pub(crate) fn install(&mut self, edit: impl FnOnce(&mut Manifest)) -> Result<()> {
        self.check_settled()?;
        let mut next = self.manifest.clone();
        edit(&mut next);
        next.sequence += 1;
        let bytes = next.encode(&self.store);
        match self.replace(&bytes) {
            Err(Error::DiskFull { .. }) if self.is_settled() && self.open_reserve() => {
                self.replace(&bytes)?
            }
            other => other?,
        }
        self.manifest = next;
        Ok(())
    }

    /// Sets space aside for a manifest on a full disk, and for a state file of `state` bytes. Returns
    /// for how long a state file there is room.
    pub(crate) fn set_reserve_aside(&mut self, state: u64) -> Result<u64> {
        let room = match state {
            0 => 0,
            state => state.next_power_of_two().max(STATE_ROOM_MIN),
        };
        if planted(Bug::ReserveNotKept) {
            return Ok(room);
        }
        if self.reserved >= RESERVE_BYTES + room {
            return Ok(self.reserved - RESERVE_BYTES);
        }
        let path = self.dir.join(names::RESERVE);
        let file = match self.storage.open_write(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => self.storage.create(&path),
            opened => opened,
        };
        let made = file.and_then(|file| file.allocate(0, RESERVE_BYTES + room));
        if let Err(error) = made {
            if self.reserved == 0 {
                let _ = self.storage.remove(&path);
            }
            return Err(Error::io("set space aside in", &path, error));
        }
        self.reserved = RESERVE_BYTES + room;
        Ok(room)
    }

    /// Gives the space back that was set aside. `false` if there was none.
    pub(crate) fn open_reserve(&mut self) -> bool {
        self.reserved = 0;
        self.storage.remove(&self.dir.join(names::RESERVE)).is_ok()
    }

    /// Bytes that are set aside.
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Refuses work on files once it is not known which manifest a reopen would find: it may list
    /// what the next step would write in the place of something else.
    pub(crate) fn check_settled(&self) -> Result<()> {
        match &self.unsettled {
            Some(cause) => Err(Error::Poisoned { cause: Arc::clone(cause) }),
            None => Ok(()),
        }
    }

    /// Whether it is known which manifest a reopen would find.
    pub(crate) fn is_settled(&self) -> bool {
        self.unsettled.is_none()
    }

    fn replace(&mut self, bytes: &[u8]) -> Result<()> {
        let (new, name) = (self.dir.join(names::MANIFEST_NEW), self.dir.join(names::MANIFEST));
        let _ = self.storage.remove(&new);
        write_file(&*self.storage, &new, bytes)?;
        let renamed = self.storage.rename(&new, &name);
        match renamed.map_err(|e| Error::io("replace", &name, e)) {
            // For want of room nothing was renamed; of another failure that is not known.
            Err(error @ Error::DiskFull { .. }) => return Err(error),
            renamed => renamed.inspect_err(|error| self.unsettle(error))?,
        }
        if planted(Bug::ManifestNameUnsynced) {
            return Ok(());
        }
        let synced = self.storage.sync_dir(&self.dir);
        synced
            .map_err(|e| Error::io("sync", &self.dir, e))
            .inspect_err(|error| self.unsettle(error))
    }

    fn unsettle(&mut self, error: &Error) {
        self.unsettled = Some(error.to_string().into());
    }
}

/// Creates a file with these bytes and makes them durable; the name is not, yet.
pub(crate) fn write_file(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<()> {
    let file = storage.create(path).map_err(|e| Error::io("create", path, e))?;
    let write = |file: &dyn File| {
        write_all_at(file, bytes, 0)?;
        if planted(Bug::ManifestUnsynced) { Ok(()) } else { file.sync_all() }
    };
    write(&*file).map_err(|e| Error::io("write", path, e))
}

/// Reads a small file; `None` if there is none.
pub(crate) fn read_file(storage: &dyn Storage, path: &Path) -> Result<Option<Vec<u8>>> {
    match storage.open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        opened => {
            let file = opened.map_err(|e| Error::io("read", path, e))?;
            read_whole(&*file, path).map(Some)
        }
    }
}

/// Reads all of a small file that is open.
pub(crate) fn read_whole(file: &dyn File, path: &Path) -> Result<Vec<u8>> {
    let read = || {
        let len = file.len()?;
        if len > SMALL_FILE_MAX {
            return Err(std::io::Error::other(format!("{len} bytes, more than it can have")));
        }
        let mut bytes = vec![0; usize::try_from(len).expect("checked to be small")];
        read_exact_at(file, &mut bytes, 0)?;
        Ok(bytes)
    };
    read().map_err(|e| Error::io("read", path, e))
}
