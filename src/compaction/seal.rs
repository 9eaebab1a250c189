//! Sorted records in, one durable run out, and a values file where ids have values.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::value::Value;
use crate::format::{StoreId, names};
use crate::key::Fingerprint;
use crate::run::{ReadMode, Run, RunSpec, RunWriter, Values, ValuesWriter};
use crate::sync::Arc;
use crate::sys::Storage;
use crate::time::Ticks;

/// Bits of a run's own filter for each id: 1 % of the ids that the window filter lets through in
/// vain read a page.
const RUN_FILTER_BITS: u32 = 10;

/// Where a new run goes and what it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct RunTarget {
    pub(crate) storage: std::sync::Arc<dyn Storage>,
    pub(crate) dir: PathBuf,
    pub(crate) store: StoreId,
    pub(crate) number: u64,
    pub(crate) generation: u64,
    pub(crate) ticks: Ticks,
    pub(crate) read_mode: ReadMode,
}

impl RunTarget {
    /// The path of the run.
    pub(crate) fn path(&self) -> PathBuf {
        names::run(&self.dir, self.number)
    }

    /// The path of its values.
    fn values_path(&self) -> PathBuf {
        names::values(&self.dir, self.number)
    }

    /// Writes all records, ascending, with what is kept with their ids, ascending too, and opens the
    /// run that they make. Its bytes and its names are durable then. On an error nothing is left.
    pub(crate) fn write(
        &self,
        expected: u64,
        records: impl Iterator<Item = (Fingerprint, u8)>,
        values: Vec<(Fingerprint, Value)>,
    ) -> Result<Arc<Run>> {
        self.write_files(expected, records, &values).inspect_err(|_| self.abandon())
    }

    fn write_files(
        &self,
        expected: u64,
        mut records: impl Iterator<Item = (Fingerprint, u8)>,
        values: &[(Fingerprint, Value)],
    ) -> Result<Arc<Run>> {
        let mut writer = self.start(expected)?;
        records.try_for_each(|(id, tick)| writer.push(id, tick))?;
        writer.finish()?;
        if !values.is_empty() {
            let mut writer = self.start_values()?;
            values.iter().try_for_each(|(id, value)| writer.push(*id, value))?;
            writer.finish()?;
        }
        self.open(!values.is_empty())
    }

    /// Starts a run for about `expected` records.
    pub(crate) fn start(&self, expected: u64) -> Result<RunWriter> {
        // Files of this number that are there were left by a step that failed: no list names them.
        self.abandon();
        let path = self.path();
        let file = self.storage.create(&path).map_err(|e| Error::io("create", &path, e))?;
        let spec = RunSpec {
            store: self.store,
            number: self.number,
            generation: self.generation,
            ticks: self.ticks,
            expected,
            filter_bits_per_id: RUN_FILTER_BITS,
        };
        RunWriter::new(file, &path, spec).inspect_err(|_| self.abandon())
    }

    /// Starts the values of the run.
    pub(crate) fn start_values(&self) -> Result<ValuesWriter> {
        let path = self.values_path();
        let file = self.storage.create(&path).map_err(|e| Error::io("create", &path, e))?;
        ValuesWriter::new(file, &path, &self.store, self.number)
    }

    /// Makes the names of finished files durable and opens the run.
    pub(crate) fn open(&self, has_values: bool) -> Result<Arc<Run>> {
        self.storage.sync_dir(&self.dir).map_err(|e| Error::io("sync", &self.dir, e))?;
        let open = |path: &Path| self.storage.open(path).map_err(|e| Error::io("open", path, e));
        let path = self.path();
        let file = open(&path)?;
        let run = Run::open(file, path, &self.store, self.number, self.read_mode)?;
        if !has_values {
            return Ok(Arc::new(run));
        }
        let path = self.values_path();
        let values = Values::open(open(&path)?, path, &self.store, self.number)?;
        Ok(Arc::new(run.with_values(values)))
    }

    /// Removes what was written so far.
    pub(crate) fn abandon(&self) {
        let _ = self.storage.remove(&self.path());
        let _ = self.storage.remove(&self.values_path());
    }
}
