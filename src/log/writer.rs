//! Staging, group commit and failure.
//!
//! Callers stage their frames under one short lock, then wait until what they staged is written or
//! synced. Of those who wait, one leads: it takes everything that was staged, by anybody, writes it
//! with one call for each segment, syncs if anybody asked for it, and wakes the others.
//!
//! The first failed write or sync poisons the log (a retried sync can succeed after the system has
//! thrown the data away). What was not acknowledged is cut off, as far as the system still obeys,
//! so that a retry after a reopen is not taken for a duplicate.

use std::mem;
use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;

use super::segment::Segment;
use crate::error::{Error, Result};
use crate::format::frame::FrameBuffer;
use crate::format::segment::Previous;
use crate::planted::{Bug, planted};
use crate::sync::{Arc, AtomicU64, Condvar, Mutex, MutexGuard, Ordering, lock};
use crate::sys::write_all_at;

/// Buffers larger than this are not kept for the next frames.
const KEPT_BUFFER: usize = 8 << 20;
/// Frames shorter than this are copied: that is sooner done than their memory is missed.
const HANDED_OVER_MIN: usize = 4 << 10;
/// What a caller is left in place of its frame's memory has at most so many times its size: a group's may be large.
const LEFT_MAX: usize = 4;

/// A position in the log of this opening: how many bytes were staged before it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lsn(u64);

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The system has it.
    Written,
    /// The medium has it.
    Synced,
}

/// What the log has done since it was opened.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct LogStats {
    pub(crate) bytes_written: u64,
    pub(crate) syncs: u64,
    pub(crate) sync_total: Duration,
    pub(crate) sync_max: Duration,
}

/// The writing side of the log. See the module documentation.
#[derive(Debug)]
pub(crate) struct Log {
    /// Whether calls are acknowledged when synced, and not already when written.
    acknowledge_synced: bool,
    state: Mutex<State>,
    /// Signalled when a leader is done.
    changed: Condvar,
    /// Everything staged before this is written. Stored under the lock; a hint without it.
    written: AtomicU64,
    /// Everything staged before this is synced. Stored under the lock; a hint without it.
    synced: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    staged: u64,
    pending: Vec<Extent>,
    /// Segments that were written to since they were last synced, oldest first.
    dirty: Vec<Arc<Segment>>,
    /// Segments with lower numbers have been replaced.
    first_segment: u64,
    /// When the oldest of what is written and not synced was written.
    dirty_since: Option<Instant>,
    leading: bool,
    /// How many wait for a leader to be done: to wake nobody costs a call of the system as well.
    waiting: usize,
    sync_wanted: bool,
    failed: Option<std::sync::Arc<str>>,
    stats: LogStats,
    /// Memory of extents that were written.
    spare_list: Vec<Extent>,
    spare_buffers: Vec<Vec<u8>>,
}

/// Bytes staged for one place.
#[derive(Debug)]
struct Extent {
    segment: Arc<Segment>,
    offset: u64,
    bytes: Vec<u8>,
}

impl Log {
    /// A log whose calls are acknowledged when synced, or already when written.
    pub(crate) fn new(acknowledge_synced: bool) -> Log {
        Log {
            acknowledge_synced,
            state: Mutex::default(),
            changed: Condvar::new(),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
        }
    }

    /// Makes `segment` the one that follows a segment of which this is known: stages its header.
    /// Frames may be staged for it from now on, and for the one before no more.
    pub(crate) fn activate(&self, segment: &Arc<Segment>, previous: Previous) -> Lsn {
        let mut header = segment.header(previous).encode().to_vec();
        let reserved = segment.reserve(header.len() as u64);
        assert!(reserved, "a segment is created with room for its header");
        lock(&self.state).stage(segment, &mut header)
    }

    /// Fixes the place of a frame and takes it; the room for it was reserved. Returns the position behind it.
    pub(crate) fn stage(&self, segment: &Arc<Segment>, frame: &mut FrameBuffer) -> Lsn {
        let mut state = lock(&self.state);
        let offset = segment.tail.load(Ordering::Relaxed);
        let synced = segment.synced.load(Ordering::Relaxed);
        let bytes = frame.place(segment.header(Previous::default()).salt(), offset, synced);
        state.stage(segment, bytes)
    }

    /// The position behind everything staged so far.
    pub(crate) fn staged(&self) -> Lsn {
        Lsn(lock(&self.state).staged)
    }

