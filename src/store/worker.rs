//! The threads of a store, and its life while it is open.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::core::Core;
use super::upkeep::{NAP_MIN, Step};
use crate::config::Durability;
use crate::error::{Error, Result};
use crate::format::frame::{FrameBuffer, FrameKind};
use crate::format::segment::BYTES as SEGMENT_HEADER;
use crate::log::{Need, Segment};
use crate::sync::{Mutex, lock};

/// How long upkeep waits after a failure that may pass, unless a caller asks sooner.
const RETRY: Duration = Duration::from_secs(1);

/// An open store and its threads. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Running {
    /// Starts the upkeep of a store, on a thread of its own if that is wanted.
    pub(crate) fn start(core: Core) -> Result<Running> {
        let running = Running { core: Arc::new(core), threads: Mutex::default() };
        let core = &running.core;
        if core.options.background {
            running.spawn("firstseen-upkeep", work)?;
            if matches!(core.options.durability, Durability::Interval(_)) {
                running.spawn("firstseen-sync", sync)?;
            }
        }
        Ok(running)
    }

    fn spawn(&self, name: &str, work: fn(&Core)) -> Result<()> {
        let core = Arc::clone(&self.core);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || work(&core));
        let started = |e| Error::io("start a thread for", &self.core.dir, e);
        lock(&self.threads).push(thread.map_err(started)?);
        Ok(())
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Closes the store, once.
    pub(crate) fn close(&self) -> Result<()> {
        if !self.core.mark_closed() {
            return Ok(());
        }
        self.core.bell.stop();
        self.core.sync_bell.stop();
        for thread in lock(&self.threads).drain(..) {
            // A panic of the thread has poisoned the log already.
            let _ = thread.join();
        }
        // Before the folder is given up: what is under way would touch it when it is dropped.
        lock(&self.core.upkeep).abandon();
        let finished = self.core.finish();
        // Nothing is let in any more, so no id is free by this but for those who wait for it.
        self.core.claims.close();
        self.core.log.let_go();
        // Whoever comes through the gate from now on is told that the store is closed.
        let runs = self.core.gate.update(|view| std::mem::take(&mut view.runs));
        drop(runs);
        self.core.vault.close();
        *lock(&self.core.lock) = None;
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
        lock(&self.upkeep).catalog.install(|manifest| {
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
        let mut upkeep = lock(&self.upkeep);
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
        let mut upkeep = lock(&self.upkeep);
        self.check_usable()?;
        upkeep.seal_all(self)
    }
}

/// The thread: a step after the other, a nap when there is nothing to do.
fn work(core: &Core) {
    let on_panic = OnPanic(core);
    let mut nap = Duration::ZERO;
    while core.bell.wait_for_work(nap) {
        let stepped = lock(&core.upkeep).step(core);
        nap = match stepped {
            Ok(Step::Did) => Duration::ZERO,
            Ok(Step::Idle(nap)) => nap,
            Err(_) => RETRY,
        };
        // Whatever came of the step, and with no lock held: to wake runs foreign code.
        let mono = core.monotonic();
        if let Some(end) = core.claims.wake_ended(mono) {
            nap = nap.min(end.since(mono).max(NAP_MIN));
        }
        #[cfg(feature = "metrics")]
        {
            super::metrics::publish(&core.dir, &core.stats());
            nap = nap.min(super::metrics::INTERVAL);
        }
        core.bell.report(stepped.err().inspect(|error| note_failure(core, error)));
    }
    std::mem::forget(on_panic);
}

/// The thread that keeps to the interval of `Durability::Interval`, whatever upkeep is busy with.
fn sync(core: &Core) {
    let Durability::Interval(most) = core.options.durability else { return };
    while core.sync_bell.wait_for_work((most / 4).max(Duration::from_millis(1))) {
        // A failure has poisoned the log; the next call is told.
        let _ = core.sync_if_due();
    }
}

/// A full disk may pass; after anything else nothing can be promised any more.
fn note_failure(core: &Core, error: &Error) {
    if matches!(error, Error::Closed) {
        return;
    }
    tracing::warn!(%error, "upkeep failed");
    if !error.is_transient() {
        core.log.poison(error);
    }
}

/// Poisons the store if the thread ends by a panic, so that nobody waits for it for ever.
struct OnPanic<'a>(&'a Core);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        let error = Error::Misuse("the upkeep thread panicked; please report it".into());
        self.0.log.poison(&error);
        self.0.bell.stop();
    }
}
