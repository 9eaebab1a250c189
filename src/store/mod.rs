//! The store: its handle, its calls, and what goes on behind them.
//!
//! | module | what it is |
//! |---|---|
//! | `options` | what can be chosen at opening |
//! | `open`, `recover` | opening and recovery, in numbered steps |
//! | `call` | the way of one call |
//! | `catch_up` | what was done elsewhere, told to a store that missed it |
//! | `transaction` | claims, and what is committed with their ids |
//! | `rotation` | making room: log space, a fresh table, the next generation |
//! | `pace` | how callers are slowed down while upkeep is behind |
//! | `running` | an open store, up to its closing |
//! | `upkeep` | seal, expire, merge, refresh, and keeping to the share of memory |
//! | `pool`, `crew` | the threads that do them |
//! | `set`, `budget` | stores that share threads and memory; the sizes that follow from a share |
//! | `layout` | what a folder holds, read as it stands |
//! | `state_file` | the state on disk, and the room that is set aside for it |
//! | `catalog` | how a change of the live files becomes durable |
//! | `chain` | which segments belong to the log |
//! | `forget` | forgetting ids on demand |
//! | `core`, `bell`, `counters`, `stats`, `metrics` | what they share, and what is told of it |

mod bell;
mod budget;
mod call;
pub(crate) mod catalog;
mod catch_up;
pub(crate) mod chain;
pub(crate) mod core;
mod counters;
mod crew;
mod forget;
pub(crate) mod layout;
#[cfg(feature = "metrics")]
mod metrics;
mod open;
pub(crate) mod options;
mod pace;
pub(crate) mod pool;
mod recover;
mod rotation;
mod running;
mod set;
mod state_file;
mod stats;
pub(crate) mod transaction;
pub(crate) mod upkeep;
#[cfg(test)]
mod values_tests;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::budget::Budget;
use self::options::Options;
use crate::error::{Error, Result};
use crate::log::Need;
use crate::time::Timestamp;
use crate::verdict::Verdict;

use self::call::{Call, Moments, Scratch};
pub use self::catch_up::{CatchUp, Past};
pub use self::open::{ClockCheck, Recovery};
pub use self::options::Builder;
use self::running::Running;
pub use self::set::{SetBuilder, SetStats, StoreSet};
pub use self::stats::Stats;
pub use self::transaction::{
    Claim, ClaimBuilder, Fresh, Prepared, ProcessError, Processed, Record, Resolution, Settlement,
    Step,
};

thread_local! {
    /// Memory for this thread's calls, so that a call allocates nothing once it is warm.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A durable, exact set of the ids that were seen inside a time window.
///
/// A `Store` is a handle: cloning it is cheap, and all clones, on any threads, are one store. The
/// folder is locked while any handle lives.
///
/// # What is promised
///
/// * Of all calls that ever present one id inside its window, exactly one is told
///   [`Verdict::New`], across threads, batch sizes and reopens.
/// * A new id is never called a duplicate, but for a collision of 128 bits: below N²/2¹²⁹ for N ids.
/// * An acknowledged id is remembered for at least the window; what "acknowledged" survives is the
///   [`Durability`](crate::Durability)'s to say.
/// * A call that fails has inserted nothing; a long one that fails half-way says how far it came, and
///   gives the verdicts up to there ([`Error::Interrupted`]).
///
/// # What is not
///
/// `check_and_insert` marks an id as seen *before* the caller has done its work. A caller that dies
/// in between finds a duplicate when it retries. [`Store::begin`] is the answer to that.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use firstseen::{Store, Verdict};
///
/// let store = Store::open(dir.path().join("orders.seen"))?;
/// let orders = ["order-1", "order-2", "order-1"];
/// let verdicts = store.check_and_insert(&orders)?;
/// assert!(verdicts[0].is_new() && verdicts[1].is_new());
/// assert!(verdicts[2].is_duplicate());
/// # store.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    running: Arc<Running>,
}

