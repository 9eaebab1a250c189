//! Ascending records in, one durable run file out, and a values file where ids have values.

use std::sync::Arc;

use super::super::{RunSink, RunTarget, Sealed};
use super::MappedVault;
use crate::error::{Error, Result};
use crate::format::names;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::{Record, RunSpec, RunWriter, ValuesWriter};

/// Bits of a run's own filter for each id: 1 % of the ids that the window filter lets through in
/// vain read a page.
const RUN_FILTER_BITS: u32 = 10;

/// A run file under construction.
#[derive(Debug)]
pub(super) struct FileSink {
    vault: MappedVault,
    number: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Records(Box<RunWriter>),
    /// The run file is complete.
    Values(Box<ValuesWriter>),
    /// Nothing more can be added.
    Ended,
    /// The run is open: its files belong to whoever has it.
    Done,
}

impl FileSink {
    pub(super) fn start(vault: MappedVault, target: RunTarget) -> Result<FileSink> {
        let RunTarget { number, generation, ticks, expected } = target;
        let mut sink = FileSink { vault, number, stage: Stage::Ended };
        // Files of this number that are there were left by a step that failed: no list names them.
        sink.abandon();
        let path = names::run(&sink.vault.dir, number);
        let file = sink.vault.storage.create(&path).map_err(|e| Error::io("create", &path, e))?;
        let spec = RunSpec {
            store: sink.vault.store,
            number,
            generation,
            ticks,
            expected,
            filter_bits_per_id: RUN_FILTER_BITS,
        };
        sink.stage = Stage::Records(Box::new(RunWriter::new(file, &path, spec)?));
        Ok(sink)
    }

    fn start_values(&self) -> Result<ValuesWriter> {
        let path = names::values(&self.vault.dir, self.number);
        let file = self.vault.storage.create(&path).map_err(|e| Error::io("create", &path, e))?;
        ValuesWriter::new(file, &path, &self.vault.store, self.number)
    }

    /// Removes what was written so far.
    fn abandon(&self) {
        let _ = self.vault.storage.remove(&names::run(&self.vault.dir, self.number));
        let _ = self.vault.storage.remove(&names::values(&self.vault.dir, self.number));
    }
}

impl RunSink for FileSink {
    fn push(&mut self, records: &[Record]) -> Result<()> {
        let Stage::Records(writer) = &mut self.stage else {
            unreachable!("records come before values");
        };
        writer.extend(records)
    }

    fn push_value(&mut self, id: Fingerprint, value: &Value) -> Result<()> {
        if let Stage::Records(_) = &self.stage {
            let Stage::Records(writer) = std::mem::replace(&mut self.stage, Stage::Ended) else {
                unreachable!("it was looked at just now");
            };
            writer.finish()?;
            self.stage = Stage::Values(Box::new(self.start_values()?));
        }
        match &mut self.stage {
            Stage::Values(writer) => writer.push(id, value),
            _ => unreachable!("nothing is added after an error"),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Arc<dyn Sealed>> {
        let has_values = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Records(writer) => writer.finish().map(|_| false)?,
            Stage::Values(writer) => writer.finish().map(|_| true)?,
            Stage::Ended | Stage::Done => unreachable!("a run is finished once"),
        };
        let vault = &self.vault;
        vault.storage.sync_dir(&vault.dir).map_err(|e| Error::io("sync", &vault.dir, e))?;
        let run = vault.open(self.number, has_values)?;
        self.stage = Stage::Done;
        Ok(Arc::new(run))
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Done) {
            self.abandon();
        }
    }
}
