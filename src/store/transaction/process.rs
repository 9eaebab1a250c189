//! The right thing as one call: present, work, commit.

use std::fmt;

use super::super::Store;
use super::super::call::PIECE_MAX;
use super::claim::Claim;
use crate::error::{Error, Result};
use crate::verdict::Verdict;

/// A record of a source: something with a position and an id.
pub trait Record {
    /// Its position in the source; records of one call ascend.
    fn position(&self) -> u64;
    /// Its id.
    fn id(&self) -> &[u8];
}

impl<I: AsRef<[u8]>> Record for (u64, I) {
    fn position(&self) -> u64 {
        self.0
    }

    fn id(&self) -> &[u8] {
        self.1.as_ref()
    }
}

impl<R: Record + ?Sized> Record for &R {
    fn position(&self) -> u64 {
        (**self).position()
    }

    fn id(&self) -> &[u8] {
        (**self).id()
    }
}

/// One record's part of a transaction: see [`Claim::attempt`] and [`Store::process_once`].
#[derive(Debug)]
pub struct Step<'a> {
    claim: &'a mut Claim,
    index: usize,
}

impl Step<'_> {
    /// Remembers an outcome with the record's id: see [`Claim::set_outcome`].
    pub fn set_outcome(&mut self, outcome: impl Into<Vec<u8>>) {
        self.claim.set_outcome(self.index, outcome);
    }

    /// The value of a key, with what this and earlier records put: see [`Claim::state`].
    ///
    /// # Errors
    ///
    /// As [`Claim::state`].
    pub fn state(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.claim.state(key)
    }

    /// Puts a value into the state: see [`Claim::put_state`].
    pub fn put_state(&mut self, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.claim.put_state(key, value);
    }

    /// Deletes a key of the state.
    pub fn delete_state(&mut self, key: impl AsRef<[u8]>) {
        self.claim.delete_state(key);
    }

    /// The fencing token of the transaction: see [`Claim::token`].
    #[must_use]
    pub fn token(&self) -> u64 {
        self.claim.token()
    }
}

impl Claim {
    /// Lets `work` do the part of id `i`, one of the [fresh](Claim::fresh) ones. If it fails, what it changed
    /// is undone and the id is [released](Claim::release); the rest of the transaction stands.
    ///
    /// # Errors
    ///
    /// What `work` says.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let store = firstseen::Store::open(dir.path().join("orders.seen"))?;
    /// let mut tx = store.begin(&["order-1", "order-2"])?;
    /// for i in tx.fresh() {
    ///     let worked = tx.attempt(i, |step| {
    ///         step.put_state("last", [i as u8]);
    ///         if i == 1 { Err("out of stock") } else { Ok(()) }
    ///     });
    ///     assert_eq!(worked.is_err(), i == 1);
    /// }
    /// tx.commit()?;
    /// assert_eq!(store.state("last")?, Some(vec![0]));
    /// assert_eq!(store.contains(&["order-1", "order-2"])?, [true, false]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attempt<E>(
        &mut self,
        i: usize,
        work: impl FnOnce(&mut Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let worked = self.undo_if(|claim| work(&mut Step { claim, index: i }));
        if worked.is_err() {
            self.release(i);
        }
        worked
    }
}

/// What [`Store::process_once`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Processed {
    /// A verdict for each record; [`Verdict::New`] for those that were worked on.
    pub verdicts: Vec<Verdict>,
    /// The source's progress after it.
    pub progress: Option<u64>,
}

/// Why [`Store::process_once`] stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProcessError<E> {
    /// The work on a record failed. What came before it is committed, its own changes are undone, and it
    /// and those after it are let in when they come again.
    Work {
        /// The index of the record among those of the call.
        index: usize,
        /// What the work said.
        source: E,
    },
    /// The store failed or refused. Nothing of the batch that it stopped in is kept, unless it is
    /// [`Error::OutcomeUnknown`]; batches of the call before that one are.
    Store(Error),
}

impl<E> From<Error> for ProcessError<E> {
    fn from(error: Error) -> ProcessError<E> {
        ProcessError::Store(error)
    }
}

impl<E: fmt::Display> fmt::Display for ProcessError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessError::Work { index, source } => {
                write!(
                    f,
                    "the work on record {index} failed: {source}; what came before is committed"
                )
            }
            ProcessError::Store(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for ProcessError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ProcessError::Work { source, .. } => Some(source),
            ProcessError::Store(error) => Some(error),
        }
    }
}

impl Store {
    /// Works on the new ones of a source's records, each once, and commits ids, progress, state and
    /// outcomes together.
    ///
    /// For each record that is new `work` is called, in order, with its part of the transaction. Then
    /// all is committed in one step, and the progress of the source moves behind the last record.
    ///
    /// * **An error of `work`** ends the call at that record: what it changed is undone, what came before
    ///   is committed with the progress up to it, and the error is returned with its index. Read on
    ///   from [`Store::progress`].
    /// * **A panic of `work`** rolls the whole batch back: nothing of it is committed.
    /// * **A crash** leaves all of a batch or nothing.
    /// * **Records in flight** elsewhere are not worked on, and the progress stops before the first of
    ///   them, though later ones are committed: they are duplicates when they come again.
    ///
    /// So effects in the store's own state happen once. An effect elsewhere that `work` makes is
    /// made again after a panic, a crash, or a commit that failed: let it bear that, by the fencing
    /// token or an idempotency key, or use [`Claim::prepare`].
    ///
    /// More than 65,536 records are worked on in several batches, each committed.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Work`] if `work` failed; [`ProcessError::Store`] as [`Store::begin_from`] and
    /// [`Claim::commit`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let store = firstseen::Store::open(dir.path().join("orders.seen"))?;
    /// let records = [(0, "order-1"), (1, "order-2"), (2, "order-1")];
    /// for _ in 0..2 { // as after a crash: everything comes again
    ///     store.process_once("orders", &records, |step, _record| {
    ///         let total = step.state(b"total")?.map_or(0, |bytes| bytes[0]);
    ///         step.put_state(b"total", [total + 1]);
    ///         Ok::<_, firstseen::Error>(())
    ///     })?;
    /// }
    /// assert_eq!(store.state(b"total")?, Some(vec![2]));
    /// assert_eq!(store.progress("orders")?, Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn process_once<R: Record, E>(
        &self,
        source: &str,
        records: &[R],
        mut work: impl FnMut(&mut Step<'_>, &R) -> Result<(), E>,
    ) -> Result<Processed, ProcessError<E>> {
        let mut verdicts = Vec::with_capacity(records.len());
        for batch in records.chunks(PIECE_MAX) {
            let before = verdicts.len();
            let pairs: Vec<_> = batch.iter().map(|r| (r.position(), r.id())).collect();
            let mut claim = self.begin_from(source, &pairs)?;
            verdicts.extend_from_slice(claim.verdicts());
            let mut failed = None;
            for index in claim.fresh() {
                if failed.is_some() {
                    claim.release(index);
                    continue;
                }
                let worked = claim.attempt(index, |step| work(step, &batch[index]));
                if let Err(error) = worked {
                    failed = Some((before + index, error));
                }
            }
            claim.commit()?;
            if let Some((index, source)) = failed {
                return Err(ProcessError::Work { index, source });
            }
        }
        Ok(Processed { verdicts, progress: self.progress(source)? })
    }
}
