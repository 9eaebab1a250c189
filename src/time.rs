//! Time: what a timestamp is and where it comes from.
//!
//! A [`Timestamp`] counts microseconds since the Unix epoch. Store time, the time by which ids
//! expire, never runs backwards; how it advances is decided in `window::clock`.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: microseconds since the Unix epoch.
///
/// Times before 1970 cannot be expressed; arithmetic saturates at both ends.
///
/// ```
/// use firstseen::Timestamp;
/// use std::time::Duration;
/// let t = Timestamp::from_millis(1_700_000_000_000);
/// assert_eq!((t + Duration::from_secs(2)) - t, Duration::from_secs(2));
/// assert_eq!(t.as_micros(), 1_700_000_000_000_000);
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch, the earliest timestamp.
    pub const MIN: Timestamp = Timestamp(0);
    /// The latest timestamp.
    pub const MAX: Timestamp = Timestamp(u64::MAX);

    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Timestamp {
        Timestamp(micros)
    }

    /// From milliseconds since the Unix epoch; saturates.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Timestamp {
        Timestamp(millis.saturating_mul(1_000))
    }

    /// From seconds since the Unix epoch; saturates.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Timestamp {
        Timestamp(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// What the system's wall clock says now.
    #[must_use]
    pub fn now() -> Timestamp {
        SystemTime::now().into()
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Timestamp {
        Timestamp(micros(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(time.0)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    /// The time `by` later; saturates at [`Timestamp::MAX`].
    fn add(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(micros(by)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    /// The time `by` earlier; saturates at [`Timestamp::MIN`].
    fn sub(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(micros(by)))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// How much later `self` is than `earlier`; zero if it is not.
    fn sub(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Seconds with six decimals since the Unix epoch, as in `1700000000.000000`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A duration in whole microseconds, saturating.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// How a generation remembers time: 256 ticks of equal length from its start.
///
/// A record carries one byte, the tick in which its id was first seen. The id is remembered until
/// the *end* of that tick plus the window, so never for less than the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// Start of the generation.
    pub(crate) base: Timestamp,
    /// Length of a tick in microseconds, at least one.
    pub(crate) micros: u64,
}

impl Ticks {
    /// Ticks of a generation that starts at `base` and spans `slice`.
    pub(crate) fn new(base: Timestamp, slice: Duration) -> Ticks {
        Ticks { base, micros: micros(slice).div_ceil(256).max(1) }
    }

    /// The tick that `time` lies in; times outside the generation fall to its first or last tick.
    pub(crate) fn tick_of(self, time: Timestamp) -> u8 {
        let tick = time.0.saturating_sub(self.base.0) / self.micros;
        u8::try_from(tick).unwrap_or(u8::MAX)
    }

    /// When `tick` starts.
    pub(crate) fn start_of(self, tick: u8) -> Timestamp {
        Timestamp(self.base.0.saturating_add(self.micros.saturating_mul(u64::from(tick))))
    }

    /// When `tick` ends, which is when the next one starts.
    pub(crate) fn end_of(self, tick: u8) -> Timestamp {
        Timestamp(self.start_of(tick).0.saturating_add(self.micros))
    }

    /// The end of the last tick, which is the end of the generation.
    pub(crate) fn end(self) -> Timestamp {
        self.end_of(u8::MAX)
    }
}

/// Where the store reads the time. A seam: tests drive a clock of their own.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Wall-clock time. May jump in either direction.
    fn wall(&self) -> Timestamp;

    /// Time since some fixed moment of this process. Never runs backwards.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the operating system. On Linux the monotonic side goes on while the machine is
/// suspended; elsewhere it may stand still, and store time with it until the store is reopened.
#[derive(Debug)]
pub struct SystemClock {
    started: Duration,
}

impl SystemClock {
    /// A clock whose monotonic side starts at zero now.
    #[must_use]
    pub fn new() -> SystemClock {
        SystemClock { started: uptime() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        uptime().saturating_sub(self.started)
    }
}

/// Time since the machine started, or since some other fixed moment.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

/// Time since some fixed moment of this process.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn uptime() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::MIN - Duration::from_secs(1), Timestamp::MIN);
        assert_eq!(Timestamp::MAX + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Timestamp::MAX, Duration::ZERO);
    }

    #[test]
    fn a_tick_never_ends_before_the_time_it_holds() {
        let ticks = Ticks::new(Timestamp::from_secs(100), Duration::from_micros(25_700));
        for offset in [0, 1, 100, 101, 25_699] {
            let time = ticks.base + Duration::from_micros(offset);
            let tick = ticks.tick_of(time);
            assert!(ticks.start_of(tick) <= time && time < ticks.end_of(tick));
        }
        assert_eq!(ticks.tick_of(Timestamp::MIN), 0);
        assert_eq!(ticks.tick_of(Timestamp::MAX), 255);
        assert!(ticks.end() >= ticks.base + Duration::from_micros(25_700));
    }

    #[test]
    fn system_time_round_trips_to_the_microsecond() {
        let time = Timestamp::from_micros(1_234_567_890_123_456);
        assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        assert_eq!(time.to_string(), "1234567890.123456");
    }
}