    /// Waits until everything before `upto` is written or synced.
    pub(crate) fn wait(&self, upto: Lsn, need: Need) -> Result<()> {
        let reached = match need {
            Need::Written => &self.written,
            Need::Synced => &self.synced,
        };
        // Partner: the release in `finish`. A poisoned log has not reached what it did not reach.
        if reached.load(Ordering::Acquire) >= upto.0 {
            return Ok(());
        }
        // A write is over sooner than somebody is asleep and awake again; a sync is not. Models know no time.
        let mut may_be_over_soon = need == Need::Written && !cfg!(loom);
        let mut state = lock(&self.state);
        loop {
            if reached.load(Ordering::Relaxed) >= upto.0 {
                return Ok(());
            }
            state.check()?;
            state.sync_wanted |= need == Need::Synced;
            state = match state.leading {
                false => self.lead(state),
                true if mem::take(&mut may_be_over_soon) => self.watch_leader(state),
                true => self.wait_for_leader(state),
            };
        }
    }

    /// Looks for some microseconds whether the leader is done.
    fn watch_leader<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let (before, backoff) = (self.written.load(Ordering::Relaxed), Backoff::new());
        drop(state);
        while self.written.load(Ordering::Relaxed) == before && !backoff.is_completed() {
            backoff.snooze();
        }
        lock(&self.state)
    }

    /// How long the oldest of what is written has waited for a sync.
    pub(crate) fn unsynced_for(&self) -> Duration {
        lock(&self.state).dirty_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Why nothing is written any more, if so.
    pub(crate) fn check(&self) -> Result<()> {
        lock(&self.state).check()
    }

    /// Makes the log refuse everything from now on.
    pub(crate) fn poison(&self, cause: &Error) {
        let mut state = lock(&self.state);
        state.failed.get_or_insert_with(|| cause.to_string().into());
        if !state.leading {
            self.cut_off(&state.dirty);
        }
        self.changed.notify_all();
    }

    /// Lets go of the segments before number `first`, which must be wholly written and acknowledged, and what they hold
    /// durable elsewhere: nobody needs them synced. A file that is open takes room on the disk though it has no name.
    pub(crate) fn let_go_before(&self, first: u64) {
        if planted(Bug::SealedLogHeld) {
            return;
        }
        let mut state = lock(&self.state);
        state.first_segment = state.first_segment.max(first);
        // A leader has them all, and lets go of them when he is done.
        if !state.leading {
            drop(self.let_go_of_replaced(state));
        }
    }

    /// What is closed for good has its room freed, which takes time: nobody waits for it at the lock.
    fn let_go_of_replaced<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let first = state.first_segment;
        let replaced: Vec<_> =
            state.dirty.extract_if(.., |segment| segment.number() < first).collect();
        if replaced.is_empty() {
            return state;
        }
        if state.dirty.is_empty() {
            state.dirty_since = None;
        }
        drop(state);
        drop(replaced);
        lock(&self.state)
    }

    /// Lets go of all segments, so that whatever keeps them can be closed. Nothing is staged any more.
    /// After a failure the disk may obey again by now.
    pub(crate) fn let_go(&self) {
        let mut state = lock(&self.state);
        while state.leading {
            state = self.wait_for_leader(state);
        }
        if state.failed.is_some() {
            self.cut_off(&state.dirty);
        }
        state.pending.clear();
        state.dirty.clear();
    }

    /// What was done so far.
    pub(crate) fn stats(&self) -> LogStats {
        lock(&self.state).stats
    }

    fn wait_for_leader<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.waiting += 1;
        state = self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    /// Writes what is staged and syncs if that is wanted, for everybody.
    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.leading = true;
        let sync = mem::take(&mut state.sync_wanted);
        let spare = mem::take(&mut state.spare_list);
        let mut work = Work {
            extents: mem::replace(&mut state.pending, spare),
            dirty: mem::take(&mut state.dirty),
            upto: state.staged,
            sync,
        };
        // Reading the clock costs more than staging a small frame.
        let started = (sync || state.dirty_since.is_none()).then(Instant::now);
        drop(state);
        let outcome = work.run();
        if outcome.is_err() {
            self.cut_off(&work.dirty);
        }
        let state = self.finish(work, outcome, started);
        if state.waiting > 0 {
            self.changed.notify_all();
        }
        self.let_go_of_replaced(state)
    }

    /// Publishes what a leader did that started then, if that is of interest.
    fn finish(
        &self,
        mut work: Work,
        outcome: Result<()>,
        started: Option<Instant>,
    ) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        state.leading = false;
        match outcome {
            Ok(()) => {
                work.note_lengths();
                if planted(Bug::AcknowledgedUnwritten) {
                    work.upto = state.staged;
                }
                // Partner for both: the acquire in `wait`.
                self.written.store(work.upto, Ordering::Release);
                if work.sync {
                    self.synced.store(work.upto, Ordering::Release);
                    state.dirty_since = None;
                    state.stats.note_sync(started.map_or(Duration::ZERO, |at| at.elapsed()));
                } else if !work.dirty.is_empty() {
                    state.dirty_since = state.dirty_since.or(started);
                }
                state.dirty = mem::take(&mut work.dirty);
                if state.failed.is_some() {
                    // Poisoned meanwhile: whoever waits for more than this is refused.
                    self.cut_off(&state.dirty);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the log failed; the store refuses work until reopened");
                if !planted(Bug::FailureForgotten) {
                    state.failed = Some(error.to_string().into());
                }
                state.dirty = mem::take(&mut work.dirty);
            }
        }
        for mut extent in work.extents.drain(..) {
            state.stats.bytes_written += extent.bytes.len() as u64;
            extent.bytes.clear();
            if extent.bytes.capacity() <= KEPT_BUFFER && state.spare_buffers.len() < 2 {
                state.spare_buffers.push(extent.bytes);
            }
        }
        state.spare_list = work.extents;
        state
    }

    /// After a failure: takes back what was not acknowledged, so that it is not found by a reopen.
    fn cut_off(&self, dirty: &[Arc<Segment>]) {
        for segment in dirty.iter().filter(|_| !planted(Bug::FailureNotCutOff)) {
            let kept = if self.acknowledge_synced { &segment.synced } else { &segment.written };
            let kept = kept.load(Ordering::Relaxed);
            if let Err(error) = segment.file.truncate(kept) {
                let path = segment.path.display();
                tracing::error!(%path, kept, %error, "cannot take back unacknowledged frames");
            }
        }
    }
}

