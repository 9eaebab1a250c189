//! Sled, opened, with its errors and its panics turned into ours.
//!
//! Sled panics where it finds bytes that it does not expect. Such a panic becomes an error, and the
//! database answers nothing more until it is opened again: nobody knows in which state it is.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sled::Db;

use super::super::open::refuse_link;
use super::keys;
use super::piece;
use crate::error::{Corruption, Error, Result};
use crate::format::StoreId;
use crate::sync::{AtomicBool, Ordering};
use crate::sys::{File, Storage};

/// Sled's files that are always there.
const DATA: &str = "db";
const CONFIG: &str = "conf";
/// What it has read of its log: how the names begin, and how they end while it is written.
const SNAPSHOT: &str = "snap.";
const BEGUN: &str = ".generating";

/// For how long one waits for a database that is still being closed in this process.
const CLOSING: Duration = Duration::from_secs(5);
/// Memory of sled's cache, as a share of the store's budget.
const CACHE_SHARE: u64 = 4;

/// An open database.
pub(super) struct Database {
    /// Gone while it is dropped.
    handles: Option<Handles>,
    /// Its data file once more, to sync it.
    data: Box<dyn File>,
    /// Its folder.
    path: PathBuf,
    broken: AtomicBool,
}

struct Handles {
    db: Db,
    log: sled::Tree,
}

impl Drop for Database {
    /// Sled writes what it holds back when it is dropped, and may panic over it.
    fn drop(&mut self) {
        let handles = self.handles.take();
        if catch_unwind(AssertUnwindSafe(|| drop(handles))).is_err() {
            tracing::error!(path = %self.path.display(), "sled panicked when it was closed");
        }
    }
}

impl std::fmt::Debug for Database {
    /// Sled's own would print every record.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Database {
    /// Creates the database of a store in `path`.
    pub(super) fn create(
        storage: &dyn Storage,
        path: &Path,
        store: &StoreId,
        memory: u64,
    ) -> Result<Database> {
        storage.create_dir(path).map_err(|e| Error::io("create", path, e))?;
        let database = Database::start(storage, path, memory)?;
        let mut name = store.to_vec();
        piece::seal(piece::salt(store, 0), keys::STORE.as_bytes(), &mut name);
        database.ask("write", || database.db().insert(keys::STORE, name))?;
        database.sync()?;
        let sync = |name: &str| {
            let path = path.join(name);
            let file = storage.open_write(&path).map_err(|e| Error::io("open", &path, e))?;
            file.sync_all().map_err(|e| Error::io("sync", &path, e))
        };
        sync(CONFIG)?;
        storage.sync_dir(path).map_err(|e| Error::io("sync", path, e))?;
        Ok(database)
    }

    /// Opens the database of a store.
    pub(super) fn open(
        storage: &dyn Storage,
        path: &Path,
        store: &StoreId,
        memory: u64,
    ) -> Result<Database> {
        // Sled would create what is not there.
        let names = match storage.list(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|e| Error::io("read", path, e))?,
        };
        for name in [DATA, CONFIG] {
            if !names.iter().any(|found| found == name) {
                return Err(Error::WindowIncomplete { missing: path.join(name) });
            }
        }
        names.iter().try_for_each(|name| refuse_link(storage, &path.join(name)))?;
        remove_begun(storage, path, &names)?;
        let database = Database::start(storage, path, memory)?;
        database.check_name(store)?;
        Ok(database)
    }

    fn start(storage: &dyn Storage, path: &Path, memory: u64) -> Result<Database> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(memory / CACHE_SHARE)
            .flush_every_ms(None);
        let broken = AtomicBool::new(false);
        let started = Instant::now();
        let (db, log) = loop {
            let opened = ask_to_open(&broken, path, || {
                let db = config.clone().open()?;
                let log = db.open_tree(keys::LOG)?;
                Ok((db, log))
            });
            match opened {
                // The lock of the store is ours, so this is a database that was closed just now.
                Err(Error::Io { source, .. })
                    if source.to_string().contains("acquire lock")
                        && started.elapsed() < CLOSING =>
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                opened => break opened?,
            }
        };
        let data = path.join(DATA);
        let data = storage.open_write(&data).map_err(|e| Error::io("open", &data, e))?;
        let handles = Some(Handles { db, log });
        Ok(Database { handles, data, path: path.to_path_buf(), broken })
    }

    /// Checks that it is this store's, and not that of a copy which was put in its place.
    fn check_name(&self, store: &StoreId) -> Result<()> {
        let found = self.ask("read", || self.db().get(keys::STORE))?;
        let Some(found) = found else {
            return Err(Error::WindowIncomplete { missing: self.path.join(DATA) });
        };
        let salt = piece::salt(store, 0);
        let name = piece::open(salt, keys::STORE.as_bytes(), &found, "name of the store in sled");
        match name.map_err(|flaw| flaw.of(&self.path))? {
            name if name == store => Ok(()),
            _ => Err(self.damage("name of the store in sled", "that of STORE", "another").into()),
        }
    }

    fn handles(&self) -> &Handles {
        self.handles.as_ref().expect("they go when it is dropped")
    }

    pub(super) fn db(&self) -> &Db {
        &self.handles().db
    }

    /// The tree of the log.
    pub(super) fn log(&self) -> &sled::Tree {
        &self.handles().log
    }

    /// Asks sled for something.
    pub(super) fn ask<T>(
        &self,
        op: &'static str,
        f: impl FnOnce() -> sled::Result<T>,
    ) -> Result<T> {
        ask(&self.broken, &self.path, op, f)
    }

    /// The same for those who speak the language of files.
    pub(super) fn ask_io<T>(&self, f: impl FnOnce() -> sled::Result<T>) -> io::Result<T> {
        guarded(&self.broken, f)?.map_err(|error| match error {
            sled::Error::Corruption { at, .. } => {
                let damage = damage_at(&self.path, at.map_or(0, |at| at.lid()));
                io::Error::new(io::ErrorKind::InvalidData, damage)
            }
            error => io_error(error),
        })
    }

    /// Writes what sled holds back: from then on the death of the process does not lose it.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.ask_io(|| self.db().flush()).map(drop)
    }

    /// Makes everything durable, as far as the medium obeys.
    pub(super) fn sync(&self) -> Result<()> {
        let synced = self.flush().and_then(|()| self.data.sync_data());
        synced.map_err(|e| Error::io("sync", &self.path, e))
    }

    /// Makes durable what was flushed before. Sled is not asked, so this goes on when it answers no more.
    pub(super) fn sync_data(&self) -> io::Result<()> {
        self.data.sync_data()
    }

    /// Its folder, as messages name it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A damage at no offset in particular.
    pub(super) fn damage(&self, what: &'static str, expected: &str, found: &str) -> Corruption {
        let path = self.path.clone();
        Corruption { path, offset: 0, what, expected: expected.into(), found: found.into() }
    }
}

