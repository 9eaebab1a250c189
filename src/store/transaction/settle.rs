//! The end of a transaction: everything that it brings in one frame of the log, or nothing.
//!
//! What can be refused is refused before anything is changed, as in a call that inserts: room in
//! table and log is reserved, the state says whether it takes the changes. Then, under the lock of the
//! state: ids go into the table, values beside it, the frame is staged, the state takes the changes.
//! So the order in which changes are seen is the order in which the log has them.
//!
//! The claims are given back last: whoever finds an id no longer claimed finds it in the table.

use std::time::Duration;

use super::super::call::Room;
use super::super::core::Core;
use super::LoggedState;
use super::positions::{Records, Span};
use crate::claim::{self, Ticket};
use crate::error::{Error, Refusal, Result};
use crate::format::commit::{
    COMMIT_MAX, Commit, Item, Prepare, abort_payload, id_bytes, payload_len, push_ids, push_item,
};
use crate::format::frame::{FrameBuffer, FrameKind, frame_len};
use crate::format::value::Value;
use crate::index::AHEAD;
use crate::key::Fingerprint;
use crate::log::{Lsn, Need};
use crate::planted::{Bug, planted};
use crate::state::{Changes, PreparedData, State};
use crate::sync::{Arc, lock};
use crate::time::Timestamp;
use crate::window::{OpenForgotten, ValueTable};

/// What a transaction brings.
#[derive(Debug)]
pub(crate) struct Brought<'a> {
    pub(crate) ticket: &'a Arc<Ticket>,
    /// The ids that it claimed and did not give back.
    pub(crate) ids: &'a [Fingerprint],
    /// Their indices in the batch, ascending.
    pub(crate) indices: &'a [u32],
    pub(crate) changes: &'a mut Changes,
    /// Its records, if they have positions.
    pub(crate) span: Option<Span<'a>>,
    /// Store time at which the ids were judged.
    pub(crate) at: Timestamp,
}

/// What is known in memory of a prepared transaction.
#[derive(Debug)]
pub(crate) struct InDoubt {
    pub(crate) ticket: Arc<Ticket>,
    /// Its records and what a commit leaves unsettled of them, if they have positions and it was
    /// prepared in this opening.
    pub(crate) records: Option<(Records, Vec<u64>)>,
    /// The progress that it sets by name.
    pub(crate) named: Vec<(String, u64)>,
}

impl Core {
    /// Commits a transaction. On an error but [`Error::OutcomeUnknown`] nothing of it is kept.
    pub(crate) fn commit(&self, mut brought: Brought<'_>) -> Result<()> {
        self.check_usable()?;
        self.sync_if_overdue()?;
        self.start_settling(brought.ticket)?;
        let done = self.commit_settling(&mut brought);
        // What was inserted is in the table; what was not is free.
        self.claims.give_back(brought.ids, brought.ticket);
        brought.ticket.settle();
        self.acknowledge_commit(done?, false)?;
        self.see_to_chores(brought.ids.len());
        Ok(())
    }

    fn commit_settling(&self, brought: &mut Brought<'_>) -> Result<Option<Lsn>> {
        let (ids, now) = (brought.ids.len(), self.clock.now().max(brought.at));
        let len = brought.payload_len();
        check_len(len)?;
        brought.changes.check_lengths()?;
        if brought.changes_state() {
            self.reserve_for_state(len)?;
        }
        let room = self.enter_with_room(ids, now, frame_len(len))?;
        // Ids and outcomes alone need no order against others.
        let mut state = brought.touches_state().then(|| lock(&self.state));
        if let Some(committed) = &state {
            let named = brought.named();
            let check = |state: &State, changes: &Changes| state.check(changes, len, None);
            if let Err(error) = self.check_changes(committed, brought, &check) {
                let lsn = self.keep_time(&room, now);
                drop((state, room));
                lsn.map_or(Ok(()), |lsn| self.acknowledge(lsn))?;
                return Err(error);
            }
            // Nothing is refused from here on.
            self.settle_positions(committed, brought.span, &named);
        }
        if ids == 0 && brought.changes.is_empty() {
            return Ok(self.keep_time(&room, now));
        }
        let lsn = self.apply_commit(&room, state.as_deref_mut(), &brought.payload(), now);
        Ok(Some(lsn))
    }

    /// Makes the transaction's changes durable, to be committed or given up later.
    pub(crate) fn prepare(
        &self,
        mut brought: Brought<'_>,
        token: &[u8],
        raw: &[&[u8]],
    ) -> Result<PreparedData> {
        self.check_usable()?;
        self.start_settling(brought.ticket)?;
        match self.prepare_settling(&mut brought, token, raw) {
            Ok((data, lsn)) => self.acknowledge_commit(Some(lsn), true).map(|()| data),
            Err(error) => {
                self.claims.give_back(brought.ids, brought.ticket);
                brought.ticket.settle();
                Err(error)
            }
        }
    }

