//! A moment by the monotonic clock.

use std::time::Duration;

use crate::time::{Clock, micros};

/// Microseconds since some fixed moment of this process. Leases and ages are measured by it, never
/// by the wall clock, which may jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mono(u64);

impl Mono {
    /// Later than any moment that comes.
    pub(crate) const NEVER: Mono = Mono(u64::MAX);

    /// The moment that `clock` shows.
    pub(crate) fn now(clock: &dyn Clock) -> Mono {
        Mono(micros(clock.monotonic()))
    }

    pub(crate) const fn from_micros(micros: u64) -> Mono {
        Mono(micros)
    }

    pub(crate) const fn as_micros(self) -> u64 {
        self.0
    }

    /// The moment `by` later; saturates at [`Mono::NEVER`].
    pub(crate) fn after(self, by: Duration) -> Mono {
        Mono(self.0.saturating_add(micros(by)))
    }

    /// How much later it is than `earlier`; zero if it is not.
    pub(crate) fn since(self, earlier: Mono) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_saturate_at_both_ends() {
        let second = Duration::from_secs(1);
        let now = Mono::from_micros(5);
        assert_eq!(now.after(second).since(now), second);
        assert_eq!(now.since(now.after(second)), Duration::ZERO);
        assert_eq!(now.after(Duration::MAX), Mono::NEVER);
    }
}