impl State {
    fn check(&self) -> Result<()> {
        match &self.failed {
            Some(cause) => Err(Error::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Takes the bytes: a copy of them, or where they are many and the first of a group their memory, for which other
    /// memory is left.
    fn stage(&mut self, segment: &Arc<Segment>, bytes: &mut Vec<u8>) -> Lsn {
        let (offset, len) = (segment.tail.load(Ordering::Relaxed), bytes.len() as u64);
        segment.tail.store(offset + len, Ordering::Relaxed);
        match self.pending.last_mut() {
            Some(last) if Arc::ptr_eq(&last.segment, segment) => {
                last.bytes.extend_from_slice(bytes);
            }
            _ => {
                let mut buffer = self.spare_buffers.pop().unwrap_or_default();
                let fits = buffer.capacity() <= bytes.capacity().saturating_mul(LEFT_MAX);
                if fits && bytes.len() >= HANDED_OVER_MIN {
                    mem::swap(&mut buffer, bytes);
                } else {
                    buffer.extend_from_slice(bytes);
                }
                self.pending.push(Extent { segment: Arc::clone(segment), offset, bytes: buffer });
            }
        }
        self.staged += len;
        Lsn(self.staged)
    }
}

impl LogStats {
    fn note_sync(&mut self, took: Duration) {
        self.syncs += 1;
        self.sync_total += took;
        self.sync_max = self.sync_max.max(took);
    }
}

/// What one leader has to do.
struct Work {
    extents: Vec<Extent>,
    dirty: Vec<Arc<Segment>>,
    upto: u64,
    sync: bool,
}

impl Work {
    fn run(&mut self) -> Result<()> {
        for extent in &self.extents {
            let segment = &extent.segment;
            if !self.dirty.iter().any(|dirty| Arc::ptr_eq(dirty, segment)) {
                self.dirty.push(Arc::clone(segment));
            }
            write_all_at(&*segment.file, &extent.bytes, extent.offset)
                .map_err(|e| Error::io("write", &segment.path, e))?;
        }
        if self.sync {
            // Oldest first: a later segment is never durable before an earlier one.
            for (i, segment) in self.dirty.iter().enumerate() {
                if planted(Bug::EarlierSegmentUnsynced) && i + 1 < self.dirty.len() {
                    continue;
                }
                if planted(Bug::SyncRetried) && segment.file.sync_data().is_ok() {
                    continue;
                }
                segment.file.sync_data().map_err(|e| Error::io("sync", &segment.path, e))?;
            }
        }
        Ok(())
    }

    /// Notes, after everything went well, how much of each segment is written and synced.
    fn note_lengths(&mut self) {
        for Extent { segment, offset, bytes } in &self.extents {
            segment.written.store(offset + bytes.len() as u64, Ordering::Relaxed);
        }
        if self.sync {
            for segment in self.dirty.drain(..) {
                let written = segment.written.load(Ordering::Relaxed);
                segment.synced.store(written, Ordering::Relaxed);
            }
        }
    }
}
