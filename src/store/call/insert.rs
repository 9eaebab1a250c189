//! A call that inserts, piece by piece.

use std::time::Duration;

use super::super::core::Core;
use super::super::counters::Tally;
use super::{Call, Moment, Moments, Room, Scratch};
use crate::claim::Held;
use crate::config::TimeSource;
use crate::error::{Error, Result};
use crate::format::frame::{FrameKind, call_len_max};
use crate::index::{AHEAD, Insert};
use crate::key::Fingerprint;
use crate::log::Lsn;
use crate::planted::{Bug, planted};
use crate::time::Timestamp;
use crate::verdict::Verdict;
use crate::window::{Again, Claiming, OpenForgotten, View};

impl Core {
    /// Settles all ids, inserting the new ones. On an error `out` has the verdicts that stand.
    pub(crate) fn insert(
        &self,
        call: Call<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        let mut settled = 0;
        while settled < call.ids.len() {
            let before = out.len();
            if let Err(source) = self.insert_piece(call.piece(settled), scratch, out) {
                out.truncate(before);
                return Err(match settled {
                    0 => source,
                    _ => Error::Interrupted {
                        settled,
                        verdicts: Vec::new(),
                        source: Box::new(source),
                    },
                });
            }
            settled += out.len() - before;
        }
        Ok(())
    }

    fn insert_piece(
        &self,
        call: Call<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        self.sync_if_overdue()?;
        let (ids, now) = (call.ids.len(), call.moments.at(0).now);
        let room = self.enter_to_insert(ids, now)?;
        let view = &*room.inside;
        let call = call.before(view.active.ticks.end());
        let first = out.len();
        let mut tally = Tally::default();
        let mut forgotten = (!self.forgotten.is_empty()).then(|| self.forgotten.open());
        let decided = |id| forgotten.as_ref().is_some_and(|f| f.decides(id));
        let classified = self.classify(view, call, &decided, scratch, out, &mut tally);
        if let Err(error) = classified {
            if planted(Bug::RefusedKept) {
                for &id in call.ids {
                    view.active.table.insert(id, 0);
                }
            }
            self.give_back(&room, 0, 0);
            return Err(error);
        }
        let room = match planted(Bug::ViewUnpinned) {
            false => room,
            true => {
                self.give_back(&room, 0, 0);
                drop(room);
                self.enter_to_insert(ids, now)?
            }
        };
        let view = &*room.inside;
        let now = call.last().expect("a piece has an id");
        // Only events move store time by something that a reopen could not know.
        let moves_time = self.clock.source() == TimeSource::Event && now > self.clock.high_water();
        self.clock.advance(now);
        scratch.frame.start();
        scratch.ticks.clear();
        scratch.let_in.clear();
        let verdicts = &mut out[first..];
        if let Some(forgotten) = &mut forgotten {
            self.let_in_again(view, call, forgotten, scratch, verdicts, &mut tally);
        }
        self.insert_unknown(view, call, scratch, verdicts, &mut tally);
        let lsn = self.stage(view, now, moves_time, scratch);
        tally.new = scratch.frame.ids() as u64;
        let used = lsn.map_or(0, |_| scratch.frame.len() as u64);
        drop(forgotten);
        self.give_back(&room, scratch.frame.ids(), used);
        self.counters.add_call(call.ids.len(), &tally);
        self.leave(room.inside, lsn, &tally)
    }

