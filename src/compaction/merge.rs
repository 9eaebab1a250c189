//! Several runs of a generation in, one run out, a step at a time: first the records, then what is
//! kept with their ids.

use std::sync::Arc;

use super::STEP;
use crate::backend::{RunSink, RunTarget, Sealed, Vault};
use crate::error::Result;
use crate::key::Fingerprint;
use crate::run::{LatestValues, Merge, Records};

/// Bytes of what is kept with ids that a step writes, about: some tens of milliseconds.
const VALUES_STEP: usize = 8 << 20;

/// A merge under way. One that is not finished leaves nothing behind that counts.
#[derive(Debug)]
pub(crate) struct Merging {
    inputs: Vec<Arc<dyn Sealed>>,
    /// Where they go; taken when all is written.
    sink: Option<Box<dyn RunSink>>,
    stage: Stage,
    /// The last id that was written in this stage.
    last: Option<Fingerprint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Records,
    Values,
}

impl Merging {
    /// Starts to merge `inputs`, runs of one generation, into a new run.
    pub(crate) fn start(
        inputs: Vec<Arc<dyn Sealed>>,
        vault: &dyn Vault,
        target: RunTarget,
    ) -> Result<Merging> {
        let sink = Some(vault.start_run(target)?);
        Ok(Merging { inputs, sink, stage: Stage::Records, last: None })
    }

    /// The runs that are merged.
    pub(crate) fn inputs(&self) -> &[Arc<dyn Sealed>] {
        &self.inputs
    }

    /// Writes some more; the finished run once all is written. After an error the merge cannot go on.
    pub(crate) fn step(&mut self) -> Result<Option<Arc<dyn Sealed>>> {
        let sink = self.sink.as_deref_mut().expect("a finished merge takes no steps");
        let all = match self.stage {
            Stage::Records => write_records(&self.inputs, sink, &mut self.last, STEP)?,
            Stage::Values => write_values(&self.inputs, sink, &mut self.last)?,
        };
        if !all {
            return Ok(None);
        }
        if self.stage == Stage::Records && self.inputs.iter().any(|run| run.values() > 0) {
            (self.stage, self.last) = (Stage::Values, None);
            return Ok(None);
        }
        self.sink.take().expect("it was there just now").finish().map(Some)
    }
}

/// Writes the records after `last`, at least `step` of them, and not many more; `true` once all are written.
pub(super) fn write_records(
    inputs: &[Arc<dyn Sealed>],
    sink: &mut dyn RunSink,
    last: &mut Option<Fingerprint>,
    step: u64,
) -> Result<bool> {
    let from = last.map_or(0, |last| last.hi);
    let mut merge = Merge::new(inputs.iter().map(|run| run.records_from(from)).collect());
    let (mut chunk, mut written) = (Vec::new(), 0);
    while written < step {
        chunk.clear();
        merge.next_chunk(&mut chunk)?;
        let Some(&(id, _)) = chunk.last() else {
            return Ok(true);
        };
        let known = last.map_or(0, |last| chunk.partition_point(|&(id, _)| id <= last));
        sink.push(&chunk[known..])?;
        *last = (*last).max(Some(id));
        written += (chunk.len() - known) as u64;
    }
    Ok(false)
}

/// Writes some of what is kept with ids after `last`, of each id the latest; `true` once all is written.
fn write_values(
    inputs: &[Arc<dyn Sealed>],
    sink: &mut dyn RunSink,
    last: &mut Option<Fingerprint>,
) -> Result<bool> {
    let values = inputs.iter().map(|run| run.values_after(*last)).collect();
    let mut written = 0;
    for entry in LatestValues::new(values)? {
        let (id, value) = entry?;
        sink.push_value(id, &value)?;
        *last = Some(id);
        written += value.entry_len();
        if written >= VALUES_STEP {
            return Ok(false);
        }
    }
    Ok(true)
}
