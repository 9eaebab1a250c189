//! Frozen tables: behind the filter as soon as they are frozen, then, a step at a time, into runs.

use super::{SharedRun, Upkeep, add_run, remove_run, tidy};
use crate::backend::RunTarget;
use crate::compaction::{STEP, Sealing};
use crate::error::Result;
use crate::format::names;
use crate::planted::{Bug, planted};
use crate::store::core::Core;
use crate::sync::{Arc, Ordering, lock};
use crate::window::{Frozen, MemTable};

/// How many empty tables are kept for rotations to come. With the active one and those that wait to be sealed
/// they are no more than the budget is made for.
const SPARES_MAX: usize = 2;

/// A table whose run is being written.
#[derive(Debug)]
pub(super) struct SealingTable {
    pub(super) mem: Arc<MemTable>,
    sealing: Sealing,
    steps: u64,
}

impl Upkeep {
    /// Seals everything that is frozen.
    pub(crate) fn seal_all(&mut self, core: &Core) -> Result<()> {
        while self.put_behind_filter(core)? || self.seal_step(core)? {}
        Ok(())
    }

    /// Adds the ids of the oldest frozen table that is not there yet to the filter: from then on calls look into
    /// it on a filter hit only.
    pub(super) fn put_behind_filter(&mut self, core: &Core) -> Result<bool> {
        let (mem, filter) = {
            let view = core.gate.enter();
            let apart = view.frozen.iter().rev().find(|frozen| !frozen.in_filter);
            let Some(mem) = apart.map(|frozen| Arc::clone(&frozen.mem)) else { return Ok(false) };
            (mem, Arc::clone(&view.filter))
        };
        let growing = self.refresh.as_ref().map(|refresh| refresh.target());
        let growing = growing.filter(|target| !Arc::ptr_eq(target, &filter));
        if planted(Bug::SealMarkedFirst) {
            mark_in_filter(core, &mem);
        }
        if !planted(Bug::SealUnfiltered) {
            mem.table.for_each(|id| filter.add(id));
        }
        if let Some(target) = growing.filter(|_| !planted(Bug::GrowingFilterMissed)) {
            mem.table.for_each(|id| target.add(id));
        }
        self.filter_ids += mem.ids() as u64;
        mark_in_filter(core, &mem);
        Ok(true)
    }

    /// Writes some of the oldest frozen table to its run, and puts the run in its place once it is complete.
    pub(super) fn seal_step(&mut self, core: &Core) -> Result<bool> {
        let Some(mut under_way) = self.sealing.take() else {
            return self.start_sealing(core);
        };
        self.catalog.check_settled()?;
        if !under_way.sealing.step(&under_way.mem.table)? {
            under_way.steps += 1;
            core.pace.note_sealed(under_way.steps * STEP, under_way.mem.ids() as u64);
            self.sealing = Some(under_way);
            return Ok(true);
        }
        let SealingTable { mem, sealing, .. } = under_way;
        let run = sealing.finish(&mem.values.sorted())?;
        self.replace_by_run(core, mem, Some(run))?;
        Ok(true)
    }

    /// Starts with the oldest frozen table; one that needs no run is done with.
    fn start_sealing(&mut self, core: &Core) -> Result<bool> {
        let Some(Frozen { mem, lsn, .. }) = core.gate.enter().frozen.last().cloned() else {
            return Ok(false);
        };
        if !self.busy {
            core.pace.begin(core.pace.now());
        }
        self.catalog.check_settled()?;
        // Only what was acknowledged, or may still be, goes into a run.
        core.acknowledge(lsn)?;
        // What has expired needs no run: on a full disk there would be no room for it.
        let now = core.clock.now();
        let expired = mem.ticks.end() + core.window <= now;
        if mem.ids() > 0 && expired {
            // A window that is made longer later does not bring it back.
            self.incomplete_before(core, mem.generation, mem.ticks, now);
        }
        if mem.ids() == 0 || expired {
            self.replace_by_run(core, mem, None)?;
            return Ok(true);
        }
        let (number, expected) = (self.catalog.manifest.next_run, mem.ids() as u64);
        let target = RunTarget { number, generation: mem.generation, ticks: mem.ticks, expected };
        // Nothing else takes the number before the run is installed: while a seal is under way no merge starts.
        let sealing = Sealing::start(&mem.table, &*core.vault, target)?;
        self.sealing = Some(SealingTable { mem, sealing, steps: 0 });
        Ok(true)
    }

