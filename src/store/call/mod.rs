//! The way of one call: fingerprints, filter, runs on a hit, active table, log.
//!
//! | module | what it is |
//! |---|---|
//! | `lookup` | what is older than the active table, and looks that insert nothing |
//! | `insert` | a call that inserts, piece by piece |
//! | `moment` | at which time each id is judged |
//! | `runs` | looks into the runs, with reads ahead where memory does not hold them |
//! | `coldness` | whether it does |
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

mod coldness;
mod insert;
mod lookup;
mod moment;
mod runs;

use std::time::Duration;

use super::core::Core;
use super::counters::Tally;
use super::rotation::{FROZEN_MAX, Need};
use crate::error::Result;
use crate::format::frame::FrameBuffer;
use crate::key::Fingerprint;
use crate::log::Lsn;
use crate::planted::{Bug, planted};
use crate::sync::gate::Inside;
use crate::time::Timestamp;
use crate::window::View;

pub(crate) use coldness::Coldness;
pub(crate) use moment::{Moment, Moments};
use runs::Looked;

/// The most ids of a piece: 64 Ki ids are a megabyte of log.
pub(crate) const PIECE_MAX: usize = 1 << 16;

/// The ids of a call, or of a piece of it, and when they are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) ids: &'a [Fingerprint],
    pub(crate) moments: Moments<'a>,
}

impl<'a> Call<'a> {
    /// All ids judged at `now`.
    pub(crate) fn at(ids: &'a [Fingerprint], now: Timestamp) -> Call<'a> {
        Call { ids, moments: Moments::Same(now) }
    }

    /// The piece of it that starts with id `from`.
    fn piece(self, from: usize) -> Call<'a> {
        let end = self.ids.len().min(from + PIECE_MAX);
        Call { ids: &self.ids[from..end], moments: self.moments.skip(from) }
    }

    /// The front of it that is judged before `end`, at least one id.
    fn before(self, end: Timestamp) -> Call<'a> {
        let n = self.moments.count_before(self.ids.len(), end);
        Call { ids: &self.ids[..n], moments: self.moments }
    }

    /// When its last id is judged; `None` if it has none.
    pub(in crate::store) fn last(self) -> Option<Timestamp> {
        self.ids.len().checked_sub(1).map(|last| self.moments.at(last).now)
    }
}

/// Memory that a call needs, kept by the thread for its next one.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) moments: Vec<Moment>,
    /// Indices of ids that the filter cannot rule out.
    maybe: Vec<u32>,
    looked: Looked,
    /// Indices of ids that the set of forgotten ids let in, ascending.
    let_in: Vec<u32>,
    frame: FrameBuffer,
    /// The ticks of the ids in the frame, where they have times of their own.
    ticks: Vec<u8>,
}

/// What a call looks at, once it is inside, and what it has reserved.
pub(in crate::store) struct Room<'a> {
    pub(in crate::store) inside: Inside<'a, View>,
    ids: usize,
    pub(in crate::store) bytes: u64,
}

/// What a caller does for all, once its own call is done. Nothing of it holds the log's segment: whoever closes the store
/// waits for nobody who is outside.
#[derive(Debug)]
struct Chores {
    /// The log has little room ready, and it is this caller that readies more.
    low: bool,
    /// How long it pauses, for upkeep is so far behind that the next rotation would wait.
    pause: Option<Duration>,
}

