//! A transaction over claimed ids, as its owner sees it.

use std::time::Duration;

use super::super::Store;
use super::super::call::Call;
use super::begin::Claimed;
use super::positions::{Records, Span};
use super::prepared::Prepared;
use super::settle::Brought;
use crate::claim::Ticket;
use crate::error::{Error, Result};
use crate::key::Fingerprint;
use crate::planted::{Bug, planted};
use crate::state::Changes;
use crate::sync::{Arc, lock};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// Ids that were claimed, and what shall be remembered with them: a transaction.
///
/// Nothing is written until [`Claim::commit`], which writes all of it in one step: the ids that were
/// [fresh](Claim::fresh), the progress of sources, changes of the state, outcomes. Until then
/// others who present the ids are told [`Verdict::InFlight`]. Dropped or [aborted](Claim::abort), the
/// claim is gone, nothing was written, and the ids are let in when they come again.
///
/// A claim owns what it needs and can be held across threads and calls; it keeps the store open. It is
/// made by [`Store::begin`], [`Store::begin_from`] and [`Store::claim`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # fn work(_: &str) -> Result<Vec<u8>, std::io::Error> { Ok(b"receipt".to_vec()) }
/// let store = firstseen::Store::open(dir.path().join("orders.seen"))?;
/// let orders = ["order-1", "order-2"];
///
/// let mut tx = store.begin(&orders)?;
/// for i in tx.fresh() {
///     let receipt = work(orders[i])?; // an error here drops `tx`: the retry is let in
///     tx.set_outcome(i, receipt);
/// }
/// tx.put_state(b"orders", 2_u64.to_le_bytes());
/// tx.commit()?;
///
/// assert!(store.begin(&orders)?.verdicts().iter().all(|verdict| verdict.is_duplicate()));
/// assert_eq!(store.outcome("order-1")?.as_deref(), Some(&b"receipt"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a claim that is dropped is rolled back"]
pub struct Claim {
    store: Store,
    ticket: Arc<Ticket>,
    source: Option<Positioned>,
    got: Claimed,
    /// The indices of the claimed ids, ascending; their fingerprints and bytes in the same order.
    fresh: std::sync::Arc<[u32]>,
    fingerprints: Vec<Fingerprint>,
    raw: RawIds,
    /// Which of the claimed ids were given back.
    released: Vec<bool>,
    changes: Changes,
    /// The first call that made no sense; told by the commit.
    misuse: Option<String>,
    /// Store time at which the ids were judged.
    at: Timestamp,
    ended: bool,
}

/// The bytes of ids, one after the other.
#[derive(Debug, Default)]
struct RawIds {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl RawIds {
    fn push(&mut self, id: &[u8]) {
        self.bytes.extend_from_slice(id);
        self.ends.push(self.bytes.len());
    }

    fn get(&self, slot: usize) -> &[u8] {
        let begin = slot.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[slot]]
    }
}

/// The records of a source that a claim was made from.
#[derive(Debug)]
pub(super) struct Positioned {
    source: std::sync::Arc<str>,
    /// Of all records of the batch, ascending.
    positions: Vec<u64>,
    /// How many of them lie below the progress.
    pub(super) replayed: usize,
    /// The others, once they hold the progress; none if there are none.
    records: Option<Records>,
}

impl Positioned {
    pub(super) fn new(source: &str, positions: &[u64], progress: u64) -> Positioned {
        Positioned {
            source: source.into(),
            positions: positions.to_vec(),
            replayed: positions.partition_point(|&position| position < progress),
            records: None,
        }
    }
}

impl Claim {
    /// A claim of nothing yet. From now on no other commit's progress passes its records.
    pub(super) fn start(
        store: Store,
        ticket: Arc<Ticket>,
        mut source: Option<Positioned>,
    ) -> Claim {
        if let Some(Positioned { source, positions, replayed, records }) = &mut source {
            let (core, presented) = (store.core(), &positions[*replayed..]);
            let now = core.monotonic();
            *records = lock(&core.positions).begin(source, presented, &ticket, now);
        }
        Claim {
            store,
            ticket,
            source,
            got: Claimed::default(),
            fresh: std::sync::Arc::default(),
            fingerprints: Vec::new(),
            raw: RawIds::default(),
            released: Vec::new(),
            changes: Changes::default(),
            misuse: None,
            at: Timestamp::MIN,
            ended: false,
        }
    }

