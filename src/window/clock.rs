//! Store time: how it advances, and what it does not believe.

use std::time::Duration;

use crate::config::TimeSource;
use crate::planted::{Bug, planted};
use crate::sync::{AtomicU64, Ordering};
use crate::time::{Clock, Timestamp};

/// The time by which ids expire. Never runs backwards, also not across reopens.
#[derive(Debug)]
pub(crate) struct StoreClock {
    clock: std::sync::Arc<dyn Clock>,
    source: TimeSource,
    future_skew: Duration,
    /// Wall-clock time when the monotonic clock stood at zero, as far as it is believed.
    epoch: Timestamp,
    /// The latest store time, in microseconds.
    high_water: AtomicU64,
    /// How often a time from too far in the future was not believed.
    disbelieved: AtomicU64,
}

impl StoreClock {
    /// The latest store time, some 290,000 years from now: beyond it there is room for a window.
    pub(crate) const LATEST: Timestamp = Timestamp::from_micros(u64::MAX / 2);

    /// A clock that continues from `high_water`. Where the wall clock stands before that, time goes on from there
    /// all the same: see `believed_wall`.
    pub(crate) fn new(
        clock: std::sync::Arc<dyn Clock>,
        source: TimeSource,
        future_skew: Duration,
        high_water: Timestamp,
    ) -> StoreClock {
        let known = if source == TimeSource::System { high_water } else { Timestamp::MIN };
        let epoch = clock.wall().max(known) - clock.monotonic();
        let high_water = AtomicU64::new(high_water.min(StoreClock::LATEST).as_micros());
        StoreClock { clock, source, future_skew, epoch, high_water, disbelieved: AtomicU64::new(0) }
    }

    /// What store time follows.
    pub(crate) fn source(&self) -> TimeSource {
        self.source
    }

    /// Store time now. With [`TimeSource::System`] it advances to the wall clock.
    pub(crate) fn now(&self) -> Timestamp {
        match self.source {
            TimeSource::System => self.advance(self.believed_wall()),
            TimeSource::Event => self.high_water(),
        }
    }

    /// The latest store time.
    pub(crate) fn high_water(&self) -> Timestamp {
        Timestamp::from_micros(self.high_water.load(Ordering::Relaxed))
    }

    /// The latest event time that is believed now.
    pub(crate) fn latest_believed(&self) -> Timestamp {
        self.believed_wall() + self.future_skew
    }

    /// Notes that a time from too far in the future was cut to the latest believed one.
    pub(crate) fn note_disbelieved(&self) {
        self.disbelieved.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a time from too far in the future was not believed.
    pub(crate) fn disbelieved(&self) -> u64 {
        self.disbelieved.load(Ordering::Relaxed)
    }

    /// Moves store time up to `to`, if that is later, and returns it.
    pub(crate) fn advance(&self, to: Timestamp) -> Timestamp {
        let to = to.min(StoreClock::LATEST).as_micros();
        if planted(Bug::ClockRunsBack) {
            self.high_water.store(to, Ordering::Relaxed);
            return Timestamp::from_micros(to);
        }
        Timestamp::from_micros(self.high_water.fetch_max(to, Ordering::Relaxed).max(to))
    }

    /// The wall clock, but not before what has passed by the monotonic one, nor more than `future_skew`
    /// ahead of it. If store time stood still while the wall clock is behind, ids of then would expire
    /// too early once it is set right.
    pub(crate) fn believed_wall(&self) -> Timestamp {
        let (wall, passed) = (self.clock.wall(), self.epoch + self.clock.monotonic());
        if wall - passed > self.future_skew && !planted(Bug::ClockJumpBelieved) {
            self.note_disbelieved();
            return passed;
        }
        wall.max(passed)
    }

    /// How much real time can pass, at least, until store time reaches `until`; `None` if it follows
    /// events.
    pub(crate) fn time_until(&self, until: Timestamp) -> Option<Duration> {
        match self.source {
            TimeSource::System => Some(until - self.believed_wall()),
            TimeSource::Event => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;
    use std::sync::Arc;

    const SKEW: Duration = Duration::from_secs(60);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn store_clock(source: TimeSource, wall: u64, high: u64) -> (ManualClock, StoreClock) {
        let clock = ManualClock::new(at(wall));
        let store = StoreClock::new(Arc::new(clock.clone()), source, SKEW, at(high));
        (clock, store)
    }

    #[test]
    fn it_never_runs_backwards() {
        let (clock, store) = store_clock(TimeSource::System, 1_000, 1_500);
        assert_eq!(store.now(), at(1_500));
        clock.advance(Duration::from_secs(700));
        assert_eq!(store.now(), at(2_200));
        clock.set_wall(at(5));
        assert_eq!(store.now(), at(2_200));
    }

    #[test]
    fn time_passes_while_the_wall_clock_is_behind() {
        let (clock, store) = store_clock(TimeSource::System, 1_000, 0);
        clock.set_wall(at(5));
        clock.advance(Duration::from_secs(100));
        assert_eq!(store.now(), at(1_100));
        clock.set_wall(at(1_100));
        assert_eq!(store.now(), at(1_100));
    }

    #[test]
    fn a_forward_jump_is_not_believed() {
        let (clock, store) = store_clock(TimeSource::System, 1_000, 0);
        clock.set_wall(at(1_000_000));
        clock.advance(Duration::from_secs(10));
        assert_eq!(store.now(), at(1_010));
        assert!(store.disbelieved() > 0);
    }

    #[test]
    fn events_move_it_and_the_clock_does_not() {
        let (clock, store) = store_clock(TimeSource::Event, 1_000, 0);
        clock.advance(Duration::from_secs(10));
        assert_eq!(store.now(), Timestamp::MIN);
        assert_eq!(store.latest_believed(), at(1_070));
        assert_eq!(store.advance(at(500)), at(500));
        assert_eq!(store.advance(at(400)), at(500));
    }
}
