//! Options: what can be chosen at opening, every default with its reason, and what is refused.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::budget::SHARE_MIN;
use super::set::StoreSet;
use crate::config::{Backend, Durability, LeaseEnd, TimeSource};
use crate::error::{Error, Result};
use crate::identity::IdentityKind;
use crate::log::WriteMode;
use crate::run::ReadMode;
use crate::sys::Storage;
use crate::sys::disk::Disk;
use crate::time::{Clock, SystemClock};

/// How a store is opened. Made by [`Store::builder`].
///
/// Window, time source, identity and backend are kept in the store. On reopening, an option that was
/// not set takes the kept value; the identity, the time source and the backend cannot be changed, the
/// window can: a shorter one counts at once, a longer one for ids that are still known (see
/// [`Store::effective_window`]).
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) options: Options,
}

/// The values behind [`Builder`].
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) window: Option<Duration>,
    pub(crate) lease: Option<Duration>,
    pub(crate) lease_end: LeaseEnd,
    pub(crate) time: Option<TimeSource>,
    pub(crate) identity: Option<IdentityKind>,
    pub(crate) backend: Option<Backend>,
    pub(crate) durability: Durability,
    pub(crate) generations: u32,
    pub(crate) max_bytes: Option<u64>,
    /// Not set: the default, or a share of the set's.
    pub(crate) memory_budget: Option<u64>,
    pub(crate) set: Option<StoreSet>,
    pub(crate) expected_ids: u64,
    pub(crate) filter_bits_per_id: u32,
    pub(crate) active_ids: Option<usize>,
    pub(crate) future_skew: Duration,
    pub(crate) max_clock_jump: Option<Duration>,
    pub(crate) read_mode: ReadMode,
    pub(crate) write_mode: WriteMode,
    pub(crate) create: bool,
    pub(crate) accept_incomplete: bool,
    pub(crate) background: bool,
    /// Whether it is opened for a catch-up alone.
    pub(crate) catching_up: bool,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A day: the order of how long queues keep and redeliver messages.
pub(crate) const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Each generation that has ended but not expired costs up to an eighth of the window in disk space;
/// more generations cost run filters to look at on a hit.
pub(crate) const DEFAULT_GENERATIONS: u32 = 8;
/// Enough for 10^8 ids; a fraction of any machine that sees so many.
pub(crate) const DEFAULT_MEMORY: u64 = 512 << 20;
/// 0.09 % false positives, a miss answered by one cache line: see `filter`.
const DEFAULT_FILTER_BITS: u32 = 16;
/// Clocks of machines in one data centre differ by seconds; of devices by minutes.
const DEFAULT_FUTURE_SKEW: Duration = Duration::from_secs(600);

const WINDOW_MIN: Duration = Duration::from_millis(1);
/// A thousand years: store time plus the window must not overflow.
const WINDOW_MAX: Duration = Duration::from_secs(1_000 * 366 * 24 * 3600);
const MAX_BYTES_MIN: u64 = 32 << 20;

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            options: Options {
                window: None,
                lease: None,
                lease_end: LeaseEnd::Rerun,
                time: None,
                identity: None,
                backend: None,
                durability: Durability::Buffered,
                generations: DEFAULT_GENERATIONS,
                max_bytes: None,
                memory_budget: None,
                set: None,
                expected_ids: 0,
                filter_bits_per_id: DEFAULT_FILTER_BITS,
                active_ids: None,
                future_skew: DEFAULT_FUTURE_SKEW,
                max_clock_jump: None,
                read_mode: ReadMode::Mapped,
                write_mode: WriteMode::Positioned,
                create: true,
                accept_incomplete: false,
                background: true,
                catching_up: false,
                storage: Arc::new(Disk),
                clock: Arc::new(SystemClock::new()),
            },
        }
    }
}

