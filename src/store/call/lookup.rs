//! Looking ids up: in what is older than the active table, and in all of it for a look that inserts
//! nothing.

use std::collections::hash_map::Entry;

use super::super::core::Core;
use super::super::counters::Tally;
use super::{Call, Moment, Moments, Scratch};
use crate::error::Result;
use crate::filter::WindowFilter;
use crate::index::AHEAD;
use crate::key::{Fingerprint, FingerprintMap};
use crate::planted::{Bug, planted};
use crate::time::Timestamp;
use crate::verdict::Verdict;
use crate::window::{Again, Claiming, MemTable, Sighting, View};

impl Core {
    /// Gives the verdicts that [`Core::insert`] would, inserting nothing.
    pub(crate) fn look(
        &self,
        call: Call<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        let first = out.len();
        let mut tally = Tally::default();
        let inside = self.gate.enter();
        // Inside, for a store that is closed has no runs to look into.
        self.check_usable()?;
        if inside.claiming == Claiming::Alone {
            // Whoever begins only now comes after this look.
            self.claims.spread();
        }
        let forgotten = (!self.forgotten.is_empty()).then(|| self.forgotten.open());
        let decided = |id| forgotten.as_ref().is_some_and(|f| f.decides(id));
        self.classify(&inside, call, &decided, scratch, out, &mut tally)?;
        let ask = inside.claiming != Claiming::Nobody;
        let mono = self.monotonic_if(ask);
        for (i, &id) in call.ids.iter().enumerate() {
            let (verdict, moment) = (&mut out[first + i], call.moments.at(i));
            if *verdict != Verdict::New {
                continue;
            }
            // Before the table: a commit gives an id back once it is in there, so it is found in one of them.
            let held = if ask { self.claims.look(id, mono) } else { None };
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
            } else if let Some(held) = held {
                *verdict = held.into();
            }
        }
        drop(forgotten);
        self.counters.add_lookups(&tally);
        self.leave(inside, None, &tally)
    }

    /// Like [`Core::look`], and an id that is twice among the ids is a duplicate of itself.
    pub(crate) fn look_in_order(
        &self,
        call: Call<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<Verdict>,
    ) -> Result<()> {
        let first = out.len();
        self.look(call, scratch, out)?;
        let mut ticks = self.gate.enter().active.ticks;
        let mut seen: FingerprintMap<Sighting> = FingerprintMap::default();
        for (i, &id) in call.ids.iter().enumerate() {
            let (verdict, now) = (&mut out[first + i], call.moments.at(i).now);
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

    /// Looks ids up in everything older than the active table. Appends a verdict for each: `New`
    /// where nothing was found.
    pub(in crate::store) fn classify(
        &self,
        view: &View,
        call: Call<'_>,
        decided: &dyn Fn(Fingerprint) -> bool,
        scratch: &mut Scratch,
        out: &mut Vec<Verdict>,
        tally: &mut Tally,
    ) -> Result<()> {
        // Since the times were judged, others may have moved store time on, and upkeep may have
        // dropped what these ids would have been found in. What the view still has is known.
        let known_from = self.known_from(self.clock.high_water());
        let first = out.len();
        let ids = call.ids;
        out.resize(first + ids.len(), Verdict::New);
        let verdicts = &mut out[first..];
        if let Moments::Each(moments) = call.moments {
            for (verdict, moment) in verdicts.iter_mut().zip(moments) {
                let late = (moment.time < known_from).then(|| known_from - moment.time);
                if let Some(by) = moment.late.or(late) {
                    *verdict = Verdict::Late { by };
                    tally.late += 1;
                }
            }
        }
        for mem in view.frozen_apart() {
            self.look_in_table(mem, call, None, verdicts, tally);
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
            self.look_in_table(mem, call, Some(&maybe), verdicts, tally);
        }
        scratch.maybe = maybe;
        self.look_in_runs(view, call, scratch, verdicts, tally)
    }

    /// Looks ids, all or those at the indices `only`, up in a frozen table.
    fn look_in_table(
        &self,
        mem: &MemTable,
        call: Call<'_>,
        only: Option<&[u32]>,
        verdicts: &mut [Verdict],
        tally: &mut Tally,
    ) {
        let Call { ids, moments } = call;
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
                && self.counts_for(found, moments.at(i))
            {
                tally.rests_on_log = true;
                verdicts[i] = Verdict::Duplicate { first_seen: found.first_seen() };
            }
        }
    }

    /// Whether a record still counts for an id that is judged at `moment`. While the store catches up it does not
    /// where the id was done a window after: it was let in anew then, and is to be remembered since.
    pub(super) fn counts_for(&self, found: Sighting, moment: Moment) -> bool {
        match self.options.catching_up {
            false => self.counts(found, moment.now),
            true => moment.time < found.first_seen() + self.window,
        }
    }

    /// Whether a record still counts at `now`.
    pub(in crate::store) fn counts(&self, found: Sighting, now: Timestamp) -> bool {
        let from = match planted(Bug::TickStartCounts) {
            false => found.counts_from(),
            true => found.first_seen(),
        };
        now < from + self.window
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
        if (may_contain || planted(Bug::FilterUnasked)) && verdicts[i] == Verdict::New {
            maybe.push(u32::try_from(i).expect("pieces are bounded"));
        }
    });
}
