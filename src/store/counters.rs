//! What calls count. Each call adds its sums once, so counting costs nothing an id.

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, Ordering};
use crate::verdict::Verdict;

/// What one piece of a call did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Ids let in.
    pub(crate) new: u64,
    /// Ids whose event time lies before the window.
    pub(crate) late: u64,
    /// Ids that were in flight, or held back after a lease.
    pub(crate) in_flight: u64,
    /// Ids that the window filter ruled out.
    pub(crate) filter_negatives: u64,
    /// Ids that it could not rule out, and that no run has.
    pub(crate) filter_false_positives: u64,
    /// Ids found in runs.
    pub(crate) found: u64,
    /// Pages of runs that were looked at.
    pub(crate) page_reads: u64,
    /// Whether a verdict rests on a record that is in the log and in no run yet.
    pub(crate) rests_on_log: bool,
}

/// The sums since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: CachePadded<Calls>,
    pub(crate) sealed: AtomicU64,
    pub(crate) merged: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) run_bytes_written: AtomicU64,
}

#[derive(Debug, Default)]
struct Calls {
    new: AtomicU64,
    duplicate: AtomicU64,
    late: AtomicU64,
    in_flight: AtomicU64,
    replay: AtomicU64,
    mismatch: AtomicU64,
    commits: AtomicU64,
    filter_negatives: AtomicU64,
    filter_false_positives: AtomicU64,
    page_reads: AtomicU64,
}

/// [`Counters`] at one moment.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct CallSums {
    pub(crate) new: u64,
    pub(crate) duplicate: u64,
    pub(crate) late: u64,
    pub(crate) in_flight: u64,
    pub(crate) replay: u64,
    pub(crate) mismatch: u64,
    pub(crate) commits: u64,
    pub(crate) filter_negatives: u64,
    pub(crate) filter_false_positives: u64,
    pub(crate) page_reads: u64,
}

impl Counters {
    /// Adds a piece of `ids` ids that was settled.
    pub(crate) fn add_call(&self, ids: usize, tally: &Tally) {
        let calls = &self.calls;
        add(&calls.new, tally.new);
        add(&calls.late, tally.late);
        add(&calls.in_flight, tally.in_flight);
        add(&calls.duplicate, ids as u64 - tally.new - tally.late - tally.in_flight);
        self.add_lookups(tally);
    }

    /// Adds a call that claimed. What it claimed is new once it is committed.
    pub(crate) fn add_claims(&self, verdicts: &[Verdict], tally: &Tally) {
        let calls = &self.calls;
        let count = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|v| is(v)).count() as u64;
        add(&calls.late, tally.late);
        add(&calls.duplicate, count(Verdict::is_duplicate));
        add(&calls.in_flight, count(|verdict| !verdict.is_settled()));
        add(&calls.replay, count(|verdict| matches!(verdict, Verdict::Replay { .. })));
        add(&calls.mismatch, count(|verdict| matches!(verdict, Verdict::Mismatch { .. })));
        self.add_lookups(tally);
    }

    /// Adds a commit of `ids` ids.
    pub(crate) fn add_commit(&self, ids: usize) {
        add(&self.calls.new, ids as u64);
        add(&self.calls.commits, 1);
    }

    /// Adds what a look that inserted nothing cost.
    pub(crate) fn add_lookups(&self, tally: &Tally) {
        let calls = &self.calls;
        add(&calls.filter_negatives, tally.filter_negatives);
        add(&calls.filter_false_positives, tally.filter_false_positives);
        add(&calls.page_reads, tally.page_reads);
    }

    /// The sums now.
    pub(crate) fn sums(&self) -> CallSums {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let calls = &self.calls;
        CallSums {
            new: get(&calls.new),
            duplicate: get(&calls.duplicate),
            late: get(&calls.late),
            in_flight: get(&calls.in_flight),
            replay: get(&calls.replay),
            mismatch: get(&calls.mismatch),
            commits: get(&calls.commits),
            filter_negatives: get(&calls.filter_negatives),
            filter_false_positives: get(&calls.filter_false_positives),
            page_reads: get(&calls.page_reads),
        }
    }
}

fn add(counter: &AtomicU64, more: u64) {
    if more > 0 {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}
