//! Keeping to a share of memory that changes: what is larger than the share has is given back, what could be
//! larger grows.
//!
//! Tables first, for they hold the most, then the filter. Nothing is taken away from callers: a table is given
//! back by a rotation and a seal, a filter by a smaller one that is built beside it and put in its place.

use super::Upkeep;
use crate::compaction::Refresh;
use crate::error::{Error, Result};
use crate::filter::WindowFilter;
use crate::index::Table;
use crate::store::budget::Sizes;
use crate::store::core::Core;
use crate::sync::{Arc, lock};
use crate::time::Timestamp;

impl Upkeep {
    /// Drops spare tables of another size, and freezes an active one that is larger than it would be made
    /// now.
    pub(super) fn shrink_tables(&mut self, core: &Core, now: Timestamp) -> Result<bool> {
        let sizes = core.sizes();
        let wrong = |spare: &mut Table| !sizes.is_of_size(spare);
        let unused: Vec<_> = lock(&core.spares).extract_if(.., wrong).collect();
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
        if !used || !lock(&core.spares).is_empty() {
            return Ok(false);
        }
        let table = sizes.new_table();
        let mut table = table.map_err(|e| Error::io("allocate a table of", &core.dir, e))?;
        // Touches every page, so that callers do not have to.
        table.clear();
        lock(&core.spares).push(table);
        Ok(true)
    }

    /// Decides whether the filter should grow, shrink, or lose the bits of what has expired.
    pub(super) fn plan_refresh(&mut self, core: &Core) -> Result<()> {
        let sizes = core.sizes();
        let most = sizes.filter_blocks_max();
        let (filter, waiting) = {
            let view = core.gate.enter();
            let waiting = view.frozen_behind().map(|mem| mem.ids() as u64).sum::<u64>();
            (Arc::clone(&view.filter), waiting)
        };
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
        let in_runs = self.catalog.manifest.runs.iter().map(|run| run.records).sum::<u64>();
        let live = in_runs + waiting;
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use crate::store::{Store, StoreSet};
    use crate::testing::MemoryDisk;

    const MIB: u64 = 1 << 20;

    fn set() -> StoreSet {
        StoreSet::builder().memory_budget(128 * MIB).build().unwrap()
    }

    /// Without threads: nothing is done but by the test.
    fn open(set: &StoreSet, disk: &MemoryDisk) -> Store {
        let builder = Store::builder().set(set).expected_ids(1 << 26).background(false);
        builder.storage(Arc::new(disk.clone())).open("/s").unwrap()
    }

    fn ids(numbers: std::ops::Range<u64>) -> Vec<[u8; 8]> {
        numbers.map(u64::to_le_bytes).collect()
    }

    /// Tables and filter, in MiB.
    fn memory(store: &Store) -> (u64, u64) {
        let stats = store.stats();
        (stats.table_memory / MIB, stats.filter_memory / MIB)
    }

    fn assert_exact(store: &Store, ids: &[[u8; 8]], absent: &[[u8; 8]]) {
        let before = store.stats().filter_negatives;
        assert!(store.contains(ids).unwrap().into_iter().all(|known| known));
        assert!(!store.contains(absent).unwrap().into_iter().any(|known| known));
        let negatives = store.stats().filter_negatives - before;
        assert!(negatives > absent.len() as u64 / 2, "{negatives} answers of the filter");
    }

    #[test]
    fn what_is_beyond_the_share_is_given_back_and_grows_again() {
        let set = set();
        let store = open(&set, &MemoryDisk::new());
        store.check_and_insert(&ids(0..5_000)).unwrap();
        store.seal().unwrap();
        store.check_and_insert(&ids(5_000..6_000)).unwrap();
        assert_eq!(memory(&store), (32, 64), "an active table, a spare one, a filter");
        let others: Vec<_> = (1..8).map(|_| open(&set, &MemoryDisk::new())).collect();
        assert_eq!(memory(&store), (32, 64), "nothing is taken away");
        store.check_and_insert(&ids(6_000..7_000)).unwrap();
        store.compact().unwrap();
        assert_eq!(memory(&store), (4, 8), "no spare table of another size is kept");
        assert_exact(&store, &ids(0..7_000), &ids(7_000..9_000));
        drop(others);
        store.check_and_insert(&ids(7_000..8_000)).unwrap();
        store.compact().unwrap();
        assert_eq!(memory(&store), (16, 64));
        assert_exact(&store, &ids(0..8_000), &ids(8_000..10_000));
    }

    #[test]
    fn an_idle_store_gives_back_too() {
        let set = set();
        let store = open(&set, &MemoryDisk::new());
        let _others: Vec<_> = (1..8).map(|_| open(&set, &MemoryDisk::new())).collect();
        store.core().hold_upkeep().run_dry(store.core()).unwrap();
        assert_eq!(memory(&store), (4, 8));
        assert_eq!(store.stats().sealed, 0, "there was nothing to seal");
    }

    /// The filter that is built at opening is given up for a smaller one, and for a larger one half-way.
    #[test]
    fn a_share_may_change_while_the_filter_is_rebuilt() {
        let (set, disk) = (set(), MemoryDisk::new());
        let store = open(&set, &disk);
        store.check_and_insert(&ids(0..5_000)).unwrap();
        store.close().unwrap();
        let store = open(&set, &disk);
        store.seal().unwrap();
        let mut others: Vec<_> = (1..8).map(|_| open(&set, &MemoryDisk::new())).collect();
        let core = store.core();
        for share in [8, 2, 6, 1] {
            others.resize_with(share - 1, || open(&set, &MemoryDisk::new()));
            core.hold_upkeep().refresh_step(core).unwrap();
            // What is sealed meanwhile goes into both.
            let at = 10_000 + share as u64 * 100;
            store.check_and_insert(&ids(at..at + 50)).unwrap();
            store.seal().unwrap();
        }
        others.resize_with(7, || open(&set, &MemoryDisk::new()));
        store.compact().unwrap();
        assert_eq!(memory(&store), (4, 8));
        let late = [8, 2, 6, 1].map(|share| 10_000 + share * 100);
        let known: Vec<_> = late.into_iter().flat_map(|at| ids(at..at + 50)).collect();
        assert_exact(&store, &[ids(0..5_000), known].concat(), &ids(20_000..22_000));
    }
}