impl Store {
    /// Opens the store in the folder `path` with default options, creating it if there is none.
    ///
    /// # Errors
    ///
    /// As [`Builder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Store> {
        Store::builder().open(path)
    }

    /// Options for opening a store.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn open_with(dir: &Path, options: Options) -> Result<Store> {
        let mut options = options;
        // Kept while the store is open, and no longer.
        let membership = options.set.take().map(|set| set.admit()).transpose()?;
        let budget = match &membership {
            Some(membership) => membership.budget(),
            None => Budget::alone(options.memory_budget()),
        };
        let core = core::Core::open(dir, options, budget)?;
        Ok(Store { running: Arc::new(Running::start(core, membership)?) })
    }

    /// Says of each id whether it was seen inside the window, and remembers those that were not.
    /// Verdicts are in the order of the ids; of an id that is twice in the batch the first wins.
    ///
    /// Ids are judged at the time of the call, with [`TimeSource::Event`](crate::TimeSource::Event)
    /// at the latest event time so far.
    ///
    /// An id is marked before the caller has done its work: whoever dies in between has lost the
    /// message. Where that matters use [`Store::begin`]. Ids that are claimed there are
    /// [`Verdict::InFlight`] here.
    ///
    /// # Errors
    ///
    /// [`Error::DiskFull`] and I/O. On any error but [`Error::Interrupted`] nothing was inserted.
    /// Calls of more than 65,536 ids are settled in pieces; [`Error::Interrupted`] has the verdicts of
    /// those that were.
    pub fn check_and_insert<I: AsRef<[u8]>>(&self, ids: &[I]) -> Result<Vec<Verdict>> {
        let mut out = Vec::with_capacity(ids.len());
        let settled = self.check_and_insert_into(ids, &mut out);
        with_verdicts(settled, out)
    }

    /// Like [`Store::check_and_insert`], into a vector that is cleared first: no allocation where it
    /// is large enough.
    ///
    /// # Errors
    ///
    /// As [`Store::check_and_insert`]; on [`Error::Interrupted`], `out` has the verdicts that stand.
    pub fn check_and_insert_into<I: AsRef<[u8]>>(
        &self,
        ids: &[I],
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        self.call(ids, None, out, core::Core::insert)
    }

    /// Like [`Store::check_and_insert`], for ids of events that all happened at `event_time`.
    ///
    /// If `event_time` lies before the window, all are [`Verdict::Late`]. With
    /// [`TimeSource::Event`](crate::TimeSource::Event) it moves store time.
    ///
    /// # Errors
    ///
    /// As [`Store::check_and_insert`].
    pub fn check_and_insert_at<I: AsRef<[u8]>>(
        &self,
        ids: &[I],
        event_time: Timestamp,
    ) -> Result<Vec<Verdict>> {
        let mut out = Vec::with_capacity(ids.len());
        let times = vec![event_time; ids.len()];
        let settled = self.check_and_insert_timed_into(ids, &times, &mut out);
        with_verdicts(settled, out)
    }

    /// Like [`Store::check_and_insert_into`], for ids of events that happened at `times`.
    ///
    /// The verdicts do not depend on how ids are cut into calls: each is judged at the latest time
    /// presented up to it.
    ///
    /// # Errors
    ///
    /// As [`Store::check_and_insert_into`], and [`Error::Misuse`] if there are not as many times as
    /// ids. A call whose times cross the end of a generation is settled in pieces.
    pub fn check_and_insert_timed_into<I: AsRef<[u8]>>(
        &self,
        ids: &[I],
        times: &[Timestamp],
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        self.call(ids, Some(times), out, core::Core::insert)
    }

    /// The verdicts that [`Store::check_and_insert_into`] would give, inserting nothing.
    ///
    /// # Errors
    ///
    /// Reading runs can fail.
    pub fn check<I: AsRef<[u8]>>(&self, ids: &[I], out: &mut Vec<Verdict>) -> Result<()> {
        self.call(ids, None, out, core::Core::look_in_order)
    }

    /// The verdicts that [`Store::check_and_insert_timed_into`] would give, inserting nothing.
    ///
    /// # Errors
    ///
    /// Reading runs can fail; [`Error::Misuse`] if there are not as many times as ids.
    pub fn check_timed<I: AsRef<[u8]>>(
        &self,
        ids: &[I],
        times: &[Timestamp],
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        self.call(ids, Some(times), out, core::Core::look_in_order)
    }

    /// Says of each id whether it is remembered. Inserts nothing.
    ///
    /// # Errors
    ///
    /// Reading runs can fail.
    pub fn contains<I: AsRef<[u8]>>(&self, ids: &[I]) -> Result<Vec<bool>> {
        let mut out = Vec::with_capacity(ids.len());
        self.call(ids, None, &mut out, core::Core::look)?;
        Ok(out.iter().map(Verdict::is_duplicate).collect())
    }

    /// Forgets ids, so that the next call with one of them is told [`Verdict::New`]. Returns how
    /// many of them were remembered.
    ///
    /// Meant for the exception: up to about a million ids within a window, each kept in memory until
    /// its window has passed.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] beyond that number, [`Error::DiskFull`] and I/O. On an error nothing was
    /// forgotten.
    pub fn forget<I: AsRef<[u8]>>(&self, ids: &[I]) -> Result<u64> {
        self.with_scratch(|scratch| {
            let mut fingerprints = std::mem::take(&mut scratch.fingerprints);
            self.core().identity.fingerprint_batch(ids, &mut fingerprints);
            let forgotten = self.core().forget(&fingerprints, scratch);
            scratch.fingerprints = fingerprints;
            forgotten
        })
    }

    /// Makes everything that was acknowledged durable.
    ///
    /// # Errors
    ///
    /// If it fails, the store refuses work until it is reopened.
    pub fn sync(&self) -> Result<()> {
        let core = self.core();
        core.check_usable()?;
        core.log.wait(core.log.staged(), Need::Synced)
    }

    /// Turns all ids in memory into runs.
    ///
    /// # Errors
    ///
    /// [`Error::DiskFull`] and I/O.
    pub fn seal(&self) -> Result<()> {
        let core = self.core();
        core.check_usable()?;
        core.seal_active()
    }

    /// Seals, expires and merges all there is, and rebuilds the filter where that is due. Takes as
    /// long as it takes; calls go on meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::DiskFull`] and I/O.
    pub fn compact(&self) -> Result<()> {
        let core = self.core();
        core.check_usable()?;
        // First what frees space: a full disk would refuse the rest.
        core.free_expired()?;
        core.seal_active()?;
        let mut upkeep = core.hold_upkeep();
        core.check_usable()?;
        upkeep.run_dry(core)
    }

    /// Counts, sizes and times.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let stats = self.core().stats();
        #[cfg(feature = "metrics")]
        metrics::publish(&self.core().dir, &stats);
        stats
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.core().recovery
    }

    /// How long an id is remembered, as the store was opened.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.core().window
    }

    /// How far back everything that was seen is still known: the window, or less where a cap on
    /// disk space, missing runs or a window that was made longer have cut it.
    #[must_use]
    pub fn effective_window(&self) -> Duration {
        let core = self.core();
        match core.complete_since() {
            Timestamp::MIN => core.window,
            since => core.window.min(core.clock.now() - since),
        }
    }

    /// Closes the store for all its handles: everything is written and synced, the folder is
    /// unlocked. Dropping the last handle does the same, without a word about errors.
    ///
    /// # Errors
    ///
    /// I/O. What was acknowledged is as durable as promised even then.
    pub fn close(self) -> Result<()> {
        self.running.close()
    }

    pub(crate) fn core(&self) -> &core::Core {
        self.running.core()
    }

    fn with_scratch<R>(&self, f: impl FnOnce(&mut Scratch) -> R) -> R {
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => f(&mut scratch),
            // The ids' own `as_ref` called the store.
            Err(_) => f(&mut Scratch::default()),
        })
    }

    fn call<I: AsRef<[u8]>>(
        &self,
        ids: &[I],
        times: Option<&[Timestamp]>,
        out: &mut Vec<Verdict>,
        settle: impl Fn(&core::Core, Call<'_>, &mut Scratch, &mut Vec<Verdict>) -> Result<()>,
    ) -> Result<()> {
        let core = self.core();
        out.clear();
        core.check_usable()?;
        if let Some(times) = times
            && times.len() != ids.len()
        {
            let (ids, times) = (ids.len(), times.len());
            return Err(Error::Misuse(format!("{times} event times for {ids} ids; give one each")));
        }
        self.with_scratch(|scratch| {
            let mut fingerprints = std::mem::take(&mut scratch.fingerprints);
            core.identity.fingerprint_batch(ids, &mut fingerprints);
            let mut each = std::mem::take(&mut scratch.moments);
            let moments = match times {
                Some(times) => {
                    core.judge_times(times, &mut each);
                    Moments::Each(&each)
                }
                None => Moments::Same(core.clock.now()),
            };
            let call = Call { ids: &fingerprints, moments };
            let settled = settle(core, call, scratch, out);
            scratch.fingerprints = fingerprints;
            scratch.moments = each;
            settled
        })
    }
}

/// The verdicts of a call, also with the error of one that was interrupted.
fn with_verdicts(settled: Result<()>, out: Vec<Verdict>) -> Result<Vec<Verdict>> {
    match settled {
        Ok(()) => Ok(out),
        Err(Error::Interrupted { settled, source, .. }) => {
            Err(Error::Interrupted { settled, verdicts: out, source })
        }
        Err(error) => Err(error),
    }
}
