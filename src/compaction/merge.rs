//! Several runs of a generation in, one run out, a step at a time: first the records, then what is
//! kept with their ids.

use super::seal::RunTarget;
use crate::error::Result;
use crate::key::Fingerprint;
use crate::run::{Merge, Run, RunWriter, ValuesMerge};
use crate::sync::Arc;

/// Records of a step: some tens of milliseconds.
const STEP: usize = 1 << 19;

/// A merge under way.
#[derive(Debug)]
pub(crate) struct Merging {
    inputs: Vec<Arc<Run>>,
    target: RunTarget,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Records {
        writer: Box<RunWriter>,
        /// The last record that was written.
        last: Option<Fingerprint>,
    },
    Values(ValuesMerge),
    /// The files are complete.
    Written,
    /// The run is open: its files belong to whoever has it.
    Done,
}

impl Merging {
    /// Starts to merge `inputs`, runs of one generation, into a new run.
    pub(crate) fn start(inputs: Vec<Arc<Run>>, target: RunTarget) -> Result<Merging> {
        let expected = inputs.iter().map(|run| run.records()).sum();
        let writer = Box::new(target.start(expected)?);
        let stage = Stage::Records { writer, last: None };
        Ok(Merging { inputs, target, stage })
    }

    /// The runs that are merged.
    pub(crate) fn inputs(&self) -> &[Arc<Run>] {
        &self.inputs
    }

    /// Writes some more; the finished run once all is written. After an error the merge cannot go on.
    pub(crate) fn step(&mut self) -> Result<Option<Arc<Run>>> {
        match &mut self.stage {
            Stage::Records { writer, last } => {
                if write_records(&self.inputs, writer, last)? {
                    self.finish_records()?;
                }
            }
            Stage::Values(merge) => {
                if merge.step()?.is_some() {
                    self.stage = Stage::Written;
                }
            }
            Stage::Written | Stage::Done => unreachable!("a finished merge takes no steps"),
        }
        let Stage::Written = self.stage else {
            return Ok(None);
        };
        let run = self.target.open(self.inputs.iter().any(|run| run.values().is_some()))?;
        self.stage = Stage::Done;
        Ok(Some(run))
    }

    fn finish_records(&mut self) -> Result<()> {
        let Stage::Records { writer, .. } = std::mem::replace(&mut self.stage, Stage::Written)
        else {
            unreachable!("records are finished once");
        };
        writer.finish()?;
        let values: Vec<_> = self.inputs.iter().filter_map(|run| run.values().cloned()).collect();
        if !values.is_empty() {
            self.stage = Stage::Values(ValuesMerge::start(values, self.target.start_values()?));
        }
        Ok(())
    }
}

/// Writes some of the records after `last`; `true` once all are written.
fn write_records(
    inputs: &[Arc<Run>],
    writer: &mut RunWriter,
    last: &mut Option<Fingerprint>,
) -> Result<bool> {
    let from = last.map_or(0, |last| last.hi);
    let cursors = inputs.iter().map(|run| run.cursor_from(from)).collect();
    let mut written = 0;
    for record in Merge::new(cursors)? {
        let (id, tick) = record?;
        if last.is_some_and(|last| id <= last) {
            continue;
        }
        writer.push(id, tick)?;
        *last = Some(id);
        written += 1;
        if written == STEP {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A merge that was not finished leaves nothing behind.
impl Drop for Merging {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Done) {
            self.target.abandon();
        }
    }
}
