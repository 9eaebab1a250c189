//! Keeping to a share of memory that changes: what is larger than the share has is given back, what could be
//! larger grows.
//!
//! Tables first, for they hold the most, then the filter. Nothing is taken away from callers: a table is given
//! back by a rotation and a seal, a filter by a smaller one that is built beside it and put in its place.

use super::Upkeep;
use crate::compaction::Refresh;
use crate::error::{Error, Result};
use crate::filter::WindowFilter;
use crate::store::budget::Sizes;
use crate::store::core::Core;
use crate::sync::{Arc, lock};
use crate::time::Timestamp;

impl Upkeep {
    /// Drops a spare table of another size, and freezes an active one that is larger than it would be made
    /// now.
    pub(super) fn shrink_tables(&mut self, core: &Core, now: Timestamp) -> Result<bool> {
        let sizes = core.sizes();
        let unused = lock(&core.spare).take_if(|spare| !sizes.is_of_size(spare));
        drop(unused);
        let outsized = {
            let view = core.gate.enter();
            // Were others frozen, rotating would wait for a seal, and so for itself. They are sealed first.
            let outsized = view.frozen.is_empty() && sizes.is_outsized(&view.active.table);
            outsized.then(|| Arc::clone(&view.active))
        };
        let Some(active) = outsized else { return Ok(false) };
        core.rotate(Some(&active), now)?;
        Ok(true)
    }

    /// How many ids the largest table takes, or has, that there is or will be next.
    pub(super) fn largest_table(&self, core: &Core, sizes: Sizes) -> u64 {
        let view = core.gate.enter();
        let tables = view.frozen.iter().map(|frozen| &frozen.mem).chain([&view.active]);
        let outsized = tables.filter(|mem| sizes.is_outsized(&mem.table)).map(|mem| mem.ids());
        outsized.fold(sizes.table_limit(), usize::max) as u64
    }

    /// Has an empty table ready for the next rotation.
    pub(super) fn prepare_spare(&mut self, core: &Core) -> Result<bool> {
        let sizes = core.sizes();
        let used = core.gate.enter().active.ids() * 2 > sizes.table_limit();
        if !used || lock(&core.spare).is_some() {
            return Ok(false);
        }
        let table = sizes.new_table();
        let mut table = table.map_err(|e| Error::io("allocate a table of", &core.dir, e))?;
        // Touches every page, so that callers do not have to.
        table.clear();
        *lock(&core.spare) = Some(table);
        Ok(true)
    }

    /// Decides whether the filter should grow, shrink, or lose the bits of what has expired.
    pub(super) fn plan_refresh(&mut self, core: &Core) -> Result<()> {
        let sizes = core.sizes();
        let most = sizes.filter_blocks_max();
        let filter = Arc::clone(&core.gate.enter().filter);
        let too_large = filter.blocks() > most;
        if let Some(refresh) = &self.refresh {
            let building = refresh.target().blocks();
            // One that would be too large when it is done is not worth its memory.
            if building <= most {
                return Ok(());
            }
            self.refresh = None;
        }
        let outgrown = self.filter_ids > self.filter_capacity;
        let live: u64 = self.catalog.manifest.runs.iter().map(|run| run.records).sum();
        let (capacity, blocks) = sizes.filter(live);
        // One that an earlier share cut short grows once that is worth the work.
        let wanted = sizes.filter_blocks(self.filter_capacity);
        let cut_short = wanted >= filter.blocks().saturating_add(filter.blocks().div_ceil(2));
        if too_large || (outgrown || cut_short) && blocks > filter.blocks() {
            let target = WindowFilter::new(blocks);
            let target = target.map_err(|e| Error::io("allocate the filter of", &core.dir, e))?;
            self.filter_capacity = capacity;
            self.refresh = Some(Refresh::start(Arc::new(target)));
        } else if outgrown && self.filter_ids - live > self.filter_ids / 4 {
            self.refresh = Some(Refresh::start(filter));
        }
        Ok(())
    }
}
