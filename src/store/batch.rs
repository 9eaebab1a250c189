//! The way of one call: fingerprints, filter, runs on a hit, active table, log.
//!
//! A call is settled in pieces, each all or nothing. A piece:
//!
//! 1. Enters the gate, with room reserved in the active table and in the log, so that nothing after
//!    an insertion can fail but the log as a whole.
//! 2. *Classifies*: looks every id up in what is older than the active table. This may read from
//!    disk and fail; nothing has been inserted yet.
//! 3. *Inserts* the ids that were not found into the active table, in order. Its answer decides.
//! 4. Stages one frame with what was inserted, leaves the gate, and waits until the frame, and every
//!    frame that a duplicate verdict may rest on, is as durable as promised.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::core::Core;
use super::counters::Tally;
use super::rotation::Need;
use crate::config::TimeSource;
use crate::error::{Error, Result};
use crate::filter::WindowFilter;
use crate::format::frame::{FrameBuffer, FrameKind, call_len_max};
use crate::index::Insert;
use crate::key::Fingerprint;
use crate::log::Lsn;
use crate::sync::gate::Inside;
use crate::time::Timestamp;
use crate::verdict::Verdict;
use crate::window::{Again, MemTable, OpenForgotten, Sighting, StoreClock, View};

/// The most ids of a piece: 64 Ki ids are a megabyte of log.
pub(crate) const PIECE_MAX: usize = 1 << 16;

/// How many ids ahead the cache line of a table is asked for.
const AHEAD: usize = 48;
/// How many ids' places in a run are asked for at once.
const GROUP: usize = 32;

/// The moment at which an id is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Store time.
    pub(crate) now: Timestamp,
    /// When the event happened.
    time: Timestamp,
    /// How long before the window the event lies, if it does.
    pub(crate) late: Option<Duration>,
}

/// The moments of a call's ids.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moments<'a> {
    /// One for all, and none is late.
    Same(Timestamp),
    /// One for each.
    Each(&'a [Moment]),
}

impl<'a> Moments<'a> {
    #[inline]
    fn at(self, i: usize) -> Moment {
        match self {
            Moments::Same(now) => Moment { now, time: now, late: None },
            Moments::Each(moments) => moments[i],
        }
    }

    fn skip(self, n: usize) -> Moments<'a> {
        match self {
            Moments::Same(now) => Moments::Same(now),
            Moments::Each(moments) => Moments::Each(&moments[n..]),
        }
    }

    /// How many of the first `n` ids come before `end`; at least one, times being in order.
    fn count_before(self, n: usize, end: Timestamp) -> usize {
        match self {
            Moments::Same(_) => n,
            Moments::Each(moments) => {
                moments[..n].partition_point(|moment| moment.now < end).max(1)
            }
        }
    }
}

/// Memory that a call needs, kept by the thread for its next one.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) moments: Vec<Moment>,
    /// Indices of ids that the filter cannot rule out.
    maybe: Vec<u32>,
    /// Indices of ids that a run's filter cannot rule out.
    candidates: Vec<u32>,
    /// Indices of ids that the set of forgotten ids let in, ascending.
    let_in: Vec<u32>,
    frame: FrameBuffer,
    /// The ticks of the ids in the frame, where they have times of their own.
    ticks: Vec<u8>,
}

/// What a call looks at, once it is inside, and what it has reserved.
pub(super) struct Room<'a> {
    pub(super) inside: Inside<'a, View>,
    ids: usize,
    pub(super) bytes: u64,
}