    /// Takes a frozen table out of the view, and puts the run with its ids in, if it has any that count.
    fn replace_by_run(
        &mut self,
        core: &Core,
        mem: Arc<MemTable>,
        run: Option<SharedRun>,
    ) -> Result<()> {
        let first_segment = self.catalog.manifest.first_segment;
        let sealed = self.install_sealed(core, &mem, run.as_ref());
        if let Err(error) = sealed {
            if let Some(run) = run.as_ref().filter(|_| self.catalog.is_settled()) {
                remove_run(core, &run.entry());
            }
            return Err(error);
        }
        self.busy = core.gate.update(|view| {
            view.frozen.retain(|frozen| !Arc::ptr_eq(&frozen.mem, &mem));
            view.runs.splice(0..0, run.clone());
            !view.frozen.is_empty()
        });
        let now = core.pace.now();
        core.pace.finish(now, run.as_ref().map_or(0, |run| run.records()), mem.limit());
        core.pace.begin(now);
        let replaced = first_segment..self.catalog.manifest.first_segment;
        core.log.let_go_before(replaced.end);
        replaced.for_each(|number| core.remove_segment(number));
        core.counters.sealed.fetch_add(1, Ordering::Relaxed);
        if let Some(run) = run {
            let entry = run.entry();
            core.counters.run_bytes_written.fetch_add(entry.total_bytes(), Ordering::Relaxed);
            tracing::debug!(run = entry.number, ids = entry.records, "sealed a run");
            self.owed += entry.records * tidy::TIDIED_A_SEALED;
        }
        if core.sizes().is_of_size(&mem.table)
            && lock(&core.spares).len() < SPARES_MAX
            && let Some(table) = MemTable::into_table(mem)
        {
            lock(&core.spares).push(table);
        }
        self.set_reserve_aside_again(core);
        Ok(())
    }

    fn install_sealed(
        &mut self,
        core: &Core,
        mem: &Arc<MemTable>,
        run: Option<&SharedRun>,
    ) -> Result<()> {
        let (first_segment, last_segment, durable) = {
            let view = core.gate.enter();
            let others = view.frozen.iter().map(|frozen| &frozen.mem).chain([&view.active]);
            let others = others.filter(|other| !Arc::ptr_eq(other, mem));
            let first = others.filter_map(|other| other.first_segment()).min();
            let last = mem.segments().last().copied().unwrap_or(0);
            let newest = view.active.segments().last().copied().unwrap_or(0);
            let last = (first.unwrap_or(last + 1), last.max(newest));
            let open = view.segment.as_ref().filter(|segment| segment.number() == last.1);
            (last.0, last.1, open.map(|segment| segment.synced_len()))
        };
        let state = self.write_state(core)?;
        let facts = core.manifest_facts()?;
        let before = self.catalog.manifest.state;
        let installed = self.install(core, |manifest| {
            facts.apply(manifest);
            manifest.first_segment = first_segment;
            manifest.set_last_segment(last_segment, durable);
            if let Some(run) = run {
                add_run(manifest, &**run);
            }
            if let Some((number, _)) = state {
                manifest.state = number;
            }
            manifest.next_run += u64::from(run.is_some() || state.is_some());
        });
        let Some((number, changes)) = state else { return installed };
        let unused = match &installed {
            Ok(()) => {
                self.state_changes = changes;
                before
            }
            // Either may be what a reopen finds.
            Err(_) if !self.catalog.is_settled() => 0,
            Err(_) => number,
        };
        if unused != 0 {
            core.remove_file(&names::state(&core.dir, unused));
        }
        installed
    }
}

