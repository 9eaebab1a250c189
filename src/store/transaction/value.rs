//! What is kept with an id: its outcome and its payload's fingerprint.
//!
//! A value lies where its id's record does: beside the table, or beside the run. For an id that was
//! forgotten and let in again there may be no newer record, so there the youngest value counts that
//! is younger than the forgetting.

use super::super::core::Core;
use crate::error::Result;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::time::Timestamp;
use crate::window::{Again, MemTable, View};

impl Core {
    /// What is kept with an id that is remembered at `now`.
    pub(crate) fn value(&self, id: Fingerprint, now: Timestamp) -> Result<Option<Value>> {
        let inside = self.gate.enter();
        self.check_usable()?;
        let value = self.value_in(&inside, id, now)?;
        // It may lie in a table, before the log has it.
        let tally = super::super::counters::Tally { rests_on_log: true, ..Default::default() };
        self.leave(inside, None, &tally)?;
        Ok(value)
    }

    pub(super) fn value_in(
        &self,
        view: &View,
        id: Fingerprint,
        now: Timestamp,
    ) -> Result<Option<Value>> {
        let (again, forgotten_at) = {
            let forgotten = self.forgotten.open();
            (forgotten.look(id, now, self.window), forgotten.forgotten_at(id))
        };
        match (again, forgotten_at) {
            (Again::Free, _) => Ok(None),
            // Not what was kept when it was let in before that, and has expired since.
            (Again::Since(again), Some(at)) => {
                let value = self.youngest_value(view, id)?;
                Ok(value.filter(|value| value.time > at && value.time >= again))
            }
            (..) => self.value_of_record(view, id, now),
        }
    }

    /// What lies beside the record of an id that was never forgotten.
    fn value_of_record(
        &self,
        view: &View,
        id: Fingerprint,
        now: Timestamp,
    ) -> Result<Option<Value>> {
        for mem in tables(view) {
            if mem.sighting(id).is_some_and(|found| self.counts(found, now)) {
                return Ok(mem.values.get(id));
            }
        }
        if !view.filter.reader().may_contain(id) {
            return Ok(None);
        }
        for run in &view.runs {
            // A block is long; whether the run has the id at all is far cheaper to ask.
            if run.values() == 0 || !run.may_contain(id)? {
                continue;
            }
            if let Some(value) = run.value(id)? {
                let counts =
                    now < run.ticks().end_of(run.ticks().tick_of(value.time)) + self.window;
                return Ok(Some(value).filter(|_| counts));
            }
        }
        Ok(None)
    }

    /// When the youngest of what is kept with these ids was.
    pub(crate) fn youngest_value_time(&self, ids: &[Fingerprint]) -> Result<Option<Timestamp>> {
        let view = self.gate.enter();
        self.check_usable()?;
        let mut youngest = None;
        if tables(&view).all(|mem| mem.values.bytes() == 0)
            && view.runs.iter().all(|run| run.values() == 0)
        {
            return Ok(None);
        }
        for &id in ids {
            let value = self.youngest_value(&view, id)?;
            youngest = youngest.max(value.map(|value| value.time));
        }
        Ok(youngest)
    }

    fn youngest_value(&self, view: &View, id: Fingerprint) -> Result<Option<Value>> {
        if let Some(value) = tables(view).find_map(|mem| mem.values.get(id)) {
            return Ok(Some(value));
        }
        for run in &view.runs {
            if let Some(value) = run.value(id)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// The tables, youngest first.
pub(crate) fn tables(view: &View) -> impl Iterator<Item = &MemTable> {
    [&*view.active].into_iter().chain(view.frozen.iter().map(|frozen| &*frozen.mem))
}