    /// Takes over what was claimed for it.
    pub(super) fn fill<I: AsRef<[u8]>>(
        &mut self,
        ids: &[I],
        call: Call<'_>,
        payloads: Option<&[Fingerprint]>,
        claimed: Claimed,
    ) {
        for &i in &claimed.fresh {
            self.raw.push(ids[i as usize].as_ref());
            self.fingerprints.push(call.ids[i as usize]);
            if let Some(payloads) = payloads {
                self.changes.set_payload(i, payloads[i as usize]);
            }
        }
        self.released = vec![false; claimed.fresh.len()];
        self.fresh = claimed.fresh.as_slice().into();
        self.at = call.last().unwrap_or(Timestamp::MIN);
        self.got = claimed;
    }

    /// Adds an id that was handed over to it. Once all are there: [`Claim::complete`].
    pub(super) fn add(&mut self, id: &[u8], fingerprint: Fingerprint, at: Timestamp) {
        self.raw.push(id);
        self.fingerprints.push(fingerprint);
        self.released.push(false);
        self.got.verdicts.push(Verdict::New);
        self.at = at;
    }

    /// All ids that were handed over to it are fresh.
    pub(super) fn complete(&mut self) {
        let ids = u32::try_from(self.fingerprints.len()).expect("claims are bounded");
        self.fresh = (0..ids).collect();
    }

