//! The counters of [`Stats`], handed to the `metrics` facade.
//!
//! Counters and gauges are named `firstseen_*` and labelled with the store's folder. They are handed
//! over whenever upkeep has done something, at least every ten seconds, and by
//! [`Store::stats`](crate::Store::stats).

use std::path::Path;
use std::time::Duration;

use metrics::{counter, gauge};

use super::stats::Stats;

/// How often figures are handed over at least.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// Hands the figures of the store in `dir` over.
pub(crate) fn publish(dir: &Path, stats: &Stats) {
    let dir = dir.display().to_string();
    let count = |name: &'static str, value: u64| {
        counter!(name, "store" => dir.clone()).absolute(value);
    };
    count("firstseen_new_total", stats.new);
    count("firstseen_duplicates_total", stats.duplicates);
    count("firstseen_lates_total", stats.lates);
    count("firstseen_in_flight_total", stats.in_flight);
    count("firstseen_replays_total", stats.replays);
    count("firstseen_mismatches_total", stats.mismatches);
    count("firstseen_commits_total", stats.commits);
    count("firstseen_filter_negatives_total", stats.filter_negatives);
    count("firstseen_filter_false_positives_total", stats.filter_false_positives);
    count("firstseen_page_reads_total", stats.page_reads);
    count("firstseen_disbelieved_times_total", stats.disbelieved_times);
    count("firstseen_log_bytes_written_total", stats.log_bytes_written);
    count("firstseen_run_bytes_written_total", stats.run_bytes_written);
    count("firstseen_syncs_total", stats.syncs);
    count("firstseen_sealed_total", stats.sealed);
    count("firstseen_merged_total", stats.merged);
    count("firstseen_expired_total", stats.expired);
    let set = |name: &'static str, value: f64| gauge!(name, "store" => dir.clone()).set(value);
    set("firstseen_ids", stats.ids as f64);
    set("firstseen_claimed", stats.claimed as f64);
    set("firstseen_in_doubt", stats.in_doubt as f64);
    set("firstseen_state_bytes", stats.state_bytes as f64);
    set("firstseen_generations", stats.generations as f64);
    set("firstseen_runs", stats.runs as f64);
    set("firstseen_run_bytes", stats.run_bytes as f64);
    set("firstseen_log_bytes", stats.log_bytes as f64);
    set(
        "firstseen_memory_bytes",
        (stats.table_memory + stats.filter_memory + stats.run_memory) as f64,
    );
    set("firstseen_filter_ready", stats.filter_ready);
    set("firstseen_sync_seconds_mean", stats.sync_mean.as_secs_f64());
    set("firstseen_sync_seconds_max", stats.sync_max.as_secs_f64());
    let age = stats.oldest.map_or(Duration::ZERO, |oldest| stats.now - oldest);
    set("firstseen_oldest_age_seconds", age.as_secs_f64());
}
