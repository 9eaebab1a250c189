//! What a store says about itself.

use std::time::Duration;

use super::core::Core;
use crate::filter::params;
use crate::sync::{Ordering, lock};
use crate::time::Timestamp;

/// Counts, sizes and times of a store at one moment: see [`Store::stats`](crate::Store::stats).
///
/// What is counted is counted since the store was opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Ids that were let in.
    pub new: u64,
    /// Ids that were duplicates.
    pub duplicates: u64,
    /// Ids whose event time lay before the window.
    pub lates: u64,
    /// Ids that were in flight: claimed, or held back after a lease.
    pub in_flight: u64,
    /// Records whose position lay below the progress of their source.
    pub replays: u64,
    /// Ids that came with another payload than before.
    pub mismatches: u64,
    /// Transactions that were committed.
    pub commits: u64,
    /// Ids that the window filter ruled out at once.
    pub filter_negatives: u64,
    /// Ids that the window filter could not rule out and that no run has.
    pub filter_false_positives: u64,
    /// Pages of runs that were looked at.
    pub page_reads: u64,
    /// Event times and clock readings from too far in the future, which were not believed.
    pub disbelieved_times: u64,

    /// Ids in memory and in runs; expired ones that are still on disk included.
    pub ids: u64,
    /// Ids that were told to be forgotten and are kept track of.
    pub forgotten: u64,
    /// Ids that are claimed now.
    pub claimed: u64,
    /// Transactions that are prepared and not settled.
    pub in_doubt: u64,
    /// Sources that have progress.
    pub sources: u64,
    /// Bytes of the application state: keys, values, and what is kept with each.
    pub state_bytes: u64,
    /// Generations that have runs.
    pub generations: u64,
    /// Runs.
    pub runs: u64,
    /// Frozen tables that wait to be sealed.
    pub frozen_tables: u64,
    /// Bytes of all runs, with what is kept with their ids.
    pub run_bytes: u64,
    /// Bytes set aside for the log.
    pub log_bytes: u64,
    /// First sighting of the oldest id on disk, rounded down; `None` if there is none.
    pub oldest: Option<Timestamp>,
    /// Store time.
    pub now: Timestamp,

    /// Memory of active and frozen tables, in bytes.
    pub table_memory: u64,
    /// Memory of claims, in bytes, without what each transaction holds itself.
    pub claim_memory: u64,
    /// Memory of the window filter, in bytes.
    pub filter_memory: u64,
    /// Memory of the runs' directories and filters, beside mappings, in bytes.
    pub run_memory: u64,
    /// The share of new ids that the window filter is expected not to rule out, from the number of
    /// ids and its size.
    pub filter_false_positive_rate: f64,
    /// The share of the window filter that is built, from 0 to 1. Below 1 only after an opening.
    pub filter_ready: f64,

    /// Bytes written to the log.
    pub log_bytes_written: u64,
    /// Bytes written to runs.
    pub run_bytes_written: u64,
    /// Syncs of the log.
    pub syncs: u64,
    /// Mean time of a sync of the log, with the writing before it.
    pub sync_mean: Duration,
    /// Longest time of a sync of the log, with the writing before it.
    pub sync_max: Duration,
    /// Tables that were sealed.
    pub sealed: u64,
    /// Merges that were finished.
    pub merged: u64,
    /// Generations that were dropped.
    pub expired: u64,
}

impl Core {
    /// Reads all counters and sizes.
    pub(crate) fn stats(&self) -> Stats {
        let calls = self.counters.sums();
        let log = self.log.stats();
        let count = |counter: &crate::sync::AtomicU64| counter.load(Ordering::Relaxed);
        let mut stats = Stats {
            new: calls.new,
            duplicates: calls.duplicate,
            lates: calls.late,
            in_flight: calls.in_flight,
            replays: calls.replay,
            mismatches: calls.mismatch,
            commits: calls.commits,
            claimed: self.claims.len() as u64,
            claim_memory: self.claims.memory() as u64,
            filter_negatives: calls.filter_negatives,
            filter_false_positives: calls.filter_false_positives,
            page_reads: calls.page_reads,
            disbelieved_times: self.clock.disbelieved(),
            forgotten: self.forgotten.len() as u64,
            now: self.clock.now(),
            log_bytes_written: log.bytes_written,
            run_bytes_written: count(&self.counters.run_bytes_written),
            syncs: log.syncs,
            sync_mean: log.sync_total.checked_div(log.syncs as u32).unwrap_or_default(),
            sync_max: log.sync_max,
            sealed: count(&self.counters.sealed),
            merged: count(&self.counters.merged),
            expired: count(&self.counters.expired),
            ..Stats::default()
        };
        self.add_sizes(&mut stats);
        let state = lock(&self.state);
        stats.in_doubt = state.in_doubt().count() as u64;
        stats.sources = state.sources().len() as u64;
        stats.state_bytes = state.memory_bytes() as u64;
        drop(state);
        stats
    }

    /// Memory of its tables and its window filter, in bytes.
    pub(crate) fn memory_taken(&self) -> u64 {
        let mut stats = Stats::default();
        self.add_sizes(&mut stats);
        stats.table_memory + stats.filter_memory
    }

    fn add_sizes(&self, stats: &mut Stats) {
        let view = self.gate.enter();
        let tables = view.frozen.iter().map(|frozen| &frozen.mem).chain([&view.active]);
        for mem in tables {
            stats.ids += mem.ids() as u64;
            stats.table_memory += mem.table.memory() as u64;
            stats.log_bytes += mem.log_bytes();
            if mem.ids() > 0 {
                let base = mem.ticks.base;
                stats.oldest = Some(stats.oldest.map_or(base, |oldest| oldest.min(base)));
            }
        }
        for run in &view.runs {
            stats.ids += run.records();
            stats.run_bytes += run.entry().total_bytes();
            stats.run_memory += run.memory() as u64;
            let first = run.ticks().start_of(run.tick_range().0);
            stats.oldest = Some(stats.oldest.map_or(first, |oldest| oldest.min(first)));
        }
        let mut generations: Vec<u64> = view.runs.iter().map(|run| run.generation()).collect();
        generations.dedup();
        stats.generations = generations.len() as u64;
        stats.runs = view.runs.len() as u64;
        stats.frozen_tables = view.frozen.len() as u64;
        stats.log_bytes += view.segment.as_ref().map_or(0, |segment| segment.allocated());
        let blocks = view.filter.blocks();
        stats.filter_memory = params::memory_bytes(blocks).unwrap_or(u64::MAX);
        let in_runs = view.runs.iter().map(|run| run.records()).sum();
        stats.filter_false_positive_rate = params::false_positive_rate(in_runs, blocks);
        stats.filter_ready = view.filter.ready() as f64 / view.filter.blocks() as f64;
        for spare in &*lock(&self.spares) {
            stats.table_memory += spare.memory() as u64;
        }
    }
}
