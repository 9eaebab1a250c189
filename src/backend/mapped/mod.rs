//! Segments and runs as files of their own, runs read through mappings: the default backend.
//!
//! | module | what it is |
//! |---|---|
//! | `sealed` | a run file as the front sees it |
//! | `sink` | ascending records in, one durable run file out, and a values file beside it |
//!
//! What a file looks like is the business of `run`; here is which files there are.

mod sealed;
mod sink;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::sink::FileSink;
use super::{RunSink, RunTarget, Sealed, Vault};
use crate::error::{Corruption, Error, Result};
use crate::format::manifest::{Manifest, RunEntry};
use crate::format::{StoreId, names};
use crate::log::secure;
use crate::planted::{Bug, planted};
use crate::run::{ReadMode, Run, Values};
use crate::sys::{File, Storage};

/// The files of one store.
#[derive(Debug, Clone)]
pub(crate) struct MappedVault {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    store: StoreId,
    read_mode: ReadMode,
}

impl MappedVault {
    /// The files of the store in `dir`.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        dir: &Path,
        store: StoreId,
        read_mode: ReadMode,
    ) -> MappedVault {
        MappedVault { storage, dir: dir.to_path_buf(), store, read_mode }
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.storage.remove(path).map_err(|e| Error::io("remove", path, e))
    }

    fn open_file(&self, path: &Path) -> Result<Box<dyn File>> {
        match self.storage.open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                Err(Error::WindowIncomplete { missing: path.to_path_buf() })
            }
            opened => opened.map_err(|e| Error::io("open", path, e)),
        }
    }

    /// Opens a run and the values beside it.
    fn open(&self, number: u64, has_values: bool) -> Result<Run> {
        let path = names::run(&self.dir, number);
        let file = self.open_file(&path)?;
        let run = Run::open(file, path, &self.store, number, self.read_mode)?;
        if !has_values {
            return Ok(run);
        }
        let path = names::values(&self.dir, number);
        Ok(run.with_values(Values::open(self.open_file(&path)?, path, &self.store, number)?))
    }
}

impl Vault for MappedVault {
    fn segments(&self, first: u64) -> Result<Vec<u64>> {
        list_segments(&*self.storage, &self.dir, first)
    }

    fn create_segment(&self, number: u64) -> Result<Box<dyn File>> {
        let path = self.segment_path(number);
        let _ = self.storage.remove(&path);
        let file = self.storage.create(&path).map_err(|e| Error::io("create", &path, e))?;
        let named = match planted(Bug::SegmentNameUnsynced) {
            false => self.sync_names(),
            true => Ok(()),
        };
        match named {
            Ok(()) => Ok(file),
            Err(error) => {
                // The name may stay: an empty segment is harmless and removed at the next opening.
                let _ = self.storage.remove(&path);
                Err(error)
            }
        }
    }

    fn open_segment(&self, number: u64) -> Result<Box<dyn File>> {
        let path = self.segment_path(number);
        self.storage.open_write(&path).map_err(|e| Error::io("open", &path, e))
    }

    fn secure_segment(&self, file: &dyn File, from: u64, end: u64) -> std::io::Result<()> {
        secure(file, from, end)
    }

    fn remove_segment(&self, number: u64) -> Result<()> {
        self.remove(&self.segment_path(number))
    }

    fn sync_names(&self) -> Result<()> {
        self.storage.sync_dir(&self.dir).map_err(|e| Error::io("sync", &self.dir, e))
    }

    fn segment_path(&self, number: u64) -> PathBuf {
        names::segment(&self.dir, number)
    }

    fn open_run(&self, entry: &RunEntry) -> Result<Arc<dyn Sealed>> {
        let run = self.open(entry.number, entry.values > 0)?;
        check_run(&run, &names::run(&self.dir, entry.number), entry)?;
        if let Some(values) = run.values() {
            check_values(values, &names::values(&self.dir, entry.number), entry)?;
        }
        Ok(Arc::new(run))
    }

    fn start_run(&self, target: RunTarget) -> Result<Box<dyn RunSink>> {
        Ok(Box::new(FileSink::start(self.clone(), target)?))
    }

    fn remove_run(&self, entry: &RunEntry) -> Result<()> {
        let values = match entry.values {
            0 => Ok(()),
            _ => self.remove(&names::values(&self.dir, entry.number)),
        };
        self.remove(&names::run(&self.dir, entry.number)).and(values)
    }

    fn remove_generation(&self, _generation: u64, runs: &[RunEntry]) -> Result<()> {
        // Each is tried, whatever becomes of the others.
        runs.iter().map(|run| self.remove_run(run)).fold(Ok(()), Result::and)
    }

    fn remove_leftovers(&self, manifest: &Manifest) -> Result<u64> {
        let entries = self.storage.list(&self.dir).map_err(|e| Error::io("read", &self.dir, e))?;
        let listed = |number| manifest.runs.iter().find(|run| run.number == number);
        let left_over = |name: &String| match names::parse(name) {
            names::Kind::Run(number) => listed(number).is_none(),
            names::Kind::Values(number) => listed(number).is_none_or(|run| run.values == 0),
            names::Kind::Segment(number) => number < manifest.first_segment,
            _ => false,
        };
        let mut removed = 0;
        for name in entries.iter().filter(|name| left_over(name)) {
            self.remove(&self.dir.join(name))?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// The numbers of the segment files from `first` on that are there, ascending.
pub(crate) fn list_segments(storage: &dyn Storage, dir: &Path, first: u64) -> Result<Vec<u64>> {
    let entries = storage.list(dir).map_err(|e| Error::io("read", dir, e))?;
    let number = |name: &String| match names::parse(name) {
        names::Kind::Segment(number) => Some(number),
        _ => None,
    };
    let mut numbers: Vec<u64> = entries.iter().filter_map(number).filter(|&n| n >= first).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Checks that an open run is the one that the manifest lists.
pub(crate) fn check_run(run: &Run, path: &Path, entry: &RunEntry) -> Result<()> {
    if (run.records(), run.bytes(), run.spec().generation)
        == (entry.records, entry.bytes, entry.generation)
    {
        return Ok(());
    }
    let say = |records, bytes, generation| {
        format!("{records} records of generation {generation} in {bytes} bytes")
    };
    Err(Error::from(Corruption {
        path: path.to_path_buf(),
        offset: 0,
        what: "run",
        expected: say(entry.records, entry.bytes, entry.generation),
        found: say(run.records(), run.bytes(), run.spec().generation),
    }))
}

/// Checks that open values are those that the manifest lists beside a run.
pub(crate) fn check_values(values: &Values, path: &Path, entry: &RunEntry) -> Result<()> {
    if values.bytes() == entry.values {
        return Ok(());
    }
    Err(Error::from(Corruption {
        path: path.to_path_buf(),
        offset: 0,
        what: "values file",
        expected: format!("{} bytes", entry.values),
        found: format!("{} bytes", values.bytes()),
    }))
}
