//! Transactions: claim ids, work, and commit ids, progress, state and outcomes in one step.
//!
//! | module | what it is |
//! |---|---|
//! | `request` | what can be said of a claim before it is made |
//! | `begin` | which ids of a batch are free, and claiming them |
//! | `claim` | the transaction as its owner sees it |
//! | `settle` | commit, prepare, and the end of what was prepared |
//! | `prepared` | a transaction between the two halves of a two-phase commit |
//! | `positions` | how far the progress of a source may go |
//! | `fence` | numbers that only ever rise |
//! | `value` | what is kept with an id |
//! | `wait` | waiting until an id is no longer in flight |
//! | `process` | all of it as one call |

mod begin;
mod claim;
mod claiming;
mod fence;
mod positions;
mod prepared;
mod process;
mod request;
mod settle;
mod value;
mod wait;

#[cfg(all(test, loom))]
mod loom_tests;

use super::Store;
use super::core::Core;
use crate::claim::Mono;
use crate::error::Result;
use crate::log::Lsn;
use crate::state::State;
use crate::sync::lock;

pub use claim::{Claim, Fresh};
pub(crate) use fence::Fences;
pub(crate) use positions::Positions;
pub use prepared::Prepared;
pub use process::{ProcessError, Processed, Record, Step};
pub use request::ClaimBuilder;
pub(crate) use settle::{InDoubt, keep_values};
pub(crate) use value::tables;
pub use wait::{Resolution, Settlement};

impl Store {
    /// Claims those of the ids that are new, for a transaction. Others who present them are told
    /// [`Verdict::InFlight`](crate::Verdict) until it ends.
    ///
    /// [`Claim::verdicts`] says what each id is. Nothing is written: a claim that is dropped, or whose
    /// process dies, never was. Of one id that is presented inside its window by any number of claims
    /// and of [`Store::check_and_insert`], exactly one commits it.
    ///
    /// At most 65,536 ids; none is allowed, for a transaction of progress and state alone.
    ///
    /// # Errors
    ///
    /// Reading runs can fail; [`Error::Misuse`](crate::Error::Misuse) for more ids. Nothing is claimed then.
    pub fn begin<I: AsRef<[u8]>>(&self, ids: &[I]) -> Result<Claim> {
        self.claim().begin(ids)
    }

