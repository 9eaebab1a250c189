//! Making room: a longer log segment, a fresh active table, the next generation.
//!
//! Rotation freezes the active table and puts a fresh one in its place, with a log segment of its
//! own, while the gate is closed: no call is between looking an id up and inserting it. Everything
//! that can fail is done before the gate is closed.

use super::budget::Sizes;
use super::core::Core;
use crate::error::{Error, Result};
use crate::format::segment::{BYTES as SEGMENT_HEADER, Previous, SegmentHeader};
use crate::index::Table;
use crate::log::Segment;
use crate::sync::{Arc, MutexGuard, Ordering, lock, try_lock};
use crate::time::{Ticks, Timestamp};
use crate::window::{Frozen, MemTable};

/// How many frozen tables may wait to be sealed. A caller that would freeze one more waits.
pub(super) const FROZEN_MAX: usize = 2;

/// What a call has no room for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// The table is full, or its generation has ended.
    Table,
    /// The log segment has no room for so many bytes, or there is none.
    Log(u64),
}

/// The numbers that rotation gives out. Its lock makes rotations happen one at a time.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) next_segment: u64,
    pub(crate) next_generation: u64,
    /// The segment before the one in use, or before the next one if none is.
    pub(crate) previous: Previous,
}

impl Core {
    /// Makes room of the kind that a call found missing when the active table was `seen`.
    pub(crate) fn make_room(&self, need: Need, seen: &Arc<MemTable>, now: Timestamp) -> Result<()> {
        self.log.check()?;
        match need {
            Need::Log(bytes) => {
                let mut rotation = lock(&self.rotation);
                self.check_usable()?;
                self.make_log_room(&mut rotation, bytes)
            }
            Need::Table => self.rotate(Some(seen), now),
        }
    }

    fn make_log_room(&self, rotation: &mut Rotation, bytes: u64) -> Result<()> {
        // Under the rotation lock, where closing comes before or after.
        self.check_usable()?;
        let segment = self.gate.enter().segment.clone();
        if let Some(segment) = segment {
            return if segment.has_room(bytes) { Ok(()) } else { segment.extend(bytes) };
        }
        let active = Arc::clone(&self.gate.enter().active);
        // It is put to use as it is, and extended when the call finds it too small: a segment that
        // stayed empty between others would end the log there for a reopen.
        let segment = self.create_segment(rotation, active.generation, active.ticks)?;
        self.gate.update(|view| {
            view.active.add_segment(segment.number());
            self.log.activate(&segment, rotation.previous);
            view.segment = Some(segment);
        });
        // From now on the table has an end, which upkeep may have gone to sleep without.
        self.bell.ring();
        Ok(())
    }

    /// Sets more room aside in the segment in use before a call has none left. If somebody else is changing segments, or
    /// it fails, the call that has none will see to it.
    pub(crate) fn extend_ahead(&self) {
        let Some(_rotation) = try_lock(&self.rotation) else { return };
        let segment = self.gate.enter().segment.clone();
        if let Some(segment) = segment
            && self.check_usable().is_ok()
            && let Err(error) = segment.extend(1)
        {
            tracing::debug!(%error, "cannot set room aside ahead");
        }
    }

    /// Freezes the active table, if it is still `seen` or `seen` is `None`, and starts another at
    /// `now`. Waits while too many frozen tables have not been sealed.
    pub(crate) fn rotate(&self, seen: Option<&Arc<MemTable>>, now: Timestamp) -> Result<()> {
        let mut rotation = loop {
            let rotation = lock(&self.rotation);
            self.check_usable()?;
            let (same, frozen) = {
                let view = self.gate.enter();
                (seen.is_none_or(|seen| Arc::ptr_eq(seen, &view.active)), view.frozen.len())
            };
            if !same {
                return Ok(());
            }
            if frozen < FROZEN_MAX {
                break rotation;
            }
            self.wait_for_seal(rotation)?;
        };
        self.rotate_now(&mut rotation, now)
    }