impl Core {
    /// Settles all ids, inserting the new ones. On an error `out` has the verdicts that stand.
    pub(crate) fn insert(
        &self,
        ids: &[Fingerprint],
        moments: Moments<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        let mut settled = 0;
        while settled < ids.len() {
            let piece = &ids[settled..ids.len().min(settled + PIECE_MAX)];
            let before = out.len();
            if let Err(source) = self.insert_piece(piece, moments.skip(settled), scratch, out) {
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

    /// Gives the verdicts that [`Core::insert`] would, inserting nothing.
    pub(crate) fn look(
        &self,
        ids: &[Fingerprint],
        moments: Moments<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        self.check_usable()?;
        let first = out.len();
        let mut tally = Tally::default();
        let inside = self.gate.enter();
        let forgotten = (!self.forgotten.is_empty()).then(|| self.forgotten.open());
        let decided = |id| forgotten.as_ref().is_some_and(|f| f.decides(id));
        self.classify(&inside, ids, moments, &decided, scratch, out, &mut tally)?;
        for (i, &id) in ids.iter().enumerate() {
            let (verdict, moment) = (&mut out[first + i], moments.at(i));
            if *verdict != Verdict::New {
                continue;
            }
            if let Some(Again::Since(first_seen)) =
                forgotten.as_ref().map(|f| f.look(id, moment.now, self.window))
            {
                tally.rests_on_log = true;
                *verdict = Verdict::Duplicate { first_seen };
            } else if !decided(id)
                && let Some(found) = inside.active.sighting(id)
                // Looking does not start a generation, so the active one may be long over.
                && self.counts(found, moment.now)
            {
                tally.rests_on_log = true;
                *verdict = Verdict::Duplicate { first_seen: found.first_seen() };
            }
        }
        drop(forgotten);
        self.counters.add_lookups(&tally);
        self.leave(inside, None, &tally)
    }

    /// Like [`Core::look`], and an id that is twice among the ids is a duplicate of itself.
    pub(crate) fn look_in_order(
        &self,
        ids: &[Fingerprint],
        moments: Moments<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        let first = out.len();
        self.look(ids, moments, scratch, out)?;
        let mut ticks = self.gate.enter().active.ticks;
        let mut seen: HashMap<Fingerprint, Sighting> = HashMap::new();
        for (i, &id) in ids.iter().enumerate() {
            let (verdict, now) = (&mut out[first + i], moments.at(i).now);
            if now >= ticks.end() {
                ticks = self.ticks_from(now);
            }
            if *verdict != Verdict::New {
                continue;
            }
            match seen.entry(id) {
                Entry::Occupied(entry) if self.counts(*entry.get(), now) => {
                    let first_seen = entry.get().first_seen();
                    *verdict = Verdict::Duplicate { first_seen };
                }
                entry => {
                    entry.insert_entry(Sighting::new(ticks, ticks.tick_of(now)));
                }
            }
        }
        Ok(())
    }

    fn insert_piece(
        &self,
        ids: &[Fingerprint],
        moments: Moments<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        self.sync_if_overdue()?;
        let room = self.enter_with_room(ids.len(), moments.at(0).now, call_len_max(ids.len()))?;
        let view = &*room.inside;
        let ids = &ids[..moments.count_before(ids.len(), view.active.ticks.end())];
        let first = out.len();
        let mut tally = Tally::default();
        let mut forgotten = (!self.forgotten.is_empty()).then(|| self.forgotten.open());
        let decided = |id| forgotten.as_ref().is_some_and(|f| f.decides(id));
        let classified = self.classify(view, ids, moments, &decided, scratch, out, &mut tally);
        if let Err(error) = classified {
            self.give_back(&room, 0, 0);
            return Err(error);
        }
        let now = moments.at(ids.len() - 1).now;
        // Only events move store time by something that a reopen could not know.
        let moves_time = self.clock.source() == TimeSource::Event && now > self.clock.high_water();
        self.clock.advance(now);
        scratch.frame.start();
        scratch.ticks.clear();
        scratch.let_in.clear();
        let verdicts = &mut out[first..];
        if let Some(forgotten) = &mut forgotten {
            self.let_in_again(view, ids, moments, forgotten, scratch, verdicts, &mut tally);
        }
        self.insert_unknown(view, ids, moments, scratch, verdicts, &mut tally);
        let lsn = self.stage(view, now, moves_time, scratch);
        tally.new = scratch.frame.ids() as u64;
        let used = lsn.map_or(0, |_| scratch.frame.len() as u64);
        drop(forgotten);
        self.give_back(&room, scratch.frame.ids(), used);
        self.counters.add_call(ids.len(), &tally);
        self.leave(room.inside, lsn, &tally)
    }

    /// Enters the gate with room for `ids` ids. Makes room first where there is none.
    pub(super) fn enter_with_room(
        &self,
        ids: usize,
        now: Timestamp,
        bytes: usize,
    ) -> Result<Room<'_>> {
        let bytes = bytes as u64;
        loop {
            let inside = self.gate.enter();
            // Inside, where closing waits for whoever found the store open.
            self.check_usable()?;
            let view = &*inside;
            let need = if now >= view.active.ticks.end() || !view.active.reserve(ids) {
                Need::Table
            } else if view.segment.as_ref().is_some_and(|segment| segment.reserve(bytes)) {
                return Ok(Room { inside, ids, bytes });
            } else {
                view.active.release(ids);
                Need::Log(bytes)
            };
            let seen = view.active.clone();
            drop(inside);
            self.make_room(need, &seen, now)?;
        }
    }

    /// Gives back what a piece reserved and did not use.
    fn give_back(&self, room: &Room<'_>, ids_used: usize, bytes_used: u64) {
        room.inside.active.release(room.ids - ids_used);
        if let Some(segment) = &room.inside.segment {
            segment.release(room.bytes - bytes_used);
        }
    }

    /// Looks ids up in everything older than the active table. Appends a verdict for each: `New`
    /// where nothing was found.
    #[allow(clippy::too_many_arguments)]
    fn classify(
        &self,
        view: &View,
        ids: &[Fingerprint],
        moments: Moments<'_>,
        decided: &dyn Fn(Fingerprint) -> bool,
        scratch: &mut Scratch,
        out: &mut Vec<Verdict>,
        tally: &mut Tally,
    ) -> Result<()> {
        // Since the times were judged, others may have moved store time on, and upkeep may have
        // dropped what these ids would have been found in. What the view still has is known.
        let known_from = self.known_from(self.clock.high_water());
        let first = out.len();
        out.resize(first + ids.len(), Verdict::New);
        let verdicts = &mut out[first..];
        if let Moments::Each(moments) = moments {
            for (verdict, moment) in verdicts.iter_mut().zip(moments) {
                let late = (moment.time < known_from).then(|| known_from - moment.time);
                if let Some(by) = moment.late.or(late) {
                    *verdict = Verdict::Late { by };
                    tally.late += 1;
                }
            }
        }
        for mem in view.frozen_apart() {
            self.look_in_table(mem, ids, None, moments, verdicts, tally);
        }
        filter_batch(&view.filter, ids, verdicts, &mut scratch.maybe);
        if !self.forgotten.is_empty() {
            scratch.maybe.retain(|&i| !decided(ids[i as usize]));
            for (verdict, &id) in verdicts.iter_mut().zip(ids) {
                if verdict.is_duplicate() && decided(id) {
                    *verdict = Verdict::New;
                }
            }
        }
        tally.filter_negatives += (ids.len() - scratch.maybe.len()) as u64;
        if scratch.maybe.is_empty() {
            return Ok(());
        }
        let maybe = std::mem::take(&mut scratch.maybe);
        for mem in view.frozen_behind() {
            self.look_in_table(mem, ids, Some(&maybe), moments, verdicts, tally);
        }
        scratch.maybe = maybe;
        self.look_in_runs(view, ids, moments, scratch, verdicts, tally)
    }

    /// Looks ids, all or those at the indices `only`, up in a frozen table.
    fn look_in_table(
        &self,
        mem: &MemTable,
        ids: &[Fingerprint],
        only: Option<&[u32]>,
        moments: Moments<'_>,
        verdicts: &mut [Verdict],
        tally: &mut Tally,
    ) {
        let count = only.map_or(ids.len(), <[u32]>::len);
        let index = |k: usize| only.map_or(k, |only| only[k] as usize);
        (0..count.min(AHEAD)).for_each(|k| mem.table.prefetch(ids[index(k)]));
        for k in 0..count {
            if k + AHEAD < count {
                mem.table.prefetch(ids[index(k + AHEAD)]);
            }
            let i = index(k);
            if verdicts[i] == Verdict::New
                && let Some(found) = mem.sighting(ids[i])
                && self.counts(found, moments.at(i).now)
            {
                tally.rests_on_log = true;
                verdicts[i] = Verdict::Duplicate { first_seen: found.first_seen() };
            }
        }
    }

    /// Looks the ids that the window filter cannot rule out up in the runs, youngest first.
    fn look_in_runs(
        &self,
        view: &View,
        ids: &[Fingerprint],
        moments: Moments<'_>,
        scratch: &mut Scratch,
        verdicts: &mut [Verdict],
        tally: &mut Tally,
    ) -> Result<()> {
        let Scratch { maybe, candidates, .. } = scratch;
        maybe.retain(|&i| verdicts[i as usize] == Verdict::New);
        let asked = maybe.len();
        for run in &view.runs {
            candidates.clear();
            for group in maybe.chunks(GROUP) {
                group.iter().for_each(|&i| run.prefetch_filter(ids[i as usize]));
                for &i in group {
                    if run.filter_may_contain(ids[i as usize])? {
                        candidates.push(i);
                    }
                }
            }
            let before = tally.found;
            for group in candidates.chunks(GROUP) {
                group.iter().for_each(|&i| run.prefetch_directory(ids[i as usize]));
                let mut places = [None; GROUP];
                for (place, &i) in places.iter_mut().zip(group) {
                    let at = run.locate(ids[i as usize]);
                    run.prefetch_page(at, ids[i as usize]);
                    *place = Some(at);
                }
                for (&i, place) in group.iter().zip(places) {
                    let (i, place) = (i as usize, place.expect("one place for each of the group"));
                    let lookup = run.get_at(place, ids[i])?;
                    tally.page_reads += u64::from(lookup.pages);
                    let found = lookup.tick.map(|tick| Sighting::new(run.ticks(), tick));
                    if let Some(found) = found.filter(|&f| self.counts(f, moments.at(i).now)) {
                        tally.found += 1;
                        verdicts[i] = Verdict::Duplicate { first_seen: found.first_seen() };
                    }
                }
            }
            if tally.found > before {
                maybe.retain(|&i| verdicts[i as usize] == Verdict::New);
            }
            if maybe.is_empty() {
                break;
            }
        }
        tally.filter_false_positives += (asked as u64).saturating_sub(tally.found);
        Ok(())
    }

    /// Decides the ids that were told to be forgotten: the set of them is the only arbiter.
    #[allow(clippy::too_many_arguments)]
    fn let_in_again(
        &self,
        view: &View,
        ids: &[Fingerprint],
        moments: Moments<'_>,
        forgotten: &mut OpenForgotten<'_>,
        scratch: &mut Scratch,
        verdicts: &mut [Verdict],
        tally: &mut Tally,
    ) {
        for (i, &id) in ids.iter().enumerate() {
            let now = moments.at(i).now;
            if verdicts[i] != Verdict::New {
                continue;
            }
            match forgotten.look(id, now, self.window) {
                Again::NotForgotten => {}
                Again::Since(first_seen) => {
                    tally.rests_on_log = true;
                    verdicts[i] = Verdict::Duplicate { first_seen };
                }
                Again::Free => {
                    forgotten.let_in(id, now);
                    scratch.frame.push(id);
                    if matches!(moments, Moments::Each(_)) {
                        scratch.ticks.push(view.active.ticks.tick_of(now));
                    }
                    scratch.let_in.push(u32::try_from(i).expect("pieces are bounded"));
                }
            }
        }
    }

    /// Inserts the ids that nothing older knows, in order.
    fn insert_unknown(
        &self,
        view: &View,
        ids: &[Fingerprint],
        moments: Moments<'_>,
        scratch: &mut Scratch,
        verdicts: &mut [Verdict],
        tally: &mut Tally,
    ) {
        let (mem, ticks) = (&*view.active, view.active.ticks);
        let same = match moments {
            Moments::Same(now) => Some(ticks.tick_of(now)),
            Moments::Each(_) => None,
        };
        let mut let_in = scratch.let_in.iter().map(|&i| i as usize).peekable();
        ids.iter().take(AHEAD).for_each(|&id| mem.table.prefetch(id));
        for (i, &id) in ids.iter().enumerate() {
            if let Some(&ahead) = ids.get(i + AHEAD) {
                mem.table.prefetch(ahead);
            }
            if let_in.next_if_eq(&i).is_some() || verdicts[i] != Verdict::New {
                continue;
            }
            let tick = same.unwrap_or_else(|| ticks.tick_of(moments.at(i).now));
            match mem.table.insert(id, tick) {
                Insert::Inserted => {
                    scratch.frame.push(id);
                    if same.is_none() {
                        scratch.ticks.push(tick);
                    }
                }
                Insert::Present { tick } => {
                    tally.rests_on_log = true;
                    verdicts[i] = Verdict::Duplicate { first_seen: ticks.start_of(tick) };
                }
            }
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

    /// Leaves the gate and waits until what the verdicts rest on is as durable as promised.
    fn leave(&self, inside: Inside<'_, View>, lsn: Option<Lsn>, tally: &Tally) -> Result<()> {
        if !tally.rests_on_log {
            drop(inside);
            return lsn.map_or(Ok(()), |lsn| self.acknowledge(lsn));
        }
        // Whoever inserted what was found may be inside still, its frame not yet staged.
        let (slot, in_flight) = (inside.slot(), self.gate.in_flight());
        drop(inside);
        self.gate.wait_for(&in_flight, slot);
        self.acknowledge(self.log.staged())
    }

    /// Whether a record still counts at `now`.
    fn counts(&self, found: Sighting, now: Timestamp) -> bool {
        now < found.counts_from() + self.window
    }

    /// The moments of ids with event times of their own.
    pub(crate) fn judge_times(&self, times: &[Timestamp], moments: &mut Vec<Moment>) {
        let latest = self.clock.latest_believed().min(StoreClock::LATEST);
        let follows_events = self.clock.source() == TimeSource::Event;
        let mut now = self.clock.now();
        moments.clear();
        moments.extend(times.iter().map(|&time| {
            let believed = time.min(latest);
            if believed < time {
                self.clock.note_disbelieved();
            }
            if follows_events {
                now = now.max(believed);
            }
            let known_from = self.known_from(now);
            let late = (time < known_from).then(|| known_from - time);
            Moment { now, time, late }
        }));
    }

    /// What happened before is late at `now`.
    fn known_from(&self, now: Timestamp) -> Timestamp {
        (now - self.window).max(self.complete_since())
    }
}

/// Collects the indices of the ids that the filter cannot rule out and that are not settled.
fn filter_batch(
    filter: &WindowFilter,
    ids: &[Fingerprint],
    verdicts: &[Verdict],
    maybe: &mut Vec<u32>,
) {
    maybe.clear();
    filter.reader().may_contain_each(ids, |i, may_contain| {
        if may_contain && verdicts[i] == Verdict::New {
            maybe.push(u32::try_from(i).expect("pieces are bounded"));
        }
    });
}