fn mark_in_filter(core: &Core, mem: &Arc<MemTable>) {
    core.gate.update(|view| {
        let of_it = |frozen: &&mut Frozen| Arc::ptr_eq(&frozen.mem, mem);
        view.frozen.iter_mut().filter(of_it).for_each(|frozen| frozen.in_filter = true);
    });
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::super::Refresh;
    use crate::filter::WindowFilter;
    use crate::store::Store;
    use crate::testing::MemoryDisk;

    fn ids(numbers: std::ops::Range<u64>) -> Vec<[u8; 8]> {
        numbers.map(u64::to_le_bytes).collect()
    }

    /// With two frozen tables, of ids `0..200`. Nothing is done in the background.
    fn with_two_frozen() -> Store {
        let builder = Store::builder().memory_budget(32 << 20).background(false);
        let store = builder.storage(Arc::new(MemoryDisk::new())).open("/s").unwrap();
        for part in [0..100, 100..200] {
            store.check_and_insert(&ids(part)).unwrap();
            store.core().rotate(None, store.core().clock.now()).unwrap();
        }
        store
    }

    fn assert_known(store: &Store) {
        assert!(store.contains(&ids(0..200)).unwrap().into_iter().all(|known| known));
        assert!(!store.contains(&ids(200..400)).unwrap().into_iter().any(|known| known));
    }

    #[test]
    fn tables_are_behind_the_filter_before_the_first_of_them_is_in_a_run() {
        let store = with_two_frozen();
        let core = store.core();
        let (frozen, runs) = (|| core.gate.enter().frozen.clone(), || core.gate.enter().runs.len());
        assert!(frozen().iter().all(|frozen| !frozen.in_filter));
        for behind in 1..=2 {
            assert_known(&store);
            assert_eq!(core.hold_upkeep().step(core).unwrap(), super::super::Step::Did);
            assert_eq!(frozen().iter().filter(|frozen| frozen.in_filter).count(), behind);
        }
        assert_eq!((frozen().len(), runs()), (2, 0));
        while !frozen().is_empty() {
            assert_known(&store);
            core.hold_upkeep().seal_step(core).unwrap();
        }
        assert_eq!(runs(), 2);
        assert_known(&store);
    }

    /// In place, and into another that takes its place.
    #[test]
    fn a_filter_that_is_rebuilt_keeps_what_is_not_yet_in_a_run() {
        for in_place in [true, false] {
            let store = with_two_frozen();
            let core = store.core();
            let mut upkeep = core.hold_upkeep();
            while upkeep.put_behind_filter(core).unwrap() {}
            let filter = core.gate.enter().filter.clone();
            let target = match in_place {
                true => filter,
                false => crate::sync::Arc::new(WindowFilter::new(filter.blocks() * 2).unwrap()),
            };
            upkeep.refresh = Some(Refresh::start(target));
            while upkeep.refresh.is_some() {
                assert!(upkeep.refresh_step(core).unwrap());
                assert_known(&store);
            }
            assert_eq!(upkeep.filter_ids, 200);
            upkeep.seal_all(core).unwrap();
            assert_known(&store);
        }
    }

    #[test]
    fn ids_that_wait_for_their_run_are_no_dead_bits() {
        let store = with_two_frozen();
        let core = store.core();
        let mut upkeep = core.hold_upkeep();
        while upkeep.put_behind_filter(core).unwrap() {}
        // As if it had been made for fewer: a refresh would free nothing.
        upkeep.filter_capacity = 100;
        assert!(!upkeep.refresh_step(core).unwrap());
        upkeep.seal_all(core).unwrap();
        assert!(!upkeep.refresh_step(core).unwrap());
    }

    #[test]
    fn sealed_tables_serve_again() {
        let store = with_two_frozen();
        let core = store.core();
        let memory = store.stats().table_memory;
        store.seal().unwrap();
        for round in 1..5 {
            assert_eq!(store.stats().table_memory, memory, "round {round}");
            store.check_and_insert(&ids(round * 1_000..round * 1_000 + 100)).unwrap();
            core.rotate(None, core.clock.now()).unwrap();
            core.hold_upkeep().seal_all(core).unwrap();
        }
        assert_known(&store);
    }
}