impl Builder {
    /// How long an id is remembered since it was first seen. Default: the store's, 24 hours for a
    /// new one. From one millisecond to a thousand years.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Builder {
        self.options.window = Some(window);
        self
    }

    /// What an acknowledged call survives. Default: [`Durability::Buffered`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Builder {
        self.options.durability = durability;
        self
    }

    /// After which time a [claim](crate::Claim) ends that was not committed, prepared or renewed. Default:
    /// none; a claim lives until it is dropped or its process dies. Set it where the one that works can
    /// hang, to more than the work ever takes. Measured by the monotonic clock, apart from the window.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Builder {
        self.options.lease = Some(lease);
        self
    }

    /// What becomes of ids whose claim outlived its lease. Default: [`LeaseEnd::Rerun`].
    #[must_use]
    pub fn lease_end(mut self, then: LeaseEnd) -> Builder {
        self.options.lease_end = then;
        self
    }

    /// What store time follows. Default: the store's, [`TimeSource::System`] for a new one.
    #[must_use]
    pub fn time(mut self, source: TimeSource) -> Builder {
        self.options.time = Some(source);
        self
    }

    /// How ids become fingerprints. Default: the store's, [`IdentityKind::AesCmac`] for a new one.
    #[must_use]
    pub fn identity(mut self, identity: IdentityKind) -> Builder {
        self.options.identity = Some(identity);
        self
    }

    /// Where the log and the runs are kept. Default: the store's, [`Backend::Mapped`] for a new one.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Builder {
        self.options.backend = Some(backend);
        self
    }

    /// Into how many time slices the window is cut, 8 to 64. Ids are forgotten on disk at most one
    /// slice after their window. Default: 8.
    #[must_use]
    pub fn generations(mut self, generations: u32) -> Builder {
        self.options.generations = generations;
        self
    }

    /// The most that the store may take on disk, everything counted. Where that is less than the
    /// window needs, the oldest generation goes first, and [`Store::effective_window`] tells. At
    /// least 32 MiB. Default: no limit.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Builder {
        self.options.max_bytes = Some(bytes);
        self
    }

    /// The memory for tables and filters, beside the page cache. At least 16 MiB. Where the window
    /// outgrows it, filters get fewer bits an id and more of them answer in vain; nothing else
    /// changes. Default: 512 MiB. A store in a [set](Builder::set) has a share of the set's instead.
    #[must_use]
    pub fn memory_budget(mut self, bytes: u64) -> Builder {
        self.options.memory_budget = Some(bytes);
        self
    }

    /// Makes the store a member of a set while it is open: it shares the set's memory budget and its background
    /// threads with the other members, and has no [`memory_budget`](Builder::memory_budget) of its own. A set
    /// that has no room for one more is [`Error::SetFull`] at opening. See [`StoreSet`].
    #[must_use]
    pub fn set(mut self, set: &StoreSet) -> Builder {
        self.options.set = Some(set.clone());
        self
    }

    /// How many ids a window is expected to hold; the filter is sized for it from the start instead
    /// of growing. Default: unknown.
    #[must_use]
    pub fn expected_ids(mut self, ids: u64) -> Builder {
        self.options.expected_ids = ids;
        self
    }

    /// Bits of the window filter for each id, 8 to 32: more bits, fewer useless looks into runs.
    /// Default: 16, with which 0.09 % of new ids are looked for behind a filter that is full; with 12 it is 0.4 %.
    #[must_use]
    pub fn filter_bits_per_id(mut self, bits: u32) -> Builder {
        self.options.filter_bits_per_id = bits;
        self
    }

    /// After how many ids the active table is sealed. Default: what an eighth of the memory budget
    /// holds.
    #[must_use]
    pub fn active_ids(mut self, ids: usize) -> Builder {
        self.options.active_ids = Some(ids);
        self
    }

    /// How far an event time, or a jump of the wall clock, may lie ahead of the clocks before it is
    /// not believed: a time from beyond is taken as the latest that is. Default: 10 minutes.
    #[must_use]
    pub fn future_skew(mut self, skew: Duration) -> Builder {
        self.options.future_skew = skew;
        self
    }

    /// Refuses to open ([`Error::ClockJumped`]) when the wall clock stands further than this ahead
    /// of the last time the store knew. Default: any jump is obeyed, and reported by
    /// [`Store::recovery`].
    #[must_use]
    pub fn max_clock_jump(mut self, jump: Duration) -> Builder {
        self.options.max_clock_jump = Some(jump);
        self
    }

    /// How sealed runs are read. Default: [`ReadMode::Mapped`].
    #[must_use]
    pub fn read_mode(mut self, mode: ReadMode) -> Builder {
        self.options.read_mode = mode;
        self
    }

    /// How the log is written. Default: [`WriteMode::Positioned`].
    #[must_use]
    pub fn write_mode(mut self, mode: WriteMode) -> Builder {
        self.options.write_mode = mode;
        self
    }

    /// Whether a store is created where there is none. Default: yes.
    #[must_use]
    pub fn create(mut self, create: bool) -> Builder {
        self.options.create = create;
        self
    }

    /// Whether to open a store of which runs are missing. Their ids are unknown;
    /// [`Store::effective_window`] shrinks to what is known. Default: no, opening fails with
    /// [`Error::WindowIncomplete`].
    #[must_use]
    pub fn accept_incomplete(mut self, accept: bool) -> Builder {
        self.options.accept_incomplete = accept;
        self
    }

    /// Puts another storage underneath.
    #[cfg(any(test, feature = "testing"))]
    #[doc(hidden)]
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Builder {
        self.options.storage = storage;
        self
    }

    /// Takes the time from another clock.
    #[cfg(any(test, feature = "testing"))]
    #[doc(hidden)]
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Builder {
        self.options.clock = clock;
        self
    }

    /// Whether upkeep runs on a thread of the background, or only when a call needs it or asks for it.
    #[cfg(any(test, feature = "testing"))]
    #[doc(hidden)]
    #[must_use]
    pub fn background(mut self, background: bool) -> Builder {
        self.options.background = background;
        self
    }

    /// Opens the store in the folder `path`, creating it if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`], [`Error::Locked`], [`Error::NotAStore`], [`Error::Version`],
    /// [`Error::WindowIncomplete`], [`Error::ClockJumped`], [`Error::SetFull`], [`Error::Corrupt`] and I/O.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Store> {
        self.options.validate()?;
        Store::open_with(path.as_ref(), self.options)
    }
}

