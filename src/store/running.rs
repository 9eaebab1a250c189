//! A store's life while it is open, up to its closing.

use std::sync::Arc;

use super::core::Core;
use super::pool::{Pool, Syncing};
use super::set::Membership;
use crate::error::Result;
use crate::filter::WindowFilter;
use crate::format::frame::{FrameBuffer, FrameKind};
use crate::format::segment::BYTES as SEGMENT_HEADER;
use crate::index::{BUCKET_BITS_MIN, Table};
use crate::log::{Need, Segment};
use crate::store::crew::Seat;
use crate::sync::{Mutex, lock};
use crate::window::MemTable;

/// An open store, with its part in a pool and in a set. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    core: Arc<Core>,
    /// Until it is closed.
    post: Mutex<Post>,
}

/// What an open store has outside of itself, given up in this order.
#[derive(Debug, Default)]
struct Post {
    sync: Option<Seat<Syncing>>,
    membership: Option<Membership>,
    pool: Option<Arc<Pool>>,
}

impl Running {
    /// Starts the upkeep of a store, by the threads of its set or by one of its own, if that is wanted.
    pub(crate) fn start(core: Core, membership: Option<Membership>) -> Result<Running> {
        let core = Arc::new(core);
        let running = Running { core: Arc::clone(&core), post: Mutex::default() };
        let mut post = lock(&running.post);
        let pool = membership.as_ref().map(|membership| {
            membership.opened(&core);
            Arc::clone(membership.pool())
        });
        post.membership = membership;
        if core.options.background {
            let pool = pool.unwrap_or_else(|| Arc::new(Pool::new(1)));
            let pool = post.pool.insert(pool);
            post.sync = pool.join(&core)?;
        }
        drop(post);
        Ok(running)
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Closes the store, once.
    pub(crate) fn close(&self) -> Result<()> {
        let core = &*self.core;
        if !core.mark_closed() {
            return Ok(());
        }
        let post = std::mem::take(&mut *lock(&self.post));
        core.bell.stop();
        // Of the pool's threads none is at this store from here on.
        core.bell.disconnect();
        if let Some(seat) = &post.sync {
            seat.leave();
        }
        // Before the folder is given up: what is under way would touch it when it is dropped.
        lock(&core.upkeep).abandon();
        let finished = core.finish();
        // Nothing is let in any more, so no id is free by this but for those who wait for it.
        core.claims.close();
        core.log.let_go();
        core.let_memory_go();
        core.vault.close();
        *lock(&core.lock) = None;
        // Its share goes to the others only now.
        drop(post);
        finished
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "closing a store failed");
        }
    }
}

impl Core {
    /// Gives back tables, runs and the filter, though handles may be left. Whoever comes through the gate
    /// from now on is told that the store is closed.
    fn let_memory_go(&self) {
        let spares = std::mem::take(&mut *lock(&self.spares));
        // The least that a view has; where there is no memory for it the old ones stay.
        let filter = WindowFilter::new(1).ok().map(crate::sync::Arc::new);
        let (generation, ticks) = {
            let view = self.gate.enter();
            (view.active.generation, view.active.ticks)
        };
        let table = Table::new(BUCKET_BITS_MIN).ok();
        let active = table.map(|table| MemTable::new(table, generation, ticks, 0));
        let active = active.map(crate::sync::Arc::new);
        let unused = self.gate.update(|view| {
            let filter = filter.map(|filter| std::mem::replace(&mut view.filter, filter));
            let active = active.map(|active| std::mem::replace(&mut view.active, active));
            let (runs, frozen) = (std::mem::take(&mut view.runs), std::mem::take(&mut view.frozen));
            (filter, active, runs, frozen)
        });
        drop((unused, spares));
    }

    /// Writes and syncs everything, and leaves the folder tidy.
    fn finish(&self) -> Result<()> {
        // Rotation gives out no segment any more, and this waits for the calls that are inside.
        let rotation = lock(&self.rotation);
        let segment = self.gate.update(|view| view.segment.take());
        let (mut last_segment, previous) = (rotation.next_segment - 1, rotation.previous);
        drop(rotation);
        self.log.wait(self.log.staged(), Need::Synced)?;
        let unused = segment.as_ref().is_some_and(|s| s.content_len() == SEGMENT_HEADER as u64);
        if let Some(segment) = segment.as_ref().filter(|_| !unused) {
            self.vouch_for(segment)?;
        }
        last_segment -= u64::from(unused);
        // The end of a segment that none follows is vouched for by nothing else.
        let used = segment.as_ref().filter(|_| !unused);
        let durable = used.map_or(previous.len, |segment| segment.synced_len());
        let facts = self.manifest_facts()?;
        self.hold_upkeep().catalog.install(|manifest| {
            facts.apply(manifest);
            manifest.set_last_segment(last_segment, Some(durable));
        })?;
        match segment {
            Some(segment) if unused => self.remove_last_segment(segment.number()),
            Some(segment) => segment.trim(),
            None => Ok(()),
        }
    }

    /// Removes a segment that nothing was put into, unless there is one behind it, such as a creation that failed
    /// may have left: an opening would miss it between others.
    fn remove_last_segment(&self, number: u64) -> Result<()> {
        if self.vault.segments(number + 1)?.contains(&(number + 1)) {
            self.remove_segment(number + 1);
        }
        if self.vault.segments(number + 1)?.is_empty() {
            self.remove_segment(number);
        }
        Ok(())
    }

    /// Ends a synced segment with an empty frame that says so of all before it. Without one, damage
    /// to the frames behind the last statement would look like a torn tail.
    fn vouch_for(&self, segment: &crate::sync::Arc<Segment>) -> Result<()> {
        let mut frame = FrameBuffer::default();
        frame.start();
        frame.seal(FrameKind::Forget, self.clock.high_water(), 0, &[]);
        // On a full disk the segment goes without: nothing depends on it.
        if !segment.reserve(frame.len() as u64) {
            return Ok(());
        }
        let lsn = self.log.stage(segment, &mut frame);
        self.log.wait(lsn, Need::Synced)
    }

    /// Drops what has expired.
    pub(crate) fn free_expired(&self) -> Result<()> {
        let mut upkeep = self.hold_upkeep();
        self.check_usable()?;
        upkeep.expire_all(self)
    }

    /// Freezes the active table and seals everything that is frozen.
    pub(crate) fn seal_active(&self) -> Result<()> {
        if self.gate.enter().active.ids() > 0 {
            self.rotate(None, self.clock.now())?;
        } else {
            // Progress, state and what was forgotten come without ids: a seal makes them durable too.
            self.log.wait(self.log.staged(), Need::Synced)?;
        }
        let mut upkeep = self.hold_upkeep();
        self.check_usable()?;
        upkeep.seal_all(self)
    }
}
