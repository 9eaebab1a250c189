//! The window filter rebuilt from the runs, and from the tables whose ids it has, a step at a time: in place
//! after an expiry, or into another filter that is larger, or after an opening.
//!
//! Runs and tables are sorted as the filter's blocks are, so a range of blocks is one stretch of each. Its
//! new content holds every live id, and so does the old one; a reader that sees a mixture misses
//! none.

use std::ops::RangeInclusive;

use super::STEP;
use crate::backend::Sealed;
use crate::error::Result;
use crate::filter::{RangeBuilder, WindowFilter};
use crate::index::Table;
use crate::planted::{Bug, planted};
use crate::run::Record;
use crate::sync::Arc;

/// A rebuild under way.
#[derive(Debug)]
pub(crate) struct Refresh {
    target: Arc<WindowFilter>,
    builder: RangeBuilder,
    next: u64,
    /// Records of a run on their way into the filter.
    chunk: Vec<Record>,
}

impl Refresh {
    /// Starts to rebuild `target`.
    pub(crate) fn start(target: Arc<WindowFilter>) -> Refresh {
        Refresh { builder: target.range_builder(), target, next: 0, chunk: Vec::new() }
    }

    /// The filter that is rebuilt. Whatever is put behind the filter meanwhile must be added to it.
    pub(crate) fn target(&self) -> &Arc<WindowFilter> {
        &self.target
    }

    /// Rebuilds the next range out of `runs`, which must be all live runs, and `tables`, all that are behind
    /// the filter; `true` at the end.
    pub(crate) fn step<'a>(
        &mut self,
        runs: &[std::sync::Arc<dyn Sealed>],
        tables: impl Iterator<Item = &'a Table>,
    ) -> Result<bool> {
        let records: u64 = runs.iter().map(|run| run.records()).sum();
        let blocks = self.target.blocks();
        let share = u128::from(blocks) * u128::from(STEP) / u128::from(records.max(STEP));
        let end = (self.next + (share as u64).max(1)).min(blocks);
        let his = self.target.hi_range(self.next..end);
        self.builder.start(self.next..end);
        for run in runs.iter().skip(usize::from(planted(Bug::RefreshSkipsRun))) {
            self.add_records(&**run, &his)?;
        }
        for table in tables.filter(|_| !planted(Bug::RefreshSkipsTable)) {
            table.for_each_in(his.clone(), |id| self.builder.add(id));
        }
        self.target.rewrite(self.next, self.builder.images());
        self.next = end;
        if self.target.ready() < end {
            self.target.set_ready(end);
        }
        Ok(end == blocks)
    }

    /// Adds the ids of a run whose upper half is in `his`, a page of them at a time.
    fn add_records(&mut self, run: &dyn Sealed, his: &RangeInclusive<u64>) -> Result<()> {
        let mut records = run.records_from(*his.start());
        loop {
            self.chunk.clear();
            records.next_chunk(&mut self.chunk)?;
            let within = self.chunk.partition_point(|(id, _)| id.hi <= *his.end());
            self.chunk[..within].iter().for_each(|&(id, _)| self.builder.add(id));
            if self.chunk.is_empty() || within < self.chunk.len() {
                return Ok(());
            }
        }
    }
}