    /// The verdicts of the batch, in its order. [`Verdict::New`]: claimed by this transaction. Of an
    /// id that is twice in the batch the first is claimed and the others are duplicates of it.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.got.verdicts
    }

    /// The indices of the ids that this transaction claimed, ascending: those to work on.
    ///
    /// The iterator borrows nothing, so the transaction can be changed while it goes on.
    pub fn fresh(&self) -> Fresh {
        Fresh { indices: std::sync::Arc::clone(&self.fresh), next: 0 }
    }

    /// The fencing token: above those of all earlier claims, also of earlier openings. Whoever is
    /// written to can keep the highest that it has seen, and refuse a lower one: a claimant whose lease
    /// has ended without its knowing.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.ticket.token()
    }

    /// Of the claimed ids, those whose earlier claim outlived its lease, with its token. Whether the
    /// earlier attempt did the work is not known.
    pub fn attempted_before(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.got.after.iter().map(|&(i, token)| (i as usize, token))
    }

    /// Remembers an outcome with id `i` of the batch: up to 1 MiB that whoever presents the id again
    /// gets back ([`Store::outcome`]), for as long as the id is remembered.
    ///
    /// It must be one of the fresh ids; else the commit is refused.
    pub fn set_outcome(&mut self, i: usize, outcome: impl Into<Vec<u8>>) {
        match self.slot(i) {
            Some(_) => self.changes.set_outcome(i as u32, &outcome.into()),
            None => self.misused(|| {
                format!("id {i} of the batch is not claimed by it, so it can have no outcome")
            }),
        }
    }

    /// Sets the next position to read of a source. Of [`Store::begin_from`] the progress is set by
    /// itself; this is for whoever keeps positions otherwise.
    ///
    /// The commit is refused if that is before the progress so far: see [`Claim::rewind_progress`].
    pub fn set_progress(&mut self, source: &str, next: u64) {
        self.changes.set_progress(source, next);
    }

    /// Sets the next position to read of a source, also backwards: records are read again. Their ids
    /// are still remembered, so what was processed is a duplicate, no longer a replay.
    pub fn rewind_progress(&mut self, source: &str, next: u64) {
        self.changes.rewind_progress(source, next);
    }

    /// Puts a value into the state: keys up to 1 KiB, values up to 1 MiB, together up to 64 MiB.
    pub fn put_state(&mut self, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.changes.put(key.as_ref(), &value.into());
    }

    /// Deletes a key of the state.
    pub fn delete_state(&mut self, key: impl AsRef<[u8]>) {
        self.changes.delete(key.as_ref());
    }

    /// The value of a key as this transaction sees it: what it has put itself, or else what is
    /// committed. If another transaction changes the key before this one commits, this one is refused
    /// ([`Refusal::Conflict`](crate::Refusal::Conflict)), so that what is read and then put is never lost.
    ///
    /// # Errors
    ///
    /// If the store is closed or has failed.
    pub fn state(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        if let Some(own) = self.changes.get(key) {
            return Ok(own.map(|value| value.to_vec()));
        }
        let found = self.store.core().read_state(|state| state.get(key))?;
        self.changes.note_read(key, found.as_ref().map(|(_, version)| *version));
        Ok(found.map(|(value, _)| value.to_vec()))
    }

    /// Gives one of the claimed ids back: the work on it failed, others may go on. It is not
    /// committed, its outcome is dropped, and it is let in when it comes again. The progress that
    /// [`Store::begin_from`] sets stops before it.
    pub fn release(&mut self, i: usize) {
        let Some(slot) = self.slot(i) else {
            return self.misused(|| {
                format!("id {i} of the batch is not claimed by it, so it cannot be released")
            });
        };
        self.released[slot] = true;
        let core = self.store.core();
        self.ticket.notice_end(core.monotonic());
        core.claims.give_back(&self.fingerprints[slot..=slot], &self.ticket);
    }

    /// Lets the lease last for `lease` from now; it is never made shorter.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseEnded`] if it has ended already.
    pub fn renew(&self, lease: Duration) -> Result<()> {
        let core = self.store.core();
        core.not_ended(&self.ticket, self.ticket.renew(core.monotonic(), lease))
    }

    /// Commits everything in one step. When it returns, that is as durable as the store's
    /// [`Durability`](crate::Durability) promises; after a crash all of it is there or nothing.
    ///
    /// # Errors
    ///
    /// On every error but [`Error::OutcomeUnknown`] nothing of it is kept and the ids are free:
    ///
    /// * [`Error::LeaseEnded`]: the lease ended before; others may have the ids now.
    /// * [`Error::Refused`]: a conflict, progress that would go backwards, a limit.
    /// * [`Error::Misuse`]: an outcome for an id that is not fresh.
    /// * [`Error::DiskFull`] and I/O, before anything was written.
    ///
    /// [`Error::OutcomeUnknown`]: the log failed while it was written. After reopening either all of it
    /// is there or nothing; [`Store::progress`] or [`Store::check`] tells which.
    pub fn commit(mut self) -> Result<()> {
        self.check_use()?;
        let kept = self.kept();
        let mut changes = std::mem::take(&mut self.changes);
        let done = self.store.core().commit(self.brought(&kept, &mut changes));
        self.end(done.is_ok());
        done
    }

    /// Makes the transaction durable without committing it, under a token of the caller's: the first
    /// half of a two-phase commit with another system. It is synced, whatever the store's durability.
    ///
    /// From now on it has no lease and survives crashes: the ids stay [`Verdict::InFlight`], the keys
    /// and sources that it changes are locked against other transactions, until it is committed or
    /// aborted through the [`Prepared`] that is returned, or that [`Store::in_doubt`] lists.
    ///
    /// # Errors
    ///
    /// As [`Claim::commit`]; also refused if the token is in use.
    pub fn prepare(mut self, token: impl AsRef<[u8]>) -> Result<Prepared> {
        self.check_use()?;
        let token = token.as_ref();
        let kept = self.kept();
        let slots = (0..self.fresh.len()).filter(|&slot| !self.released[slot]);
        let mut changes = std::mem::take(&mut self.changes);
        let raw: Vec<&[u8]> = slots.map(|slot| self.raw.get(slot)).collect();
        let done = self.store.core().prepare(self.brought(&kept, &mut changes), token, &raw);
        self.end(done.is_ok());
        done.map(|data| Prepared::new(self.store.clone(), &data))
    }

    /// Rolls back: nothing was written, and the ids are let in when they come again. Dropping the
    /// claim does the same.
    pub fn abort(self) {}

    /// Lets `work` make changes, which are undone if it fails.
    pub(super) fn undo_if<E>(
        &mut self,
        work: impl FnOnce(&mut Claim) -> Result<(), E>,
    ) -> Result<(), E> {
        let savepoint = self.changes.savepoint();
        let worked = work(self);
        match worked {
            Ok(()) => self.changes.release(savepoint),
            Err(_) => self.changes.roll_back_to(savepoint),
        }
        worked
    }

    /// Where id `i` of the batch stands among the claimed ones that were not given back.
    fn slot(&self, i: usize) -> Option<usize> {
        let slot = self.fresh.binary_search(&u32::try_from(i).ok()?).ok()?;
        (!self.released[slot]).then_some(slot)
    }

    fn misused(&mut self, say: impl FnOnce() -> String) {
        self.misuse.get_or_insert_with(say);
    }

    fn check_use(&mut self) -> Result<()> {
        self.misuse.take().map_or(Ok(()), |misuse| Err(Error::Misuse(misuse)))
    }

    /// The ids to commit, and their indices in the batch.
    fn kept(&self) -> Kept {
        let slots = (0..self.fresh.len()).filter(|&slot| !self.released[slot]);
        let (indices, ids) = slots.map(|slot| (self.fresh[slot], self.fingerprints[slot])).unzip();
        Kept { indices, ids, unsettled: self.unsettled() }
    }

    fn brought<'a>(&'a self, kept: &'a Kept, changes: &'a mut Changes) -> Brought<'a> {
        let records = self.source.as_ref().and_then(|positioned| positioned.records.as_ref());
        let span = records.map(|records| Span { records, unsettled: &kept.unsettled });
        Brought {
            ticket: &self.ticket,
            ids: &kept.ids,
            indices: &kept.indices,
            changes,
            span,
            at: self.at,
        }
    }

    /// The positions of the records that a commit leaves unsettled, ascending.
    fn unsettled(&self) -> Vec<u64> {
        let Some(positioned) = &self.source else { return Vec::new() };
        let given_back = |i: usize| self.got.verdicts[i] == Verdict::New && self.slot(i).is_none();
        let left = |i: &usize| !self.got.verdicts[*i].is_settled() || given_back(*i);
        let positions = &positioned.positions;
        (positioned.replayed..positions.len()).filter(left).map(|i| positions[i]).collect()
    }

    /// Gives back what was not committed, once.
    fn end(&mut self, committed: bool) {
        if std::mem::replace(&mut self.ended, true) || committed {
            return;
        }
        let core = self.store.core();
        if planted(Bug::RollbackMarksSeen) {
            let table = &core.gate.enter().active.table;
            for &id in &self.fingerprints {
                table.insert(id, 0);
            }
        }
        if planted(Bug::RollbackKeepsClaim) {
            return;
        }
        if let Some(Positioned { records: Some(records), .. }) = &self.source {
            lock(&core.positions).give_back(records);
        }
        self.ticket.notice_end(core.monotonic());
        core.claims.give_back(&self.fingerprints, &self.ticket);
        self.ticket.settle();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// The ids that a commit keeps, and the positions of the records that it leaves unsettled.
struct Kept {
    indices: Vec<u32>,
    ids: Vec<Fingerprint>,
    unsettled: Vec<u64>,
}

/// The indices of the ids that a transaction claimed: see [`Claim::fresh`].
#[derive(Debug, Clone)]
pub struct Fresh {
    indices: std::sync::Arc<[u32]>,
    next: usize,
}

impl Iterator for Fresh {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let &i = self.indices.get(self.next)?;
        self.next += 1;
        Some(i as usize)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.indices.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Fresh {}
