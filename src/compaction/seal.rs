//! Sorted records and values in, one durable run out.

use std::sync::Arc;

use crate::backend::{RunTarget, Sealed, Vault};
use crate::error::Result;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::Record;

/// How many records are handed over the seam at once.
pub(super) const CHUNK: usize = 1024;

/// Writes all records, ascending, with what is kept with their ids, ascending too, and opens the run that
/// they make. It is durable then. On an error nothing of it counts.
pub(crate) fn write_run(
    vault: &dyn Vault,
    target: RunTarget,
    records: impl Iterator<Item = Result<Record>>,
    values: impl Iterator<Item = Result<(Fingerprint, Value)>>,
) -> Result<Arc<dyn Sealed>> {
    let mut sink = vault.start_run(target)?;
    let mut chunk = Vec::with_capacity(CHUNK);
    for record in records {
        chunk.push(record?);
        if chunk.len() == CHUNK {
            sink.push(&chunk)?;
            chunk.clear();
        }
    }
    sink.push(&chunk)?;
    for value in values {
        let (id, value) = value?;
        sink.push_value(id, &value)?;
    }
    sink.finish()
}