    fn prepare_settling(
        &self,
        brought: &mut Brought<'_>,
        token: &[u8],
        raw: &[&[u8]],
    ) -> Result<(PreparedData, Lsn)> {
        let now = self.clock.now().max(brought.at);
        let fence = brought.ticket.token();
        let raw = (0..).zip(raw).map(|(index, id)| Item::RawId { index, id });
        let extra: Vec<Item<'_>> =
            [Item::Token(token), Item::Fence(fence)].into_iter().chain(raw).collect();
        let len = brought.payload_len() + extra.iter().map(Item::encoded_len).sum::<usize>();
        check_len(len)?;
        self.reserve_for_state(len)?;
        let room = self.enter_with_room(0, now, frame_len(len))?;
        let mut state = lock(&self.state);
        let named = brought.named();
        let checked = self.check_changes(&state, brought, &|state, changes| {
            state.check_prepare(changes, len, token)
        });
        if let Err(error) = checked {
            let lsn = self.keep_time(&room, now);
            drop((state, room));
            lsn.map_or(Ok(()), |lsn| self.acknowledge(lsn))?;
            return Err(error);
        }
        self.clock.advance(now);
        let mut payload = brought.payload();
        extra.iter().for_each(|item| push_item(&mut payload, item));
        let lsn = self.stage_payload(&room, FrameKind::Prepare, now, &payload);
        let prepared = Prepare::decode(&payload).expect("it was put together just now");
        let data = PreparedData::new(&prepared, now);
        state.change(lsn, |state| state.prepare(data.clone()));
        // Its records stay open: no other commit's progress passes them before it is settled.
        let owned = |span: Span<'_>| (span.records.clone(), span.unsettled.to_vec());
        let records = brought.span.map(owned);
        let held = InDoubt { ticket: Arc::clone(brought.ticket), records, named };
        lock(&self.prepared).insert(token.to_vec(), held);
        brought.ticket.mark_prepared();
        Ok((data, lsn))
    }

    /// What was prepared under `token` by the claim `fence`, if it is not settled.
    pub(crate) fn prepared_data(&self, token: &[u8], fence: u64) -> Option<PreparedData> {
        lock(&self.state).prepared(token).filter(|data| data.fence() == fence).cloned()
    }

    /// Commits what was prepared under `token`.
    pub(crate) fn commit_prepared(&self, token: &[u8], fence: u64) -> Result<()> {
        self.check_usable()?;
        self.sync_if_overdue()?;
        let data = self.prepared_data(token, fence).ok_or_else(|| not_prepared(token))?;
        let ids: Vec<_> = data.prepare().commit().ids().collect();
        let mut payload = data.prepare().settlement();
        let now = self.clock.now().max(data.time);
        let room = self.enter_with_room(ids.len(), now, frame_len(payload.len()))?;
        let mut state = lock(&self.state);
        if state.prepared(token).is_none_or(|data| data.fence() != fence) {
            drop(state);
            self.give_back(&room, 0, 0);
            return Err(not_prepared(token));
        }
        let held = lock(&self.prepared).remove(token);
        if let Some(InDoubt { records, named, .. }) = &held {
            let span = records.as_ref();
            let span = span.map(|(records, unsettled)| Span { records, unsettled });
            if let Some(span) = span.filter(|span| is_unnamed(span, named)) {
                payload = self.settlement_payload(&state, &data, span);
            }
            self.settle_positions(&state, span, named);
        }
        let lsn = self.apply_commit(&room, Some(&mut state), &payload, now);
        drop(state);
        drop(room);
        self.end_prepared(held, &ids);
        self.acknowledge_commit(Some(lsn), false)?;
        self.see_to_chores(ids.len());
        Ok(())
    }

    /// The payload that commits what was prepared. Of the progress of its source that was prepared it
    /// has what is still right: records before that may have been presented since and be open, such as
    /// one whose id was forgotten.
    fn settlement_payload(&self, state: &State, data: &PreparedData, span: Span<'_>) -> Vec<u8> {
        let of = &*span.records.source;
        let progress = state.progress(of).unwrap_or(0);
        let reached = lock(&self.positions).reach(span, progress);
        data.prepare().settlement_with(&|source, next| {
            let next = if source == of { next.min(reached) } else { next };
            (source != of || progress < next).then_some(next)
        })
    }

