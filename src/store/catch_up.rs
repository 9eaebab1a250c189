//! Catching up: a store learns from a record of what was done elsewhere while it was not there.
//!
//! The store is open for this alone. Store time follows what it is told, whatever it follows else, so ids
//! get the ticks in which they were done, and generations rotate, seal and expire as the past goes by.
//! What is told goes the way of every call that inserts, with three differences:
//!
//! * A record of an id does not count where the id was done a window after it, to the tick's start: it was
//!   let in anew then. Ticks here do not start where those of the store that did it started.
//! * Nothing is asked of claims: what is in doubt here and was done is done.
//! * What was done before the id was told to be forgotten is left out.
//!
//! # Never taken for complete
//!
//! From before the first id is added until the end, manifests say `CATCHING_UP` in the place of the time
//! from which on the store is complete. The end is one manifest: it is written once everything that was
//! added is durable, and has the time. Whoever opens a store in between knows all from that opening on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::call::PIECE_MAX;
use super::core::Core;
use super::options::Options;
use super::{Builder, Store};
use crate::config::TimeSource;
use crate::error::{Error, Result};
use crate::format::manifest::CATCHING_UP;
use crate::state::Changes;
use crate::sync::{AtomicBool, Ordering};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// How many sources get their progress in one commit, far below what a commit can bring.
const SOURCES_MAX: usize = 4096;

/// A message that was processed: see [`CatchUp::add`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past<'a> {
    /// The id under which it was processed.
    pub id: &'a [u8],
    /// When it was done.
    pub time: Timestamp,
    /// Its position in the source that it was read from.
    pub position: u64,
}

impl AsRef<[u8]> for Past<'_> {
    fn as_ref(&self) -> &[u8] {
        self.id
    }
}

/// What a store knew when a catch-up began.
#[derive(Debug)]
pub(crate) struct Begun {
    /// From when on it was complete; [`CATCHING_UP`] if it was not known.
    before: Timestamp,
    /// Up to when it knew everything that had been done; `Timestamp::MIN` if it did not.
    known_until: Timestamp,
    /// What its time follows but for now.
    source: TimeSource,
    finished: AtomicBool,
}

impl Begun {
    /// A catch-up of a store that was complete since `before`, and whose time stood at `high_water`.
    pub(crate) fn new(before: Timestamp, high_water: Timestamp, source: TimeSource) -> Begun {
        // What was added by one that did not finish has gaps, up to its latest time.
        let known_until = if before == CATCHING_UP { Timestamp::MIN } else { high_water };
        Begun { before, known_until, source, finished: AtomicBool::new(false) }
    }

    /// Whether it has not finished.
    pub(crate) fn is_under_way(&self) -> bool {
        // Whoever sees it finished sees since when the store is complete.
        !self.finished.load(Ordering::Acquire)
    }

    /// From when on the store is complete once everything that was done from `since` on was added. Where that
    /// joins what it knew before, that counts too.
    fn complete_since(&self, since: Timestamp) -> Timestamp {
        if since <= self.known_until { since.min(self.before) } else { since }
    }
}

/// A store that learns what was done while it was not there: made by [`Builder::catch_up`].
///
/// When a partition moves to another machine, its store may be missing there, or be restored from a checkpoint
/// of some time ago. What was done since is on record elsewhere: the output topic has id, time and position of
/// each message that was processed. Add these, about in the order of their times, then
/// [finish](CatchUp::finish).
///
/// # What is promised
///
/// * An id expires a window after it *was done*, exact to a tick, not a window after it was added.
/// * An id that the store knows stays as it is.
/// * The progress of a source becomes one past the highest position that was added, and never goes back.
/// * **Incomplete is never taken for complete.** Until [`CatchUp::finish`] has returned, the folder says of
///   itself that it has gaps, also after a crash at any moment. Opened so, the store's
///   [`effective_window`](Store::effective_window) begins at zero with that opening, and
///   [`Recovery::catch_up_abandoned`](crate::Recovery::catch_up_abandoned) tells why.
///
/// # What is not
///
/// State, outcomes and payloads are not on that record and are not rebuilt. Ids are told as of the record's
/// clock: where it is not the store's, begin as much earlier as the two may differ.
///
/// A catch-up that is dropped, or whose process dies, is *abandoned*. Begin again from the checkpoint or an empty
/// folder. Or catch up once more in the same folder, and add everything that was done inside the window: what the
/// abandoned one has added does no harm, but is not relied on.
///
/// ```
/// use std::time::Duration;
/// use firstseen::{Past, Store, Timestamp};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders-3.seen");
/// let day = Duration::from_secs(24 * 3600);
/// let mut catch_up = Store::builder().window(day).catch_up(&path)?;
/// let since = catch_up.needed_since(); // where to begin reading the record
///
/// let time = Timestamp::now() - day / 2;
/// catch_up.add("orders/3", &[Past { id: b"order-1", time, position: 41 }])?;
/// let store = catch_up.finish(since)?;
///
/// assert_eq!(store.progress("orders/3")?, Some(42));
/// assert!(store.check_and_insert(&["order-1"])?[0].is_duplicate()); // for half a day more
/// assert_eq!(store.effective_window(), day);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a catch-up that is dropped leaves a store with gaps"]
pub struct CatchUp {
    store: Store,
    dir: PathBuf,
    /// For the store that it becomes.
    options: Options,
    /// One past the highest position of each source.
    progress: BTreeMap<String, u64>,
    /// Kept from call to call.
    times: Vec<Timestamp>,
    verdicts: Vec<Verdict>,
}

