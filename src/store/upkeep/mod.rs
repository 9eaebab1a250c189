//! What happens behind the callers' backs: seal, expire, keep under the cap, refresh, merge.
//!
//! One step at a time, the most urgent first, by whoever holds the upkeep lock: a thread of the pool,
//! or a call that needs it done. Callers only ever wait for a seal.

mod seal;
mod share;
mod tidy;

use std::time::Duration;

use super::catalog::Catalog;
use super::core::Core;
use crate::backend::Sealed;
use crate::compaction::{Merging, Refresh};
use crate::error::Result;
use crate::filter::WindowFilter;
use crate::format::manifest::{GenerationEntry, Manifest, RunEntry};
use crate::planted::{Bug, planted};
use crate::sync::{Arc, Ordering, lock};
use crate::time::{Ticks, Timestamp};

use seal::SealingTable;

/// The longest that an idle store sleeps.
const NAP_MAX: Duration = Duration::from_secs(3_600);
/// The shortest: a deadline that is due is done at once, this is for those just ahead.
pub(crate) const NAP_MIN: Duration = Duration::from_millis(1);

/// A run that calls may be looking into.
type SharedRun = std::sync::Arc<dyn Sealed>;

/// The state of upkeep. Its lock makes it one writer.
#[derive(Debug)]
pub(crate) struct Upkeep {
    pub(crate) catalog: Catalog,
    sealing: Option<SealingTable>,
    /// Whether a table has waited since the one before it was sealed.
    busy: bool,
    merging: Option<Merging>,
    refresh: Option<Refresh>,
    /// Ids whose bits are in the view's filter, expired ones included.
    filter_ids: u64,
    /// How many ids it was made for.
    filter_capacity: u64,
    /// How many ids' worth of refreshing and merging goes before the next seal.
    owed: u64,
    /// Whether refreshing and merging were given up.
    gave_up: bool,
    /// How often the state had been changed when the state file was written.
    pub(super) state_changes: u64,
}

/// What a step found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was done; there may be more.
    Did,
    /// Nothing is to be done for so long, unless the bell rings.
    Idle(Duration),
}

impl Upkeep {
    /// The upkeep of a store whose filter was made for `filter_capacity` ids and has the bits of
    /// none; it is built from the runs in the steps to come.
    pub(crate) fn new(
        catalog: Catalog,
        filter: &Arc<WindowFilter>,
        filter_capacity: u64,
    ) -> Upkeep {
        let filter_ids = catalog.manifest.runs.iter().map(|run| run.records).sum();
        let refresh = if filter_ids == 0 {
            filter.set_ready(filter.blocks());
            None
        } else {
            Some(Refresh::start(Arc::clone(filter)))
        };
        Upkeep {
            catalog,
            sealing: None,
            busy: false,
            merging: None,
            refresh,
            filter_ids,
            filter_capacity,
            owed: 0,
            gave_up: false,
            state_changes: 0,
        }
    }

    /// Does the most urgent thing.
    pub(crate) fn step(&mut self, core: &Core) -> Result<Step> {
        core.log.check()?;
        let now = core.clock.now();
        // What frees space comes before what needs it: else a full disk could never be emptied, and a
        // store that always has something to seal would outgrow its cap.
        let did = core.sync_if_due()?
            || self.expire(core, now)?
            || self.keep_under_cap(core, now)?
            || self.put_behind_filter(core)?
            || self.tidy_owed(core)?
            || self.seal_step(core)?
            || self.rotate_if_due(core, now)?
            || self.shrink_tables(core, now)?
            || self.tidy_step(core)?
            || self.prepare_spare(core)?;
        if did {
            return Ok(Step::Did);
        }
        core.retire_claims();
        Ok(Step::Idle(self.nap(core, now)))
    }

    /// Seals everything that is frozen, merges and expires all there is to, refreshes the filter.
    pub(crate) fn run_dry(&mut self, core: &Core) -> Result<()> {
        while self.step(core)? == Step::Did {}
        Ok(())
    }

    /// Gives up what is under way and leaves nothing of it behind.
    pub(crate) fn abandon(&mut self) {
        self.sealing = None;
        self.merging = None;
        self.refresh = None;
    }

