//! Sorted records and values in, one durable run out: at once, or of a table, a step at a time.

use std::sync::Arc;

use super::STEP;
use crate::backend::{RunSink, RunTarget, Sealed, Vault};
use crate::error::Result;
use crate::format::value::Value;
use crate::index::{Drain, Table};
use crate::key::Fingerprint;
use crate::run::{Record, Records};

/// How many records are handed over the seam at once.
const CHUNK: usize = 1024;

/// Writes all records, ascending, with what is kept with their ids, ascending too, and opens the run that
/// they make. It is durable then. On an error nothing of it counts.
pub(crate) fn write_run(
    vault: &dyn Vault,
    target: RunTarget,
    records: impl Records,
    values: impl Iterator<Item = Result<(Fingerprint, Value)>>,
) -> Result<Arc<dyn Sealed>> {
    let mut sink = vault.start_run(target)?;
    records.each_chunk(|chunk| sink.push(chunk))?;
    for value in values {
        let (id, value) = value?;
        sink.push_value(id, &value)?;
    }
    sink.finish()
}

/// A table on its way into a run. Given up before it is finished it leaves nothing behind that counts.
#[derive(Debug)]
pub(crate) struct Sealing {
    sink: Box<dyn RunSink>,
    drain: Drain,
    chunk: Vec<Record>,
}

impl Sealing {
    /// Starts to write `table`, into which nobody inserts any more, to a new run.
    pub(crate) fn start(table: &Table, vault: &dyn Vault, target: RunTarget) -> Result<Sealing> {
        let sink = vault.start_run(target)?;
        Ok(Sealing { sink, drain: table.drain(), chunk: Vec::new() })
    }

    /// Writes some more of `table`; `true` once all its records are written. After an error it cannot go on.
    pub(crate) fn step(&mut self, table: &Table) -> Result<bool> {
        let mut written = 0;
        while written < STEP {
            self.chunk.clear();
            self.drain.fill(table, CHUNK, &mut self.chunk);
            if self.chunk.is_empty() {
                return Ok(true);
            }
            self.sink.push(&self.chunk)?;
            written += self.chunk.len() as u64;
        }
        Ok(false)
    }

    /// Adds what is kept with ids, ascending, and opens the run, which is durable then.
    pub(crate) fn finish(mut self, values: &[(Fingerprint, Value)]) -> Result<Arc<dyn Sealed>> {
        for (id, value) in values {
            self.sink.push_value(*id, value)?;
        }
        self.sink.finish()
    }
}
