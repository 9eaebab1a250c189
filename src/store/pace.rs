//! Slows callers a little while upkeep is behind, so that none is stopped once it is far behind.
//!
//! A rotation waits while as many tables are frozen as may be. Callers that outrun upkeep would fill the active
//! table at full speed, and then all of them would wait for the rest of a seal, and for what is tidied before it: with large
//! tables a good part of a second. So from the moment on that the next rotation would wait, each id that is let in
//! costs its caller some time, the more the further the active table is filled ahead of upkeep. In balance callers
//! let in as many ids as upkeep seals, as before, and each call takes about as long as the other. What callers pay is counted
//! for all of them together, so that many are not faster than one. (That it is better
//! to slow writes down than to stop them: Luo and Carey, "On Performance Stability in LSM-based Storage Systems",
//! VLDB 2019.)
//!
//! How far upkeep is with a table is told by the time that the tables before it took, and held back by what it has
//! not even begun: while it tidies it is not known how long it will. Where tables are cut short, by what is kept with
//! their ids or by time, nothing is learnt from them, and nobody is slowed.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};

/// When upkeep is done with a table, the active one is meant to be filled so far. The rest is for tables that take
/// longer than those before.
const AIM: f64 = 0.75;
/// Where the active table is a whole table ahead, an id costs so many times what upkeep takes for one. So
/// callers are in balance an eighth of a table ahead, and it is not full when upkeep is done in its usual time.
const GAIN: f64 = 8.0;
/// Systems oversleep by about as much; what is less than this is added up.
const PAUSE_MIN: Duration = Duration::from_micros(50);
/// Whatever was let in, and however many pay.
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// The share of a table's time that may pass before its seal is begun, in thousandths.
const BEFORE_SEAL: u64 = 500;
const WHOLE: u64 = 1_000;

/// How fast upkeep is, and how far; times are in nanoseconds. All is relaxed: each number means something by itself, and
/// one that is old by a moment does no harm.
#[derive(Debug)]
pub(crate) struct Pace {
    opened: Instant,
    /// When upkeep turned to the oldest frozen table.
    begun: AtomicU64,
    /// How far it can be with it at the most, in thousandths.
    at_most: AtomicU64,
    /// What it takes for an id of a table in all; 0 while nobody knows.
    each: AtomicU64,
    /// Until when what was let in is paid for.
    paid: AtomicU64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            opened: Instant::now(),
            begun: AtomicU64::new(0),
            at_most: AtomicU64::new(BEFORE_SEAL),
            each: AtomicU64::new(0),
            paid: AtomicU64::new(0),
        }
    }
}

impl Pace {
    /// Time since the store was opened. It is what passes while somebody sleeps, whatever clock the store follows.
    pub(crate) fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Upkeep turns to the next table, or to what has to be tidied before it; or it begins anew, after a failure.
    pub(crate) fn begin(&self, now: Duration) {
        self.begun.store(nanos(now), Ordering::Relaxed);
        self.at_most.store(BEFORE_SEAL, Ordering::Relaxed);
    }

    /// So many of the table's ids are in its run.
    pub(crate) fn note_sealed(&self, done: u64, ids: u64) {
        let share = (WHOLE - BEFORE_SEAL) * done.min(ids) / ids.max(1);
        self.at_most.store(BEFORE_SEAL + share, Ordering::Relaxed);
    }

    /// Upkeep is done with a table of so many ids, which takes `limit`.
    pub(crate) fn finish(&self, now: Duration, ids: u64, limit: usize) {
        if ids == 0 || ids < limit as u64 / 2 {
            return;
        }
        let each = (nanos(now).saturating_sub(self.begun.load(Ordering::Relaxed)) / ids).max(1);
        let mean = match self.each.load(Ordering::Relaxed) {
            0 => each,
            // Some tables are tidied before, others are not; and one may have waited for what does not come again.
            before => (before + each.min(before.saturating_mul(4))) / 2,
        };
        self.each.store(mean, Ordering::Relaxed);
    }