    /// Like [`Store::begin`], for records of a source with their positions, which ascend.
    ///
    /// Those below the source's progress are [`Verdict::Replay`](crate::Verdict): whoever reads again
    /// after a crash is not its own duplicate. The commit moves the progress behind the last record, but
    /// never past one that is not settled: in flight elsewhere, [released](Claim::release), or in another
    /// claim of the source that is still open, is prepared, or was given back. So reading on at [`Store::progress`]
    /// misses nothing, in whatever order claims end.
    ///
    /// # Errors
    ///
    /// As [`Store::begin`]; [`Error::Misuse`](crate::Error::Misuse) if positions do not ascend.
    ///
    /// ```
    /// use firstseen::{Store, Verdict};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let store = Store::open(dir.path().join("orders.seen"))?;
    /// store.begin_from("orders/3", &[(7, "a"), (8, "b")])?.commit()?;
    /// assert_eq!(store.progress("orders/3")?, Some(9));
    ///
    /// let tx = store.begin_from("orders/3", &[(8, "b"), (9, "c"), (10, "a")])?;
    /// assert!(matches!(tx.verdicts()[0], Verdict::Replay { progress: 9 }));
    /// assert!(matches!(tx.verdicts()[1], Verdict::New));
    /// assert!(matches!(tx.verdicts()[2], Verdict::Duplicate { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin_from<I: AsRef<[u8]>>(&self, source: &str, records: &[(u64, I)]) -> Result<Claim> {
        self.claim().begin_from(source, records)
    }

    /// A claim with more to be said of it: a lease, event time, payloads.
    pub fn claim(&self) -> ClaimBuilder<'_> {
        ClaimBuilder::new(self)
    }

    /// The committed progress of a source: the next position to read. `None` if there is none.
    ///
    /// What this and [`Store::state`] tell is as durable as the store's
    /// [`Durability`](crate::Durability) promises.
    ///
    /// # Errors
    ///
    /// If the store is closed or has failed.
    pub fn progress(&self, source: &str) -> Result<Option<u64>> {
        self.core().read_state(|state| state.progress(source))
    }

    /// All sources and their progress, by name.
    ///
    /// # Errors
    ///
    /// As [`Store::progress`].
    pub fn sources(&self) -> Result<Vec<(String, u64)>> {
        self.core().read_state(State::sources)
    }

    /// The committed value of a key of the state.
    ///
    /// # Errors
    ///
    /// As [`Store::progress`].
    pub fn state(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let found = self.core().read_state(|state| state.get(key.as_ref()))?;
        Ok(found.map(|(value, _)| value.to_vec()))
    }

    /// The committed keys that start with `prefix`, ascending, with their values: one moment of the
    /// state. It is copied: megabytes, not gigabytes.
    ///
    /// # Errors
    ///
    /// As [`Store::progress`].
    pub fn scan_state(&self, prefix: impl AsRef<[u8]>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let found = self.core().read_state(|state| state.scan(prefix.as_ref()))?;
        Ok(found.into_iter().map(|found| (found.key.to_vec(), found.value.to_vec())).collect())
    }

    /// The outcome that was committed with an id, for as long as the id is remembered. `None` if it
    /// is not, or has none.
    ///
    /// # Errors
    ///
    /// Reading runs can fail.
    pub fn outcome(&self, id: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let core = self.core();
        let value = core.value(core.identity.fingerprint(id.as_ref()), core.clock.now())?;
        Ok(value.and_then(|value| value.outcome).map(|outcome| outcome.to_vec()))
    }

    /// What was prepared and is neither committed nor aborted, by token; of this opening and of
    /// earlier ones. After a crash, ask the other system whether it has each token.
    ///
    /// That includes what somebody is carrying out right now, of which the other system's "no" is not
    /// final. So ask before work begins, or settle only tokens whose owner is known to be gone.
    #[must_use]
    pub fn in_doubt(&self) -> Vec<Prepared> {
        let state = lock(&self.core().state);
        state.in_doubt().map(|data| Prepared::new(self.clone(), data)).collect()
    }
}

/// The committed state, and up to where it rests on the log.
#[derive(Debug)]
pub(crate) struct LoggedState {
    state: State,
    /// Behind the last frame that changed it.
    lsn: Lsn,
}

impl LoggedState {
    /// A state that rests on nothing of this opening's log.
    pub(crate) fn new(state: State) -> LoggedState {
        LoggedState { state, lsn: Lsn::default() }
    }

    /// Behind the last frame that changed it.
    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// Lets a frame that was staged change it.
    fn change<R>(&mut self, lsn: Lsn, change: impl FnOnce(&mut State) -> R) -> R {
        self.lsn = lsn;
        change(&mut self.state)
    }
}

impl std::ops::Deref for LoggedState {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl Core {
    /// Looks at the committed state, once what is seen is as durable as promised.
    pub(crate) fn read_state<R>(&self, read: impl FnOnce(&State) -> R) -> Result<R> {
        self.check_usable()?;
        let (found, lsn) = {
            let state = lock(&self.state);
            (read(&state), state.lsn)
        };
        self.acknowledge(lsn)?;
        Ok(found)
    }

    /// Time by which leases are measured.
    pub(crate) fn monotonic(&self) -> Mono {
        Mono::now(&*self.options.clock)
    }

    /// The same, for a call that may have no use for it.
    pub(crate) fn monotonic_if(&self, wanted: bool) -> Mono {
        if wanted { self.monotonic() } else { Mono::NEVER }
    }
}