    /// Gives up what was prepared under `token`: its ids are free.
    pub(crate) fn abort_prepared(&self, token: &[u8], fence: u64) -> Result<()> {
        self.check_usable()?;
        let payload = abort_payload(token);
        let now = self.clock.now();
        let room = self.enter_with_room(0, now, frame_len(payload.len()))?;
        let mut state = lock(&self.state);
        let Some(data) = state.prepared(token).filter(|data| data.fence() == fence).cloned() else {
            drop(state);
            self.give_back(&room, 0, 0);
            return Err(not_prepared(token));
        };
        let held = lock(&self.prepared).remove(token);
        if let Some(InDoubt { records: Some((records, _)), .. }) = &held {
            lock(&self.positions).give_back(records);
        }
        let lsn = self.stage_payload(&room, FrameKind::Abort, now, &payload);
        state.change(lsn, |state| state.abort(token));
        drop(state);
        drop(room);
        // Whoever claims an id of it anew commits behind this in the log, so none is without it.
        self.end_prepared(held, &data.prepare().commit().ids().collect::<Vec<_>>());
        self.acknowledge_commit(Some(lsn), false)
    }

    fn end_prepared(&self, held: Option<InDoubt>, ids: &[Fingerprint]) {
        let Some(InDoubt { ticket, .. }) = held else { return };
        self.claims.give_back(ids, &ticket);
        ticket.settle();
    }

    fn start_settling(&self, ticket: &Ticket) -> Result<()> {
        self.not_ended(ticket, ticket.start_settling(self.monotonic()))
    }

    /// The error of a claim whose lease has ended.
    pub(super) fn not_ended(
        &self,
        ticket: &Ticket,
        done: Result<(), claim::Refusal>,
    ) -> Result<()> {
        let by = match done {
            Ok(()) => return Ok(()),
            Err(claim::Refusal::Ended { by }) => by,
            // Nobody else has a claim's ticket before it is prepared.
            Err(claim::Refusal::Settled) => Duration::ZERO,
        };
        Err(Error::LeaseEnded { token: ticket.token(), by })
    }

    /// Asks whether the changes can be taken, with the progress of the transaction's source.
    fn check_changes(
        &self,
        state: &State,
        brought: &mut Brought<'_>,
        check: &dyn Fn(&State, &Changes) -> Result<(), Refusal>,
    ) -> Result<()> {
        let unnamed = |span: &Span<'_>| brought.changes.progress(&span.records.source).is_none();
        if let Some(span) = brought.span.filter(unnamed) {
            let source = &*span.records.source;
            let progress = state.progress(source).unwrap_or(0);
            let next = lock(&self.positions).reach(span, progress);
            if progress < next {
                brought.changes.set_progress(source, next);
            }
        }
        Ok(check(state, brought.changes)?)
    }

    /// Records are committed, and progress is set by name, in a state that is about to be changed.
    fn settle_positions(&self, state: &State, span: Option<Span<'_>>, named: &[(String, u64)]) {
        let mut positions = lock(&self.positions);
        let before = |source: &str| state.progress(source).unwrap_or(0);
        if let Some(span) = span {
            positions.commit(span, before(&span.records.source));
        }
        named.iter().for_each(|(source, next)| positions.set(source, *next, before(source)));
    }

    /// Inserts ids and values, stages the frame, changes the state.
    fn apply_commit(
        &self,
        room: &Room<'_>,
        state: Option<&mut LoggedState>,
        payload: &[u8],
        now: Timestamp,
    ) -> Lsn {
        let commit = Commit::decode(payload).expect("it was put together just now");
        let mem = &*room.inside.active;
        let tick = mem.ticks.tick_of(now);
        self.clock.advance(now);
        let mut forgotten = (!self.forgotten.is_empty()).then(|| self.forgotten.open());
        (0..commit.len().min(AHEAD)).for_each(|i| mem.table.prefetch(commit.id(i as u32)));
        for (i, id) in commit.ids().enumerate() {
            if i + AHEAD < commit.len() {
                mem.table.prefetch(commit.id((i + AHEAD) as u32));
            }
            // Also if the set of forgotten ids decides: what is kept with an id lies where its record
            // does, and a table without records leaves no run.
            mem.table.insert(id, tick);
            if let Some(forgotten) = &mut forgotten {
                forgotten.let_in(id, now);
            }
        }
        keep_values(&mem.values, &commit, now, forgotten.as_ref());
        if planted(Bug::IdsCommittedFirst) {
            let ids = id_bytes(payload).expect("it was put together just now");
            let ids = self.stage_frame(room, FrameKind::Ids, now, tick, ids);
            let _ = self.acknowledge(ids);
        }
        let lsn = self.stage_frame(room, FrameKind::Commit, now, tick, payload);
        drop(forgotten);
        if let Some(state) = state {
            state.change(lsn, |state| state.apply(&commit));
        }
        let ids = commit.len();
        self.give_back(room, ids, frame_len(payload.len()) as u64);
        self.counters.add_commit(ids);
        lsn
    }