    fn rotate_now(&self, rotation: &mut Rotation, now: Timestamp) -> Result<()> {
        let (active, segment) = {
            let view = self.gate.enter();
            (Arc::clone(&view.active), view.segment.clone())
        };
        let cut = self.cut_generation.load(Ordering::Relaxed);
        let (generation, ticks) = if now < active.ticks.end() && !cut {
            (active.generation, active.ticks)
        } else {
            (rotation.next_generation, self.ticks_from(now.max(self.clock.high_water())))
        };
        // One value for both: the share may change meanwhile.
        let sizes = self.sizes();
        let fresh = self.fresh_table(sizes)?;
        let fresh = MemTable::new(fresh, generation, ticks, sizes.table_limit());
        // A table without a segment is empty: there is nothing to freeze. One that was replayed has
        // segments, of an earlier opening, and none to go on in.
        let next = match active.segment_count() {
            0 => None,
            _ => match self.create_segment(rotation, generation, ticks) {
                // To freeze what has expired frees its log; a segment is made when there is room.
                Err(full) if full.is_transient() && active.ticks.end() + self.window <= now => None,
                created => Some(created?),
            },
        };
        rotation.next_generation = rotation.next_generation.max(generation + 1);
        self.cut_generation.store(false, Ordering::Relaxed);
        let fresh = Arc::new(fresh);
        let ids = active.ids();
        if let Some(segment) = &segment {
            active.add_log_bytes(segment.allocated());
        }
        self.gate.update(|view| {
            let old = std::mem::replace(&mut view.active, fresh);
            let before =
                segment.as_ref().map_or(rotation.previous, |segment| segment.as_previous());
            if let Some(next) = &next {
                view.active.add_segment(next.number());
                self.log.activate(next, before);
            }
            rotation.previous = before;
            view.segment = next;
            if old.first_segment().is_some() {
                view.frozen
                    .insert(0, Frozen { mem: old, lsn: self.log.staged(), in_filter: false });
            }
        });
        tracing::debug!(ids, generation, "rotated the active table");
        self.bell.ring();
        Ok(())
    }

    /// The ticks of a generation that starts at `now`.
    pub(crate) fn ticks_from(&self, now: Timestamp) -> Ticks {
        Ticks::new(now, self.window / self.options.generations)
    }

    fn create_segment(
        &self,
        rotation: &mut Rotation,
        generation: u64,
        ticks: Ticks,
    ) -> Result<Arc<Segment>> {
        let (number, store) = (rotation.next_segment, self.store);
        let header =
            SegmentHeader { store, number, generation, ticks, previous: Previous::default() };
        let file = self.vault.create_segment(number)?;
        let segment =
            Segment::new(file, self.vault.segment_path(number), header, self.options.write_mode);
        // The next one takes the same number.
        let segment = segment.inspect_err(|_| self.remove_segment(number))?;
        rotation.next_segment += 1;
        Ok(Arc::new(segment))
    }

    fn fresh_table(&self, sizes: Sizes) -> Result<Table> {
        let spare = lock(&self.spares).pop();
        if let Some(spare) = spare.filter(|spare| sizes.is_of_size(spare)) {
            return Ok(spare);
        }
        sizes.new_table().map_err(|e| Error::io("allocate the active table of", &self.dir, e))
    }

    /// Waits until upkeep has sealed a table, or says why it cannot.
    fn wait_for_seal(&self, rotation: MutexGuard<'_, Rotation>) -> Result<()> {
        drop(rotation);
        self.check_usable()?;
        if !self.options.background {
            let mut upkeep = self.hold_upkeep();
            self.check_usable()?;
            return upkeep.step(self).map(|_| ());
        }
        let round = self.bell.ask();
        self.bell.wait_for_progress(round)?;
        self.log.check()
    }

    /// The active table, if it belongs to a generation that has ended and has ids.
    pub(crate) fn due_for_rotation(&self, now: Timestamp) -> Option<Arc<MemTable>> {
        let view = self.gate.enter();
        // What has only a header has nothing to be frozen.
        let used = |segment: &Arc<Segment>| segment.content_len() > SEGMENT_HEADER as u64;
        let due = view.active.segment_count() > 0
            && view.segment.as_ref().is_none_or(used)
            && now >= view.active.ticks.end()
            && view.frozen.is_empty();
        due.then(|| Arc::clone(&view.active))
    }

    /// Marks the store closed. `false` if it was.
    pub(crate) fn mark_closed(&self) -> bool {
        !self.closed.swap(true, Ordering::SeqCst)
    }
}