    /// What a caller pays who let in so many ids, now that `filled` of the `limit` ids of the active table are there:
    /// how long it pauses, if it is long enough.
    pub(crate) fn charge(
        &self,
        now: Duration,
        ids: u64,
        filled: usize,
        limit: usize,
    ) -> Option<Duration> {
        let now = nanos(now);
        let owed = self.owed(now, ids, filled, limit);
        if owed == 0 {
            return None;
        }
        let pay = |paid: u64| paid.max(now).saturating_add(owed).min(now + nanos(PAUSE_MAX));
        let (Ok(paid) | Err(paid)) =
            self.paid.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid| Some(pay(paid)));
        let pause = Duration::from_nanos(pay(paid) - now);
        (pause >= PAUSE_MIN).then_some(pause)
    }

    fn owed(&self, now: u64, ids: u64, filled: usize, limit: usize) -> u64 {
        let each = self.each.load(Ordering::Relaxed) as f64;
        let (whole, limit) = (each * limit as f64, limit as f64);
        let elapsed = now.saturating_sub(self.begun.load(Ordering::Relaxed)) as f64;
        if each == 0.0 || whole == 0.0 {
            return 0;
        }
        let at_most = self.at_most.load(Ordering::Relaxed) as f64 / WHOLE as f64;
        let done = (elapsed / whole).min(at_most);
        let ahead = (filled as f64 / limit - AIM * done).clamp(0.0, 1.0);
        (each * ids as f64 * GAIN * ahead) as u64
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LIMIT: usize = 1_000;

    fn at(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// Upkeep takes 10 us an id, so 10 ms for a table of a thousand, and has just begun with another.
    fn pace() -> Pace {
        let pace = Pace::default();
        pace.begin(at(0));
        pace.finish(at(10_000), 1_000, LIMIT);
        pace.begin(at(0));
        pace
    }

    #[test]
    fn whoever_is_ahead_pays_the_more_the_further() {
        // Half of the time has passed: three eighths may be filled.
        for (filled, expected) in [(375, None), (500, Some(100)), (625, Some(200)), (100, None)] {
            let pause = pace().charge(at(5_000), 10, filled, LIMIT);
            assert_eq!(pause, expected.map(at), "{filled} filled");
        }
    }

    #[test]
    fn nobody_pauses_for_long() {
        assert_eq!(pace().charge(at(0), 1 << 16, LIMIT, LIMIT), Some(PAUSE_MAX));
        assert_eq!(pace().charge(at(0), u64::MAX, LIMIT, LIMIT), Some(PAUSE_MAX));
        let pace = pace();
        let pauses = [(); 300].map(|()| pace.charge(at(0), 10, 500, LIMIT));
        assert_eq!(pauses[299], Some(PAUSE_MAX), "however many pay");
    }

    #[test]
    fn many_callers_pay_one_after_the_other() {
        let pace = pace();
        let pauses = [(); 3].map(|()| pace.charge(at(5_000), 10, 500, LIMIT));
        assert_eq!(pauses, [100, 200, 300].map(|micros| Some(at(micros))));
        // What was paid for is over.
        assert_eq!(pace.charge(at(9_000), 10, 1_000, LIMIT), Some(at(500)));
    }

    #[test]
    fn what_is_too_short_to_sleep_is_added_up() {
        let pace = pace();
        let pauses = [(); 6].map(|()| pace.charge(at(5_000), 1, 500, LIMIT));
        assert_eq!(pauses[..4], [None; 4]);
        assert_eq!(pauses[4..], [50, 60].map(|micros| Some(at(micros))));
    }

    #[test]
    fn callers_are_held_back_by_what_is_not_begun() {
        let pace = pace();
        // All of the time has passed, and of the seal nothing is done, then half, then all.
        for (done, expected) in [(0, Some(300)), (500, Some(150)), (1_000, None)] {
            if done > 0 {
                pace.note_sealed(done, 1_000);
            }
            let pause = pace.charge(at(10_000), 10, 750, LIMIT);
            assert_eq!(pause, expected.map(at), "{done} done");
            pace.paid.store(0, Ordering::Relaxed);
        }
        pace.note_sealed(1_000, 1_000);
        pace.begin(at(0));
        assert!(pace.charge(at(10_000), 10, 750, LIMIT).is_some(), "it begins with the next");
    }

    #[test]
    fn nothing_is_learnt_from_tables_cut_short_and_little_from_one_that_waited() {
        let pace = Pace::default();
        let each = |took: u64, ids: u64| {
            pace.begin(at(0));
            pace.finish(at(took), ids, LIMIT);
            pace.each.load(Ordering::Relaxed)
        };
        assert_eq!(each(5_000, 0), 0);
        assert_eq!(each(5_000, 499), 0);
        assert_eq!(pace.charge(at(0), 1 << 16, LIMIT, LIMIT), None);
        assert_eq!(each(1_000, 1_000), 1_000);
        assert_eq!(each(3_600_000_000, 1_000), 2_500);
        assert_eq!(each(500, 500), 1_750);
    }
}