impl Core {
    /// Enters the gate with room for `ids` ids. Makes room first where there is none.
    pub(in crate::store) fn enter_with_room(
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
            let over = now >= view.active.ticks.end() || self.is_heavy(view);
            let need = if over || !view.active.reserve(ids) {
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

    /// Whether the active table has more of the log, or more values, than it should.
    fn is_heavy(&self, view: &View) -> bool {
        let log = view.segment.as_ref().map_or(0, |segment| segment.content_len());
        let sizes = self.sizes();
        log > sizes.log_limit() || view.active.values.bytes() > sizes.values_limit()
    }

    /// Gives back what a piece reserved and did not use.
    pub(in crate::store) fn give_back(&self, room: &Room<'_>, ids_used: usize, bytes_used: u64) {
        room.inside.active.release(room.ids - ids_used);
        if let Some(segment) = &room.inside.segment {
            segment.release(room.bytes - bytes_used);
        }
    }

    /// Leaves the gate and waits until what the verdicts rest on is as durable as promised.
    pub(in crate::store) fn leave(
        &self,
        inside: Inside<'_, View>,
        lsn: Option<Lsn>,
        tally: &Tally,
    ) -> Result<()> {
        let chores = self.chores(&inside, tally.new);
        self.leave_and_wait(inside, lsn, tally)?;
        self.see_to(chores);
        Ok(())
    }

    /// What is due from a call that has let in `new` ids.
    fn chores(&self, view: &View, new: u64) -> Chores {
        let low = view.segment.as_ref().is_some_and(|segment| segment.take_low());
        // Without a thread in the background there is nobody to wait for.
        let behind = view.frozen.len() >= FROZEN_MAX && self.options.background;
        let pause = if new > 0 && behind {
            let now = self.pace.now();
            self.pace.charge(now, new, view.active.ids(), view.active.limit())
        } else {
            None
        };
        Chores { low, pause }
    }

    /// Does them, outside of the gate and once the call is acknowledged.
    fn see_to(&self, Chores { low, pause }: Chores) {
        if low {
            self.extend_ahead();
        }
        if let Some(pause) = pause {
            std::thread::sleep(pause);
        }
    }

    /// Does what is due from a transaction that has let in `new` ids, once it is acknowledged.
    pub(in crate::store) fn see_to_chores(&self, new: usize) {
        let chores = self.chores(&self.gate.enter(), new as u64);
        self.see_to(chores);
    }

    fn leave_and_wait(
        &self,
        inside: Inside<'_, View>,
        lsn: Option<Lsn>,
        tally: &Tally,
    ) -> Result<()> {
        if !tally.rests_on_log || planted(Bug::DuplicateUnawaited) {
            drop(inside);
            return lsn.map_or(Ok(()), |lsn| self.acknowledge(lsn));
        }
        // Whoever inserted what was found may be inside still, its frame not yet staged.
        let (slot, readers) = (inside.slot(), self.gate.readers());
        drop(inside);
        if !planted(Bug::WinnerUnawaited) {
            self.gate.wait_for(&readers, slot);
        }
        self.acknowledge(self.log.staged())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Store;
    use crate::testing::MemoryDisk;

    fn open() -> Store {
        let builder = Store::builder().memory_budget(16 << 20).background(false);
        builder.storage(Arc::new(MemoryDisk::new())).open("/s").unwrap()
    }

    fn ids(numbers: std::ops::Range<u64>) -> Vec<[u8; 8]> {
        numbers.map(u64::to_le_bytes).collect()
    }

    /// However ids are let in, no call finds less room in the log than it needs.
    #[test]
    fn room_in_the_log_is_ready_before_it_is_needed() {
        for transactions in [false, true] {
            let store = open();
            for call in 0..100 {
                let ids = ids(call * 1_000..(call + 1) * 1_000);
                if transactions {
                    store.begin(&ids).unwrap().commit().unwrap();
                } else {
                    store.check_and_insert(&ids).unwrap();
                }
                let inside = store.core().gate.enter();
                assert!(inside.segment.as_ref().unwrap().has_room(100 << 10), "call {call}");
            }
        }
    }

    /// Somebody has sealed a table of it before, and it took its time.
    fn assert_pauses(store: &Store, expected: bool) {
        let core = store.core();
        let (inside, now) = (core.gate.enter(), core.pace.now());
        let limit = inside.active.limit();
        core.pace.begin(now);
        core.pace.finish(now + Duration::from_secs(1), limit as u64, limit);
        core.pace.begin(now);
        inside.active.reserve(limit / 2);
        assert_eq!(core.chores(&inside, 0).pause, None);
        assert_eq!(core.chores(&inside, 1_000).pause.is_some(), expected);
        inside.active.release(limit / 2);
    }

    #[test]
    fn callers_pause_only_while_the_next_rotation_would_wait_for_somebody() {
        for background in [false, true] {
            let disk = MemoryDisk::new();
            let builder = Store::builder().memory_budget(32 << 20).background(background);
            let store = builder.storage(Arc::new(disk)).open("/s").unwrap();
            // Nobody else seals meanwhile.
            let upkeep = store.core().hold_upkeep();
            for frozen in 0..=FROZEN_MAX {
                store
                    .check_and_insert(&ids(frozen as u64 * 100..frozen as u64 * 100 + 100))
                    .unwrap();
                assert_eq!(store.core().gate.enter().frozen.len(), frozen);
                assert_pauses(&store, background && frozen == FROZEN_MAX);
                if frozen < FROZEN_MAX {
                    store.core().rotate(None, store.core().clock.now()).unwrap();
                }
            }
            drop(upkeep);
            store.close().unwrap();
        }
    }
}