impl Builder {
    /// Opens the store in the folder `path`, creating it if there is none, to tell it what was done while it
    /// was not there: see [`CatchUp`]. From now on, and until that has finished, the folder says of itself that it
    /// has gaps.
    ///
    /// [`Builder::max_clock_jump`] is asked when the store is opened for use, at the end.
    ///
    /// # Errors
    ///
    /// As [`Builder::open`].
    pub fn catch_up(self, path: impl AsRef<Path>) -> Result<CatchUp> {
        self.options.validate()?;
        let (dir, options) = (path.as_ref().to_path_buf(), self.options);
        let store = Store::open_with(&dir, Options { catching_up: true, ..options.clone() })?;
        let (progress, times, verdicts) = Default::default();
        Ok(CatchUp { store, dir, options, progress, times, verdicts })
    }
}

impl CatchUp {
    /// From when on everything that was done must be added, so that the store knows all of its window: a window
    /// ago, or, where it was complete up to a later time, from then on. It is
    /// [`Builder::future_skew`] earlier than that time, for records that were stamped by another clock, or before
    /// their work was committed. With [`TimeSource::Event`], of which nobody can say where it will stand, a store
    /// that knows nothing needs everything.
    #[must_use]
    pub fn needed_since(&self) -> Timestamp {
        let (core, begun) = (self.store.core(), self.begun());
        let known = begun.known_until - core.options.future_skew;
        match begun.source {
            TimeSource::System => known.max(core.clock.believed_wall() - core.window),
            TimeSource::Event => known,
        }
    }