    /// Ends what brings nothing after all. Room was made for `now`, so the table may have begun there:
    /// store time follows, and the log has it.
    fn keep_time(&self, room: &Room<'_>, now: Timestamp) -> Option<Lsn> {
        if now <= self.clock.high_water() {
            self.give_back(room, 0, 0);
            return None;
        }
        self.clock.advance(now);
        Some(self.stage_payload(room, FrameKind::Ids, now, &[]))
    }

    fn stage_payload(
        &self,
        room: &Room<'_>,
        kind: FrameKind,
        now: Timestamp,
        payload: &[u8],
    ) -> Lsn {
        let lsn = self.stage_frame(room, kind, now, 0, payload);
        self.give_back(room, 0, frame_len(payload.len()) as u64);
        lsn
    }

    fn stage_frame(
        &self,
        room: &Room<'_>,
        kind: FrameKind,
        now: Timestamp,
        tick: u8,
        payload: &[u8],
    ) -> Lsn {
        let segment = room.inside.segment.as_ref().expect("room was reserved in it");
        let mut frame = FrameBuffer::default();
        frame.start();
        frame.extend(payload);
        frame.seal(kind, now, tick, &[]);
        self.log.stage(segment, &mut frame)
    }

    /// Waits until a commit is as durable as promised. Its frame may have reached the log even if
    /// that fails.
    fn acknowledge_commit(&self, lsn: Option<Lsn>, synced: bool) -> Result<()> {
        let Some(lsn) = lsn else { return Ok(()) };
        let done = match synced {
            true => self.log.wait(lsn, Need::Synced),
            false => self.acknowledge(lsn),
        };
        done.map_err(|source| Error::OutcomeUnknown { source: Box::new(source) })
    }
}

impl Brought<'_> {
    /// The payload of its frame.
    fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.payload_len());
        push_ids(&mut payload, self.ids.iter().copied());
        let at = |i: u32| self.indices.binary_search(&i).ok().map(|at| at as u32);
        self.changes.encode_into(&at, &mut payload);
        payload
    }

    /// The most bytes that it can have, with the progress of its source.
    fn payload_len(&self) -> usize {
        let progress = self.span.map_or(0, |Span { records, .. }| {
            Item::Progress { source: &records.source, next: records.end() }.encoded_len()
        });
        payload_len(self.ids.len(), self.changes.encoded_len() + progress)
    }

    /// The progress that was set by name.
    fn named(&self) -> Vec<(String, u64)> {
        let named = self.changes.all_progress();
        named.map(|(source, next)| (source.to_owned(), next)).collect()
    }

    /// Whether it changes anything of the state, if only the progress of its source.
    fn changes_state(&self) -> bool {
        self.span.is_some() || self.changes.change_state()
    }

    /// Whether it reads or changes anything beside its ids.
    fn touches_state(&self) -> bool {
        self.span.is_some() || self.changes.touch_state()
    }
}

/// Puts the values of a commit beside the table that has its ids. That of an id which was forgotten
/// before is younger than the forgetting, if only by a microsecond.
pub(crate) fn keep_values(
    values: &ValueTable,
    commit: &Commit<'_>,
    now: Timestamp,
    forgotten: Option<&OpenForgotten<'_>>,
) {
    let kept = commit.items().filter_map(|item| {
        let Item::Value { index, payload, outcome } = item else { return None };
        let id = commit.id(index);
        let at = forgotten.and_then(|forgotten| forgotten.forgotten_at(id));
        let time = at.map_or(now, |at| now.max(at + Duration::from_micros(1)));
        Some((id, Value { time, payload, outcome: outcome.map(Into::into) }))
    });
    let mut kept = kept.peekable();
    if kept.peek().is_some() {
        values.insert_each(kept);
    }
}

/// Whether the progress of the records' source is not set by name.
fn is_unnamed(span: &Span<'_>, named: &[(String, u64)]) -> bool {
    named.iter().all(|(source, _)| *source != *span.records.source)
}

fn check_len(bytes: usize) -> Result<()> {
    if bytes > COMMIT_MAX {
        let (bytes, max) = (bytes as u64, COMMIT_MAX as u64);
        return Err(Refusal::TooLarge { what: "a commit", bytes, max }.into());
    }
    Ok(())
}

fn not_prepared(token: &[u8]) -> Error {
    Error::NotPrepared { token: token.to_vec() }
}