impl Options {
    /// The memory for tables and filters of a store that is alone.
    pub(crate) fn memory_budget(&self) -> u64 {
        self.memory_budget.unwrap_or(DEFAULT_MEMORY)
    }

    /// Refuses values outside their range.
    pub(super) fn validate(&self) -> Result<()> {
        let refuse = |option, reason: String| Err(Error::InvalidOption { option, reason });
        if let Some(window) = self.window
            && !(WINDOW_MIN..=WINDOW_MAX).contains(&window)
        {
            return refuse("window", format!("{window:?} is not within 1 ms and 1000 years"));
        }
        if self.future_skew > WINDOW_MAX {
            let skew = self.future_skew;
            return refuse("future_skew", format!("{skew:?} is more than 1000 years"));
        }
        if !(8..=64).contains(&self.generations) {
            return refuse("generations", format!("{} is not within 8 and 64", self.generations));
        }
        if !(8..=32).contains(&self.filter_bits_per_id) {
            let bits = self.filter_bits_per_id;
            return refuse("filter_bits_per_id", format!("{bits} is not within 8 and 32"));
        }
        if let Some(bytes) = self.memory_budget
            && bytes < SHARE_MIN
        {
            return refuse("memory_budget", format!("{bytes} bytes, under 16 MiB"));
        }
        if self.memory_budget.is_some() && self.set.is_some() {
            let reason = "the store takes its share of its set's; set one or the other";
            return refuse("memory_budget", reason.into());
        }
        if self.max_bytes.is_some_and(|bytes| bytes < MAX_BYTES_MIN) {
            return refuse("max_bytes", "under 32 MiB".into());
        }
        if self.active_ids == Some(0) {
            return refuse("active_ids", "0 ids; at least one".into());
        }
        if self.lease == Some(Duration::ZERO) {
            return refuse("lease", "a lease of zero ends before it begins".into());
        }
        if self.durability == Durability::Interval(Duration::ZERO) {
            return refuse("durability", "an interval of zero; use Sync".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_by_name() {
        let refused = |builder: Builder| match builder.options.validate() {
            Err(Error::InvalidOption { option, .. }) => option,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(Builder::default().window(Duration::ZERO)), "window");
        assert_eq!(refused(Builder::default().window(Duration::MAX)), "window");
        assert_eq!(refused(Builder::default().generations(1)), "generations");
        assert_eq!(refused(Builder::default().memory_budget(1)), "memory_budget");
        assert_eq!(refused(Builder::default().max_bytes(1)), "max_bytes");
        assert_eq!(refused(Builder::default().active_ids(0)), "active_ids");
        assert!(Builder::default().options.validate().is_ok());
    }
}