    /// How long the store remembers an id.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.store.window()
    }

    /// The progress of a source when the catch-up began: what was processed below it is known, if nothing
    /// was abandoned before.
    ///
    /// # Errors
    ///
    /// If the store has failed.
    pub fn progress(&self, source: &str) -> Result<Option<u64>> {
        self.store.progress(source)
    }

    /// Adds messages of `source` that were processed, in batches of any size. Returns how many ids were not known.
    ///
    /// Best in the order of their times. One that is out of order counts as done at the latest time so far, so it
    /// is remembered longer, never shorter; one that lies a window before that has expired and is left out.
    ///
    /// That the position counts says that all before it is done. Where records may be done out of their turn, use
    /// [`CatchUp::add_ids`] and [`CatchUp::set_progress`].
    ///
    /// A time after the wall clock's now is taken as now; with [`TimeSource::Event`], one further ahead than
    /// [`Builder::future_skew`] is taken as that limit.
    ///
    /// # Errors
    ///
    /// [`Error::DiskFull`] and I/O: the same batch can be added again. [`Error::Refused`] if the source can have no
    /// progress: for its name, of 1 to 1024 bytes, or because a prepared transaction of the store holds it, which is
    /// to be settled first.
    pub fn add(&mut self, source: &str, done: &[Past<'_>]) -> Result<u64> {
        self.check_source(source)?;
        let added = self.add_each(done, |i| done[i].time)?;
        if let Some(last) = done.iter().map(|past| past.position).max() {
            self.raise(source, last.saturating_add(1));
        }
        Ok(added)
    }

    /// Like [`CatchUp::add`], for ids that have no position in a source, done at `times`.
    ///
    /// # Errors
    ///
    /// As [`CatchUp::add`]; [`Error::Misuse`] if there are not as many times as ids.
    pub fn add_ids<I: AsRef<[u8]>>(&mut self, ids: &[I], times: &[Timestamp]) -> Result<u64> {
        if times.len() != ids.len() {
            let (ids, times) = (ids.len(), times.len());
            return Err(Error::Misuse(format!("{times} times for {ids} ids; give one each")));
        }
        self.add_each(ids, |i| times[i])
    }

    /// Says that a source was read up to `next`, the next position to read, though the last records of it may have
    /// left no trace. What is lower than the store's progress, or than what was added, changes nothing.
    ///
    /// # Errors
    ///
    /// As [`CatchUp::add`], of the source.
    pub fn set_progress(&mut self, source: &str, next: u64) -> Result<()> {
        self.check_source(source)?;
        self.raise(source, next);
        Ok(())
    }

    /// Ends the catch-up and opens the store for use; its time is the wall clock's again, or that of the events.
    /// `since`: everything that was done from then on was added. Ids and progress are durable when it returns.
    ///
    /// The store's [`effective_window`](Store::effective_window) is the time since `since`, at most the window. Where
    /// `since` is not later than what the store knew when the catch-up began, as after a restored checkpoint, what it
    /// knew counts too: with [`CatchUp::needed_since`] it is the whole window.
    ///
    /// # Errors
    ///
    /// As [`CatchUp::add`], and as [`Builder::open`]. If it fails, the folder holds either what the catch-up has made
    /// of it, complete, or a store that says that it has gaps; opening it tells.
    pub fn finish(self, since: Timestamp) -> Result<Store> {
        let CatchUp { store, dir, options, progress, .. } = self;
        let progress: Vec<_> = progress.into_iter().collect();
        for sources in progress.chunks(SOURCES_MAX) {
            commit_progress(&store, sources)?;
        }
        // Before any manifest says that the store is complete.
        store.sync()?;
        let core = store.core();
        let begun = begun_of(core);
        let complete_since = begun.complete_since(since).as_micros();
        core.complete_since.fetch_max(complete_since, Ordering::Relaxed);
        begun.finished.store(true, Ordering::Release);
        // The manifest that closing writes is the end of it.
        store.close()?;
        Store::open_with(&dir, options)
    }

    fn begun(&self) -> &Begun {
        begun_of(self.store.core())
    }

    /// Adds ids piece by piece, so that memory is bounded.
    fn add_each<I: AsRef<[u8]>>(
        &mut self,
        ids: &[I],
        time: impl Fn(usize) -> Timestamp,
    ) -> Result<u64> {
        let Self { store, times, verdicts, .. } = self;
        let core = store.core();
        let mut added = 0;
        for (piece, ids) in ids.chunks(PIECE_MAX).enumerate() {
            let latest = match begun_of(core).source {
                // Nothing can have been done after now, and store time is the wall clock's again in the end.
                TimeSource::System => core.clock.believed_wall(),
                TimeSource::Event => Timestamp::MAX,
            };
            let first = piece * PIECE_MAX;
            times.clear();
            times.extend((first..first + ids.len()).map(|i| time(i).min(latest)));
            let settled = store.check_and_insert_timed_into(ids, times, verdicts);
            // What stands does no harm when it is added again.
            settled.map_err(|error| match error {
                Error::Interrupted { source, .. } => *source,
                error => error,
            })?;
            added += verdicts.iter().filter(|verdict| verdict.is_new()).count() as u64;
        }
        Ok(added)
    }

    /// Refuses a source that could not be given progress in the end.
    fn check_source(&self, source: &str) -> Result<()> {
        if self.progress.contains_key(source) {
            return Ok(());
        }
        let checked = self.store.core().read_state(|state| {
            let mut changes = Changes::default();
            changes.set_progress(source, state.progress(source).unwrap_or(0));
            state.check(&changes, 0, None)
        })?;
        Ok(checked?)
    }

    fn raise(&mut self, source: &str, next: u64) {
        match self.progress.get_mut(source) {
            Some(progress) => *progress = next.max(*progress),
            None => drop(self.progress.insert(source.to_owned(), next)),
        }
    }
}

fn begun_of(core: &Core) -> &Begun {
    core.catch_up.as_ref().expect("the store was opened to catch up")
}

/// Sets the progress of sources, where it goes on.
fn commit_progress(store: &Store, sources: &[(String, u64)]) -> Result<()> {
    let mut tx = store.begin::<&[u8]>(&[])?;
    for (source, next) in sources {
        if store.progress(source)?.is_none_or(|progress| progress < *next) {
            tx.set_progress(source, *next);
        }
    }
    tx.commit()
}