    /// Enters the gate with room for `ids` ids, and where somebody may hold some of them, with the table of
    /// claims to be asked.
    fn enter_to_insert(&self, ids: usize, now: Timestamp) -> Result<Room<'_>> {
        loop {
            let room = self.enter_with_room(ids, now, call_len_max(ids))?;
            let alone = room.inside.claiming == Claiming::Alone && !planted(Bug::LoneUnspread);
            if !alone || self.options.catching_up {
                return Ok(room);
            }
            self.give_back(&room, 0, 0);
            drop(room);
            self.stop_being_alone();
        }
    }

    /// Whether an insertion asks for claims. What is caught up with was done, whatever is in doubt here.
    fn asks_claims(&self, view: &View) -> bool {
        view.claiming == Claiming::Many && !self.options.catching_up
    }

    /// Decides the ids that were told to be forgotten: the set of them is the only arbiter.
    fn let_in_again(
        &self,
        view: &View,
        call: Call<'_>,
        forgotten: &mut OpenForgotten<'_>,
        scratch: &mut Scratch,
        verdicts: &mut [Verdict],
        tally: &mut Tally,
    ) {
        let ask = self.asks_claims(view);
        let mono = self.monotonic_if(ask);
        for (i, &id) in call.ids.iter().enumerate() {
            let now = call.moments.at(i).now;
            if verdicts[i] != Verdict::New {
                continue;
            }
            match forgotten.look(id, now, self.window) {
                Again::NotForgotten => {}
                Again::Since(first_seen) => {
                    tally.rests_on_log = true;
                    verdicts[i] = Verdict::Duplicate { first_seen };
                }
                Again::Free if self.is_done_before_forgotten(id, call.moments.at(i), forgotten) => {
                    verdicts[i] = Verdict::Late { by: Duration::ZERO };
                }
                Again::Free => {
                    if ask && let Err(held) = self.claims.admit(id, mono, || ()) {
                        tally.in_flight += 1;
                        verdicts[i] = held.into();
                        continue;
                    }
                    forgotten.let_in(id, now);
                    scratch.frame.push(id);
                    if matches!(call.moments, Moments::Each(_)) {
                        scratch.ticks.push(view.active.ticks.tick_of(now));
                    }
                    scratch.let_in.push(u32::try_from(i).expect("pieces are bounded"));
                }
            }
        }
    }

    /// Whether the store catches up with what was done to an id before it was told to be forgotten: that it
    /// stays.
    fn is_done_before_forgotten(
        &self,
        id: Fingerprint,
        moment: Moment,
        forgotten: &OpenForgotten<'_>,
    ) -> bool {
        let after = |at: Timestamp| moment.time < at;
        self.options.catching_up && forgotten.forgotten_at(id).is_some_and(after)
    }

    /// Inserts the ids that nothing older knows, in order.
    fn insert_unknown(
        &self,
        view: &View,
        call: Call<'_>,
        scratch: &mut Scratch,
        verdicts: &mut [Verdict],
        tally: &mut Tally,
    ) {
        let table = &view.active.table;
        if self.asks_claims(view) && !planted(Bug::ClaimsUnasked) {
            let mono = self.monotonic_if(true);
            let insert = |id, tick| self.claims.admit(id, mono, || table.insert(id, tick));
            insert_each(view, call, scratch, verdicts, tally, insert);
        } else {
            let insert = |id, tick| Ok(table.insert(id, tick));
            insert_each(view, call, scratch, verdicts, tally, insert);
        }
    }

    /// Hands what was let in to the log, as one frame. A call that let nothing in and yet moved store
    /// time leaves an empty one, so that time does not run backwards across a kill.
    fn stage(
        &self,
        view: &View,
        now: Timestamp,
        moves_time: bool,
        scratch: &mut Scratch,
    ) -> Option<Lsn> {
        if scratch.frame.ids() == 0 && !moves_time {
            return None;
        }
        let segment = view.segment.as_ref().expect("room was reserved in it");
        let tick = scratch.ticks.first().copied();
        let tick = tick.unwrap_or_else(|| view.active.ticks.tick_of(now));
        if scratch.ticks.iter().all(|&other| other == tick) {
            scratch.frame.seal(FrameKind::Ids, now, tick, &[]);
        } else {
            scratch.frame.seal(FrameKind::TimedIds, now, tick, &scratch.ticks);
        }
        Some(self.log.stage(segment, &mut scratch.frame))
    }
}

/// Inserts the ids that nothing knows yet by `insert`, in order, but for those that the set of forgotten ids let in.
fn insert_each(
    view: &View,
    call: Call<'_>,
    scratch: &mut Scratch,
    verdicts: &mut [Verdict],
    tally: &mut Tally,
    insert: impl Fn(Fingerprint, u8) -> std::result::Result<Insert, Held>,
) {
    let (table, ticks) = (&view.active.table, view.active.ticks);
    let Scratch { frame, ticks: each, let_in, .. } = scratch;
    let same = match call.moments {
        Moments::Same(now) => Some(ticks.tick_of(now)),
        Moments::Each(_) => None,
    };
    call.ids.iter().take(AHEAD).for_each(|&id| table.prefetch(id));
    let mut from = 0;
    for to in let_in.iter().map(|&i| i as usize).chain([call.ids.len()]) {
        for (i, verdict) in verdicts.iter_mut().enumerate().take(to).skip(from) {
            let id = call.ids[i];
            if let Some(&ahead) = call.ids.get(i + AHEAD) {
                table.prefetch(ahead);
            }
            if *verdict != Verdict::New {
                continue;
            }
            let tick = same.unwrap_or_else(|| ticks.tick_of(call.moments.at(i).now));
            match insert(id, tick) {
                Ok(Insert::Inserted) => {
                    frame.push(id);
                    if same.is_none() {
                        each.push(tick);
                    }
                }
                Ok(Insert::Present { .. })
                    if planted(Bug::BatchCheckedFirst) && call.ids[..i].contains(&id) => {}
                Ok(Insert::Present { tick }) => {
                    tally.rests_on_log = true;
                    *verdict = Verdict::Duplicate { first_seen: ticks.start_of(tick) };
                }
                Err(held) => {
                    tally.in_flight += 1;
                    *verdict = held.into();
                }
            }
        }
        from = to + 1;
    }
}