/// Removes snapshots that sled had begun to write when its process died. They mean nothing, but sled takes the
/// last name that begins so for its snapshot, and one that is not whole for damage: it would not open again.
fn remove_begun(storage: &dyn Storage, path: &Path, names: &[String]) -> Result<()> {
    for name in names.iter().filter(|name| name.starts_with(SNAPSHOT) && name.ends_with(BEGUN)) {
        let path = path.join(name);
        storage.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
    }
    Ok(())
}

/// What sled found damaged in its file.
fn damage_at(path: &Path, offset: u64) -> Corruption {
    Corruption {
        path: path.join(DATA),
        offset,
        what: "page of sled",
        expected: "a page that verifies".into(),
        found: "one that does not".into(),
    }
}

fn ask<T>(
    broken: &AtomicBool,
    path: &Path,
    op: &'static str,
    f: impl FnOnce() -> sled::Result<T>,
) -> Result<T> {
    let asked = guarded(broken, f).map_err(|e| Error::io(op, path, e))?;
    asked.map_err(|error| match error {
        sled::Error::Corruption { at, .. } => damage_at(path, at.map_or(0, |at| at.lid())).into(),
        error => Error::io(op, path, io_error(error)),
    })
}

/// Opens sled. If the disk is full then, no sled is left that tells so for ever: opening it later may succeed.
fn ask_to_open<T>(
    broken: &AtomicBool,
    path: &Path,
    f: impl FnOnce() -> sled::Result<T>,
) -> Result<T> {
    let opened = ask(broken, path, "open", || match f() {
        Err(sled::Error::Io(error)) if error.kind() == io::ErrorKind::StorageFull => Ok(Err(error)),
        opened => opened.map(Ok),
    })?;
    opened.map_err(|error| Error::io("open", path, error))
}

/// Calls sled, unless it has panicked before.
fn guarded<T>(broken: &AtomicBool, f: impl FnOnce() -> T) -> io::Result<T> {
    let refuse = |what: &str| io::Error::other(format!("sled panicked: {what}"));
    if broken.load(Ordering::Relaxed) {
        return Err(refuse("it answers nothing until the store is opened again"));
    }
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        broken.store(true, Ordering::Relaxed);
        let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        refuse(&text.unwrap_or_else(|| "without a word".into()))
    })
}

/// A sled error as the system's.
fn io_error(error: sled::Error) -> io::Error {
    match error {
        // Sled tells for ever what it was told once, also that the disk was full: no retry helps.
        sled::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
            io::Error::other(format!("sled found no room: {error}"))
        }
        sled::Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Once open, sled tells for ever that the disk was full; one that could not be opened does not.
    #[test]
    fn a_full_disk_may_pass_only_while_sled_is_opened() {
        let full = || Err::<(), _>(sled::Error::Io(io::ErrorKind::StorageFull.into()));
        let (broken, path) = (AtomicBool::new(false), Path::new("sled"));
        let opening = ask_to_open(&broken, path, full).unwrap_err();
        assert!(matches!(opening, Error::DiskFull { .. }) && opening.is_transient(), "{opening}");
        let open = ask(&broken, path, "write", full).unwrap_err();
        assert!(matches!(open, Error::Io { .. }) && !open.is_transient(), "{open}");
    }
}
