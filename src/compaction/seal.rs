//! Sorted records in, one durable run out.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::format::{StoreId, names};
use crate::key::Fingerprint;
use crate::run::{ReadMode, Run, RunSpec, RunWriter};
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

    /// Writes all records, ascending, and opens the run that they make. Its bytes and its name are
    /// durable then. On an error the file is removed.
    pub(crate) fn write(
        &self,
        expected: u64,
        mut records: impl Iterator<Item = (Fingerprint, u8)>,
    ) -> Result<Arc<Run>> {
        let mut writer = self.start(expected)?;
        match records.try_for_each(|(id, tick)| writer.push(id, tick)) {
            Ok(()) => self.finish(writer),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// Starts a run for about `expected` records.
    pub(crate) fn start(&self, expected: u64) -> Result<RunWriter> {
        let path = self.path();
        // A run of this number that is there was left by a step that failed: no list names it.
        let _ = self.storage.remove(&path);
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

    /// Makes a run durable and opens it.
    pub(crate) fn finish(&self, writer: RunWriter) -> Result<Arc<Run>> {
        self.finish_and_open(writer).map(Arc::new).inspect_err(|_| self.abandon())
    }

    /// Removes what was written so far.
    pub(crate) fn abandon(&self) {
        let _ = self.storage.remove(&self.path());
    }

    fn finish_and_open(&self, writer: RunWriter) -> Result<Run> {
        writer.finish()?;
        self.storage.sync_dir(&self.dir).map_err(|e| Error::io("sync", &self.dir, e))?;
        let path = self.path();
        let file = self.storage.open(&path).map_err(|e| Error::io("open", &path, e))?;
        Run::open(file, path, &self.store, self.number, self.read_mode)
    }
}
