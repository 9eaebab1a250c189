//! Slows callers a little while upkeep is behind, so that none is stopped once it is far behind.
//!
//! A rotation waits while as many tables are frozen as may be. Callers that outrun upkeep would fill the active
//! table at full speed, and then all of them would wait for the rest of a seal, and for what is tidied before it: with large
//! tables a good part of a second. So from the moment on that the next rotation would wait, each id that is let in
//! costs its caller some time, the more the further the active table is filled ahead of upkeep. In balance callers
//! let in as many ids as upkeep seals, as before, and each call takes about as long as the other. (That it is better
//! to slow writes down than to stop them: Luo and Carey, "On Performance Stability in LSM-based Storage Systems",
//! VLDB 2019.)
//!
//! How far upkeep is with a table is told by the time that the tables before it took, and held back by what it has
//! not even begun: while it tidies it is not known how long it will.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};

/// When upkeep is done with a table, the active one is meant to be filled so far. The rest is for tables that take
/// longer than those before.
const AIM: f64 = 0.75;
/// Somebody who is ahead by a whole table takes so many times as long for an id as upkeep does. Callers are in balance
/// an eighth of a table ahead, and never full when upkeep is done in its usual time.
const GAIN: f64 = 8.0;
/// Systems oversleep by about as much; what is less than this is added up.
const PAUSE_MIN: Duration = Duration::from_micros(50);
/// The share of a table's time that may pass before its seal is begun, in thousandths.
const BEFORE_SEAL: u64 = 500;
const WHOLE: u64 = 1_000;

/// How fast upkeep is, and how far. All is relaxed: each number means something by itself, and one that is
/// old by a moment does no harm.
#[derive(Debug)]
pub(crate) struct Pace {
    epoch: Instant,
    /// When upkeep turned to the oldest frozen table, in nanoseconds since the epoch.
    begun: AtomicU64,
    /// How far it can be with it at the most, in thousandths.
    at_most: AtomicU64,
    /// What it takes for an id of a table in all, in nanoseconds; 0 while nobody knows.
    ns_per_id: AtomicU64,
    /// Nanoseconds that callers have not paused for yet.
    debt: AtomicU64,
}

impl Pace {
    pub(crate) fn new() -> Pace {
        Pace {
            epoch: Instant::now(),
            begun: AtomicU64::new(0),
            at_most: AtomicU64::new(BEFORE_SEAL),
            ns_per_id: AtomicU64::new(0),
            debt: AtomicU64::new(0),
        }
    }

    /// Upkeep turns to the next table, or to what has to be tidied before it.
    pub(crate) fn begin(&self) {
        self.begun.store(self.now(), Ordering::Relaxed);
        self.at_most.store(BEFORE_SEAL, Ordering::Relaxed);
    }

    /// So many of the table's ids are in its run.
    pub(crate) fn note_sealed(&self, done: u64, ids: u64) {
        let share = (WHOLE - BEFORE_SEAL) * done.min(ids) / ids.max(1);
        self.at_most.store(BEFORE_SEAL + share, Ordering::Relaxed);
    }

    /// Upkeep is done with a table of so many ids.
    pub(crate) fn finish(&self, ids: u64) {
        let took = self.now().saturating_sub(self.begun.load(Ordering::Relaxed));
        let Some(each) = took.checked_div(ids) else { return };
        let before = self.ns_per_id.load(Ordering::Relaxed);
        // Some tables are tidied before, others are not.
        let mean = if before == 0 { each } else { (3 * before + each) / 4 };
        self.ns_per_id.store(mean.max(1), Ordering::Relaxed);
    }

    /// What a caller pays who let in so many ids, now that `filled` of the `limit` ids of the active table are there:
    /// how long it pauses, if it is its turn.
    pub(crate) fn charge(&self, ids: u64, filled: usize, limit: usize) -> Option<Duration> {
        let elapsed = self.now().saturating_sub(self.begun.load(Ordering::Relaxed));
        let owed = self.owed(ids, filled, limit, elapsed);
        let debt = self.debt.fetch_add(owed, Ordering::Relaxed) + owed;
        if Duration::from_nanos(debt) < PAUSE_MIN {
            return None;
        }
        Some(Duration::from_nanos(self.debt.swap(0, Ordering::Relaxed)))
    }

    fn owed(&self, ids: u64, filled: usize, limit: usize, elapsed: u64) -> u64 {
        let each = self.ns_per_id.load(Ordering::Relaxed) as f64;
        let whole = each * limit as f64;
        if whole == 0.0 {
            return 0;
        }
        let at_most = self.at_most.load(Ordering::Relaxed) as f64 / WHOLE as f64;
        let done = (elapsed as f64 / whole).min(at_most);
        let ahead = (filled as f64 / limit as f64 - AIM * done).clamp(0.0, 1.0);
        // Nobody pauses for longer than he would have to wait.
        (each * ids as f64 * GAIN * ahead).min(whole) as u64
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Upkeep takes 100 ns an id, so a tenth of a millisecond for a table of a thousand.
    fn pace() -> Pace {
        let pace = Pace::new();
        pace.ns_per_id.store(100, Ordering::Relaxed);
        pace
    }

    #[test]
    fn whoever_is_ahead_pays_the_more_the_further() {
        let pace = pace();
        pace.note_sealed(1, 1);
        // Half of the time has passed: three eighths may be filled.
        assert_eq!(pace.owed(10, 375, 1_000, 50_000), 0);
        assert_eq!(
            pace.owed(10, 500, 1_000, 50_000),
            1_000,
            "an eighth ahead, at the pace of upkeep"
        );
        assert_eq!(pace.owed(10, 625, 1_000, 50_000), 2_000);
        assert_eq!(pace.owed(10, 100, 1_000, 50_000), 0, "behind");
        assert_eq!(pace.owed(5_000, 1_000, 1_000, 0), 100_000, "never more than the whole table");
    }

    #[test]
    fn callers_are_held_back_by_what_is_not_begun() {
        let pace = pace();
        // All of the time has passed, and the seal is not begun, then half done, then done.
        let owed = [(0, 3_000), (500, 1_500), (1_000, 0)].map(|(done, expected)| {
            if done > 0 {
                pace.note_sealed(done, 1_000);
            }
            (pace.owed(10, 750, 1_000, 100_000), expected)
        });
        assert!(owed.iter().all(|(owed, expected)| owed == expected), "{owed:?}");
        pace.begin();
        assert_eq!(pace.at_most.load(Ordering::Relaxed), BEFORE_SEAL);
    }

    #[test]
    fn nobody_pays_before_a_table_was_sealed_or_while_upkeep_keeps_up() {
        let pace = Pace::new();
        assert_eq!(pace.charge(1 << 16, 1_000, 1_000), None);
        pace.begin();
        pace.finish(0);
        assert_eq!(pace.ns_per_id.load(Ordering::Relaxed), 0, "no ids tell nothing");
        pace.finish(1 << 40);
        assert_eq!(pace.ns_per_id.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_is_too_short_to_sleep_is_added_up() {
        let pace = Pace::new();
        pace.ns_per_id.store(1_000, Ordering::Relaxed);
        pace.begin();
        // A thousand seconds for a table: the clock does not matter. Two microseconds an id.
        let pauses: Vec<_> = (0..60).map(|_| pace.charge(1, 250_000_000, 1_000_000_000)).collect();
        let paused: Vec<_> = pauses.iter().flatten().collect();
        assert_eq!(paused.len(), 2, "{pauses:?}");
        assert!(paused.iter().all(|&&pause| pause >= PAUSE_MIN && pause < 2 * PAUSE_MIN));
    }
}
