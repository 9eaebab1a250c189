//! The upkeep thread, and the life of an open store.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::core::Core;
use super::upkeep::Step;
use crate::error::{Error, Result};
use crate::log::Need;
use crate::sync::{Mutex, lock};

/// How long upkeep waits after a failure that may pass, unless a caller asks sooner.
const RETRY: Duration = Duration::from_secs(1);

/// An open store and its upkeep thread. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    core: Arc<Core>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Running {
    /// Starts the upkeep of a store, on a thread of its own if that is wanted.
    pub(crate) fn start(core: Core) -> Running {
        let core = Arc::new(core);
        let thread = core.options.background.then(|| {
            let core = Arc::clone(&core);
            let builder = std::thread::Builder::new().name("firstseen-upkeep".into());
            builder.spawn(move || work(&core)).expect("a thread can be started")
        });
        Running { core, thread: Mutex::new(thread) }
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
        if let Some(thread) = lock(&self.thread).take() {
            // A panic of the thread has poisoned the log already.
            let _ = thread.join();
        }
        let finished = self.core.finish();
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
        let segment = {
            // Whoever makes room has done so, or will find the store closed.
            let _rotation = lock(&self.rotation);
            // Waits for the calls that are inside.
            self.gate.update(|view| view.segment.take())
        };
        self.log.wait(self.log.staged(), Need::Synced)?;
        let mut last_segment = lock(&self.rotation).next_segment - 1;
        let mut upkeep = lock(&self.upkeep);
        let mut unused = None;
        if let Some(segment) = segment {
            let empty = segment.content_len() == crate::format::segment::BYTES as u64;
            if empty && self.gate.enter().active.segment_count() == 1 {
                last_segment = segment.number() - 1;
                unused = Some(segment.number());
            } else {
                segment.trim()?;
            }
        }
        let facts = self.manifest_facts()?;
        upkeep.catalog.install(|manifest| {
            facts.apply(manifest);
            manifest.last_segment = last_segment;
        })?;
        if let Some(number) = unused {
            self.remove_file(&crate::format::names::segment(&self.dir, number));
        }
        Ok(())
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
        core.bell.report(stepped.err().inspect(|error| note_failure(core, error)));
    }
    std::mem::forget(on_panic);
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
