//! Fewer runs, and a filter that has the right size and bits: what can wait, and what a store can do without.

use super::{SharedRun, Upkeep, add_run, remove_run};
use crate::backend::RunTarget;
use crate::compaction::{Merging, RunInfo, STEP, plan_merge};
use crate::error::Result;
use crate::format::manifest::RunEntry;
use crate::planted::{Bug, planted};
use crate::store::core::Core;
use crate::sync::{Arc, Ordering};

/// How many ids are refreshed or merged for each that is sealed, at the most. In a window that stays as large
/// as it is, a filter is refreshed for every third of its ids that is sealed, and each id is merged once: that
/// is four. The rest is for getting done before the filter is full.
pub(super) const TIDIED_A_SEALED: u64 = 6;

impl Upkeep {
    /// Does some of what sealing has made due, before the next seal. Where callers never pause there is always
    /// something to seal, and runs and dead bits would add up. A seal that was started comes first, for callers
    /// may wait for it.
    pub(super) fn tidy_owed(&mut self, core: &Core) -> Result<bool> {
        if self.sealing.is_some() {
            return Ok(false);
        }
        // It is given up if it fails: on a full disk it is the seal that frees room.
        let owed = std::mem::take(&mut self.owed);
        let did = owed > 0 && self.tidy_step(core)?;
        if did {
            self.owed = owed.saturating_sub(STEP);
        }
        Ok(did)
    }

    /// Refreshes and merges. The store can do without: if a run cannot be read or written, both are
    /// given up until the next opening, and only calls that need the damaged place are told.
    pub(super) fn tidy_step(&mut self, core: &Core) -> Result<bool> {
        if self.gave_up {
            return Ok(false);
        }
        let did = match self.refresh_step(core) {
            Ok(false) => self.merge_step(core),
            refreshed => refreshed,
        };
        match did {
            Err(error) if !error.is_transient() && self.catalog.is_settled() => {
                tracing::error!(%error, "refreshing and merging are given up until reopened");
                self.gave_up = true;
                self.abandon();
                core.log.check()?;
                Ok(false)
            }
            did => did,
        }
    }

    pub(super) fn refresh_step(&mut self, core: &Core) -> Result<bool> {
        self.plan_refresh(core)?;
        let Some(refresh) = &mut self.refresh else {
            return Ok(false);
        };
        let (runs, frozen) = {
            let view = core.gate.enter();
            (view.runs.clone(), view.frozen.clone())
        };
        let behind = || frozen.iter().filter(|frozen| frozen.in_filter).map(|frozen| &frozen.mem);
        if refresh.step(&runs, behind().map(|mem| &mem.table))? {
            let target = Arc::clone(refresh.target());
            self.refresh = None;
            let sealed: u64 = runs.iter().map(|run| run.records()).sum();
            self.filter_ids = sealed + behind().map(|mem| mem.ids() as u64).sum::<u64>();
            core.gate.update(|view| view.filter = target);
            tracing::debug!(ids = self.filter_ids, "refreshed the window filter");
        }
        Ok(true)
    }

    fn merge_step(&mut self, core: &Core) -> Result<bool> {
        self.catalog.check_settled()?;
        if self.merging.is_none() {
            self.plan_merge(core)?;
        }
        let Some(merging) = &mut self.merging else {
            return Ok(false);
        };
        let stepped = merging.step();
        let Some(run) = stepped.inspect_err(|_| self.merging = None)? else {
            return Ok(true);
        };
        let inputs = self.merging.take().expect("it was stepped just now").inputs().to_vec();
        let is_input = |number: u64| inputs.iter().any(|input| input.number() == number);
        let facts = core.manifest_facts()?;
        if planted(Bug::RemovedFirst) {
            inputs.iter().for_each(|input| remove_run(core, &input.entry()));
        }
        self.install(core, |manifest| {
            facts.apply(manifest);
            manifest.runs.retain(|entry| !is_input(entry.number));
            add_run(manifest, &*run);
        })?;
        let unused: Vec<_> = core.gate.update(|view| {
            let at = view.runs.iter().position(|r| is_input(r.number())).unwrap_or(0);
            let unused = view.runs.extract_if(.., |r| is_input(r.number())).collect();
            view.runs.insert(at, SharedRun::clone(&run));
            unused
        });
        drop(unused);
        inputs.iter().for_each(|input| remove_run(core, &input.entry()));
        let entry = run.entry();
        core.counters.merged.fetch_add(1, Ordering::Relaxed);
        core.counters.run_bytes_written.fetch_add(entry.total_bytes(), Ordering::Relaxed);
        tracing::debug!(run = entry.number, inputs = inputs.len(), "merged runs");
        Ok(true)
    }

    fn plan_merge(&mut self, core: &Core) -> Result<()> {
        let manifest = &self.catalog.manifest;
        let infos: Vec<RunInfo> = manifest
            .runs
            .iter()
            .map(|r| RunInfo { number: r.number, generation: r.generation, records: r.records })
            .collect();
        let (active, runs) = {
            let view = core.gate.enter();
            let oldest = view.frozen.last().map_or(view.active.generation, |f| f.mem.generation);
            (oldest, view.runs.clone())
        };
        let chosen = plan_merge(&infos, active, core.sizes().table_limit() as u64);
        let inputs: Vec<SharedRun> =
            runs.into_iter().filter(|run| chosen.contains(&run.number())).collect();
        let Some(first) = inputs.first() else {
            return Ok(());
        };
        let merged: u64 = inputs.iter().map(|run| run.entry().total_bytes()).sum();
        let all: u64 = manifest.runs.iter().map(RunEntry::total_bytes).sum();
        let together = (all + merged).saturating_mul(core.vault.amplification());
        if core.options.max_bytes.is_some_and(|most| together > most / 2) {
            return Ok(());
        }
        let target = RunTarget {
            number: manifest.next_run,
            generation: first.generation(),
            ticks: first.ticks(),
            expected: inputs.iter().map(|run| run.records()).sum(),
        };
        self.catalog.manifest.next_run += 1;
        self.merging = Some(Merging::start(inputs, &*core.vault, target)?);
        Ok(())
    }
}
