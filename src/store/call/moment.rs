//! At which time each id of a call is judged.

use std::time::Duration;

use super::super::core::Core;
use crate::config::TimeSource;
use crate::planted::{Bug, planted};
use crate::time::Timestamp;
use crate::window::StoreClock;

/// The moment at which an id is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Store time.
    pub(crate) now: Timestamp,
    /// When the event happened.
    pub(super) time: Timestamp,
    /// How long before the window the event lies, if it does.
    pub(crate) late: Option<Duration>,
}

/// The moments of a call's ids.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moments<'a> {
    /// One for all, and none is late.
    Same(Timestamp),
    /// One for each.
    Each(&'a [Moment]),
}

impl<'a> Moments<'a> {
    #[inline]
    pub(in crate::store) fn at(self, i: usize) -> Moment {
        match self {
            Moments::Same(now) => Moment { now, time: now, late: None },
            Moments::Each(moments) => moments[i],
        }
    }

    pub(super) fn skip(self, n: usize) -> Moments<'a> {
        match self {
            Moments::Same(now) => Moments::Same(now),
            Moments::Each(moments) => Moments::Each(&moments[n..]),
        }
    }

    /// How many of the first `n` ids come before `end`; at least one, times being in order.
    pub(super) fn count_before(self, n: usize, end: Timestamp) -> usize {
        match self {
            Moments::Same(_) => n,
            Moments::Each(moments) => {
                moments[..n].partition_point(|moment| moment.now < end).max(1)
            }
        }
    }
}

impl Core {
    /// The moments of ids with event times of their own.
    pub(crate) fn judge_times(&self, times: &[Timestamp], moments: &mut Vec<Moment>) {
        let latest = self.clock.latest_believed().min(StoreClock::LATEST);
        let follows_events = self.clock.source() == TimeSource::Event;
        let mut now = self.clock.now();
        moments.clear();
        moments.extend(times.iter().map(|&time| {
            let believed = match planted(Bug::FutureEventBelieved) {
                false => time.min(latest),
                true => time.min(StoreClock::LATEST),
            };
            if believed < time {
                self.clock.note_disbelieved();
            }
            if follows_events {
                now = now.max(believed);
            }
            let known_from = self.known_from(now);
            let late = (time < known_from).then(|| known_from - time);
            Moment { now, time, late }
        }));
    }

    /// What happened before is late at `now`.
    pub(super) fn known_from(&self, now: Timestamp) -> Timestamp {
        (now - self.window).max(self.complete_since())
    }
}
