//! The window filter rebuilt from the runs, a step at a time: in place after an expiry, or into
//! another filter that is larger, or after an opening.
//!
//! Runs are sorted as the filter's blocks are, so a range of blocks is one stretch of each run. Its
//! new content holds every live id, and so does the old one; a reader that sees a mixture misses
//! none.

use super::STEP;
use crate::backend::Sealed;
use crate::error::Result;
use crate::filter::{RangeBuilder, WindowFilter};
use crate::planted::{Bug, planted};
use crate::sync::Arc;

/// A rebuild under way.
#[derive(Debug)]
pub(crate) struct Refresh {
    target: Arc<WindowFilter>,
    builder: RangeBuilder,
    next: u64,
}

impl Refresh {
    /// Starts to rebuild `target`.
    pub(crate) fn start(target: Arc<WindowFilter>) -> Refresh {
        Refresh { builder: target.range_builder(), target, next: 0 }
    }

    /// The filter that is rebuilt. Whatever is sealed meanwhile must be added to it.
    pub(crate) fn target(&self) -> &Arc<WindowFilter> {
        &self.target
    }

    /// Rebuilds the next range out of `runs`, which must be all live runs; `true` at the end.
    pub(crate) fn step(&mut self, runs: &[std::sync::Arc<dyn Sealed>]) -> Result<bool> {
        let records: u64 = runs.iter().map(|run| run.records()).sum();
        let blocks = self.target.blocks();
        let share = u128::from(blocks) * u128::from(STEP) / u128::from(records.max(STEP));
        let end = (self.next + (share as u64).max(1)).min(blocks);
        let his = self.target.hi_range(self.next..end);
        self.builder.start(self.next..end);
        for run in runs.iter().skip(usize::from(planted(Bug::RefreshSkipsRun))) {
            for record in run.in_order_from(*his.start()) {
                let (id, _) = record?;
                if id.hi > *his.end() {
                    break;
                }
                self.builder.add(id);
            }
        }
        self.target.rewrite(self.next, self.builder.images());
        self.next = end;
        if self.target.ready() < end {
            self.target.set_ready(end);
        }
        Ok(end == blocks)
    }
}
