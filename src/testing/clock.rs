//! A clock that stands still until a test moves it.

use std::sync::Arc;
#[cfg(not(tsan))]
use std::sync::Mutex;
use std::time::Duration;

#[cfg(tsan)]
use crate::sync::Mutex;
use crate::time::{Clock, Timestamp};

/// A clock under a test's control. Clones share one time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<Now>>,
}

#[derive(Debug)]
struct Now {
    wall: Timestamp,
    monotonic: Duration,
}

impl ManualClock {
    /// A clock whose wall stands at `wall`, and whose monotonic side at zero.
    #[must_use]
    pub fn new(wall: Timestamp) -> ManualClock {
        let now = Now { wall, monotonic: Duration::ZERO };
        ManualClock { now: Arc::new(Mutex::new(now)) }
    }

    /// Time passes: both sides move on.
    pub fn advance(&self, by: Duration) {
        self.with(|now| {
            now.wall = now.wall + by;
            now.monotonic += by;
        });
    }

    /// Somebody sets the wall clock, to any time; no time passes.
    pub fn set_wall(&self, to: Timestamp) {
        self.with(|now| now.wall = to);
    }

    /// The wall clock jumps ahead; no time passes.
    pub fn jump_ahead(&self, by: Duration) {
        self.with(|now| now.wall = now.wall + by);
    }

    /// The wall clock jumps back; no time passes.
    pub fn jump_back(&self, by: Duration) {
        self.with(|now| now.wall = now.wall - by);
    }

    fn with<T>(&self, f: impl FnOnce(&mut Now) -> T) -> T {
        f(&mut self.now.lock().expect("no test panics while it moves the clock"))
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.with(|now| now.wall)
    }

    fn monotonic(&self) -> Duration {
        self.with(|now| now.monotonic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_moves_the_wall_alone() {
        let second = Duration::from_secs(1);
        let clock = ManualClock::new(Timestamp::from_secs(100));
        let same = clock.clone();
        clock.advance(second);
        assert_eq!((same.wall(), same.monotonic()), (Timestamp::from_secs(101), second));
        clock.jump_back(second * 50);
        assert_eq!((same.wall(), same.monotonic()), (Timestamp::from_secs(51), second));
        clock.jump_ahead(second * 9);
        clock.set_wall(same.wall() + second);
        assert_eq!((same.wall(), same.monotonic()), (Timestamp::from_secs(61), second));
    }
}
