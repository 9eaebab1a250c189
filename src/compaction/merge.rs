//! Several runs of a generation in, one run out, a step at a time.

use super::seal::RunTarget;
use crate::error::Result;
use crate::key::Fingerprint;
use crate::run::{Merge, Run, RunWriter};
use crate::sync::Arc;

/// Records of a step: some tens of milliseconds.
const STEP: usize = 1 << 19;

/// A merge under way.
#[derive(Debug)]
pub(crate) struct Merging {
    inputs: Vec<Arc<Run>>,
    target: RunTarget,
    writer: Option<RunWriter>,
    /// The last record that was written.
    last: Option<Fingerprint>,
}

impl Merging {
    /// Starts to merge `inputs`, runs of one generation, into a new run.
    pub(crate) fn start(inputs: Vec<Arc<Run>>, target: RunTarget) -> Result<Merging> {
        let expected = inputs.iter().map(|run| run.records()).sum();
        let writer = Some(target.start(expected)?);
        Ok(Merging { inputs, target, writer, last: None })
    }

    /// The runs that are merged.
    pub(crate) fn inputs(&self) -> &[Arc<Run>] {
        &self.inputs
    }

    /// Writes some more records; the finished run once all are written.
    pub(crate) fn step(&mut self) -> Result<Option<Arc<Run>>> {
        let writer = self.writer.as_mut().expect("a finished merge takes no steps");
        let from = self.last.map_or(0, |last| last.hi);
        let cursors = self.inputs.iter().map(|run| run.cursor_from(from)).collect();
        let mut written = 0;
        for record in Merge::new(cursors)? {
            let (id, tick) = record?;
            if self.last.is_some_and(|last| id <= last) {
                continue;
            }
            writer.push(id, tick)?;
            self.last = Some(id);
            written += 1;
            if written == STEP {
                return Ok(None);
            }
        }
        let writer = self.writer.take().expect("checked above");
        self.target.finish(writer).map(Some)
    }
}

/// A merge that was not finished leaves nothing behind.
impl Drop for Merging {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.target.abandon();
        }
    }
}