    /// Drops everything that has expired.
    pub(crate) fn expire_all(&mut self, core: &Core) -> Result<()> {
        let now = core.clock.now();
        while self.expire(core, now)? {}
        Ok(())
    }

    /// Installs a changed manifest. Where it is not known which one a reopen would find, no later
    /// call may be acknowledged.
    pub(crate) fn install(&mut self, core: &Core, edit: impl FnOnce(&mut Manifest)) -> Result<()> {
        let installed = self.catalog.install(edit);
        installed.inspect_err(|error| {
            if !self.catalog.is_settled() {
                core.log.poison(error);
            }
        })
    }

    /// Drops the oldest generation if its last tick has expired.
    fn expire(&mut self, core: &Core, now: Timestamp) -> Result<bool> {
        let Some(&oldest) = self.catalog.manifest.generations.first() else {
            return Ok(false);
        };
        // A table of it may still wait for room on the disk to be sealed; its run comes and goes.
        let last = match planted(Bug::ExpiredEarly) {
            false => oldest.ticks.end(),
            true => oldest.ticks.base,
        };
        if last + core.window > now {
            return Ok(false);
        }
        self.drop_generation(core, oldest, now)?;
        tracing::debug!(generation = oldest.number, "expired a generation");
        core.counters.expired.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// Drops the oldest generation if the store is about to outgrow its cap.
    fn keep_under_cap(&mut self, core: &Core, now: Timestamp) -> Result<bool> {
        let Some(most) = core.options.max_bytes else {
            return Ok(false);
        };
        let sizes = core.sizes();
        let limit = self.largest_table(core, sizes);
        let state = 2 * lock(&core.state).memory_bytes() as u64 + self.catalog.reserved();
        let log = match planted(Bug::CapForgetsLog) {
            false => 3 * sizes.log_limit_for(limit),
            true => 0,
        };
        let headroom = log + limit * 20 + state + core.vault.overhead();
        let runs_most = most.saturating_sub(headroom);
        let active = core.gate.enter().active.generation;
        let manifest = &self.catalog.manifest;
        let growing = manifest.runs.iter().filter(|run| run.generation == active);
        let on_disk = |runs: u64| runs.saturating_mul(core.vault.amplification());
        if on_disk(growing.map(RunEntry::total_bytes).sum()) > runs_most / 8 {
            core.cut_generation.store(true, Ordering::Relaxed);
        }
        let Some(&oldest) = manifest.generations.first() else {
            return Ok(false);
        };
        let bytes = on_disk(manifest.runs.iter().map(RunEntry::total_bytes).sum());
        let inputs = self.merging.as_ref().map_or(&[][..], |merging| merging.inputs());
        let merging = on_disk(inputs.iter().map(|run| run.entry().total_bytes()).sum());
        if merging > 0 && bytes + merging > runs_most {
            self.merging = None;
            return Ok(true);
        }
        if bytes <= runs_most || self.is_growing(core, oldest.number) {
            return Ok(false);
        }
        self.merging = None;
        self.drop_generation(core, oldest, now)?;
        tracing::warn!(generation = oldest.number, "dropped a generation to keep under the cap");
        core.counters.expired.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// Whether ids may still be added to the runs of a generation.
    fn is_growing(&self, core: &Core, generation: u64) -> bool {
        let view = core.gate.enter();
        let frozen = view.frozen.iter().map(|frozen| frozen.mem.generation);
        frozen.chain([view.active.generation]).any(|growing| growing == generation)
    }

    /// When the first generation after `generation` started, in runs or in memory.
    fn start_of_next(&self, core: &Core, generation: u64) -> Option<Timestamp> {
        let view = core.gate.enter();
        let tables = view.frozen.iter().map(|frozen| &frozen.mem).chain([&view.active]);
        let tables = tables.map(|mem| (mem.generation, mem.ticks.base));
        let runs = self.catalog.manifest.generations.iter().map(|g| (g.number, g.ticks.base));
        let after = tables.chain(runs).filter(|&(number, _)| number > generation);
        after.map(|(_, base)| base).min()
    }

    /// Notes that of a generation something is dropped: before its end, which is returned, not all is
    /// known any more.
    fn incomplete_before(
        &self,
        core: &Core,
        generation: u64,
        ticks: Ticks,
        now: Timestamp,
    ) -> Timestamp {
        let next = self.start_of_next(core, generation).unwrap_or(ticks.end());
        // The next one may have been begun in the very microsecond of this one's last id.
        let next = next.max(ticks.base) + Duration::from_micros(1);
        let complete_since = ticks.end().min(next).min(now + Duration::from_micros(1));
        core.complete_since.fetch_max(complete_since.as_micros(), Ordering::Relaxed);
        complete_since
    }

    fn drop_generation(
        &mut self,
        core: &Core,
        oldest: GenerationEntry,
        now: Timestamp,
    ) -> Result<()> {
        if self.merging.as_ref().is_some_and(|m| m.inputs()[0].generation() == oldest.number) {
            self.merging = None;
        }
        if self.sealing.as_ref().is_some_and(|sealing| sealing.mem.generation == oldest.number) {
            self.sealing = None;
        }
        let complete_since = self.incomplete_before(core, oldest.number, oldest.ticks, now);
        let longest = self.catalog.manifest.generations.iter().map(|g| g.ticks.micros).max();
        let longest = Duration::from_micros(longest.unwrap_or(0));
        core.forgotten.expire(now, core.window, longest, complete_since);
        let dropped = |generation: u64| generation == oldest.number;
        let facts = core.manifest_facts()?;
        let runs = self.catalog.manifest.runs.iter();
        let gone: Vec<RunEntry> = runs.filter(|run| dropped(run.generation)).copied().collect();
        self.install(core, |manifest| {
            facts.apply(manifest);
            manifest.runs.retain(|run| !dropped(run.generation));
            manifest.generations.retain(|generation| !dropped(generation.number));
        })?;
        // Unmapping takes time: it is done when the gate is open again.
        let unused: Vec<_> = core
            .gate
            .update(|view| view.runs.extract_if(.., |run| dropped(run.generation())).collect());
        drop(unused);
        if let Err(error) = core.vault.remove_generation(oldest.number, &gone) {
            tracing::warn!(generation = oldest.number, %error, "cannot remove a generation");
        }
        self.set_reserve_aside_again(core);
        Ok(())
    }

    /// Freezes the active table of an idle store once its generation has ended.
    fn rotate_if_due(&mut self, core: &Core, now: Timestamp) -> Result<bool> {
        let due = core.due_for_rotation(now).filter(|_| !planted(Bug::IdleUnaged));
        let Some(due) = due else {
            return Ok(false);
        };
        // Of this table alone: had callers frozen it and others meanwhile, rotating would wait for a
        // seal, and so for itself.
        core.rotate(Some(&due), now)?;
        Ok(true)
    }

    /// How long nothing needs to be done.
    fn nap(&self, core: &Core, now: Timestamp) -> Duration {
        let expiry = self.catalog.manifest.generations.first();
        let expiry = expiry.map(|oldest| oldest.ticks.end() + core.window);
        let rotation = {
            let view = core.gate.enter();
            (view.active.segment_count() > 0).then(|| view.active.ticks.end())
        };
        let due = expiry.into_iter().chain(rotation).filter(|&at| at > now).min();
        let nap = due.and_then(|at| core.clock.time_until(at)).unwrap_or(NAP_MAX);
        nap.clamp(NAP_MIN, NAP_MAX)
    }
}

/// Removes a run that no manifest lists any more. It is removed at the next opening if not now.
fn remove_run(core: &Core, entry: &RunEntry) {
    if let Err(error) = core.vault.remove_run(entry) {
        tracing::warn!(run = entry.number, %error, "cannot remove a run");
    }
}

fn add_run(manifest: &mut Manifest, run: &dyn Sealed) {
    let entry = run.entry();
    manifest.runs.push(entry);
    manifest.runs.sort_by_key(|run| (run.generation, run.number));
    if manifest.generations.iter().all(|generation| generation.number != entry.generation) {
        let entry = GenerationEntry { number: entry.generation, ticks: run.ticks() };
        manifest.generations.push(entry);
        manifest.generations.sort_by_key(|generation| generation.number);
    }
}
