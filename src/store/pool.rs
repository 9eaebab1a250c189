//! The threads behind stores: those that do upkeep, and one that keeps to sync intervals.
//!
//! A store that is alone has a pool of its own, with one thread for upkeep; the members of a set share one. The
//! thread for intervals starts with the first store that has [`Durability::Interval`]: a long step of upkeep
//! does not delay it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::crew::{Call, Crew, Member, Seat};
use super::upkeep::{NAP_MIN, Step, Upkeep};
use crate::config::Durability;
use crate::error::{Error, Result};
use crate::sync::{MutexGuard, lock};

/// How long upkeep waits after a failure that may pass, unless a caller asks sooner.
const RETRY: Duration = Duration::from_secs(1);

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Pool {
    upkeep: Crew<Upkeeping>,
    sync: Crew<Syncing>,
}

impl Pool {
    /// A pool with so many threads for upkeep. They start when the first store joins.
    pub(crate) fn new(threads: usize) -> Pool {
        Pool {
            upkeep: Crew::new("firstseen-upkeep", threads),
            sync: Crew::new("firstseen-sync", 1),
        }
    }

    /// From now on its threads care for this store, until that leaves by its bell and by the seat returned,
    /// which is that of its sync interval.
    pub(crate) fn join(&self, core: &Arc<Core>) -> Result<Option<Seat<Syncing>>> {
        let started = |e| Error::io("start a thread for", &core.dir, e);
        let seat = self.upkeep.join(Upkeeping(Arc::clone(core))).map_err(started)?;
        core.bell.connect(seat);
        let Durability::Interval(most) = core.options.durability else { return Ok(None) };
        let seat = self.sync.join(Syncing { core: Arc::clone(core), most }).map_err(started)?;
        seat.ring(Call::Rung);
        Ok(Some(seat))
    }

    /// How many threads run.
    pub(crate) fn threads(&self) -> usize {
        self.upkeep.threads() + self.sync.threads()
    }
}

/// The upkeep of a store.
pub(crate) struct Upkeeping(Arc<Core>);

impl Member for Upkeeping {
    fn step(&self) -> Duration {
        let core = &*self.0;
        // Whoever holds it rings when it is given up: a thread has others to care for meanwhile.
        let stepped = crate::sync::try_lock(&core.upkeep).map(|mut upkeep| upkeep.step(core));
        let mut nap = match stepped {
            Some(Ok(Step::Did)) => Duration::ZERO,
            Some(Ok(Step::Idle(nap))) => nap,
            Some(Err(_)) | None => RETRY,
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
        if let Some(stepped) = stepped {
            if stepped.is_err() {
                core.pace.begin(core.pace.now());
            }
            core.bell.report(stepped.err().inspect(|error| note_failure(core, error)));
        }
        nap
    }

    /// Poisons the store, so that nobody waits for it for ever.
    fn panicked(&self) {
        poison_after_panic(&self.0, "a step of upkeep panicked; please report it");
    }
}

/// The sync interval of a store.
pub(crate) struct Syncing {
    core: Arc<Core>,
    most: Duration,
}

impl Member for Syncing {
    fn step(&self) -> Duration {
        // A failure has poisoned the log; the next call is told.
        let _ = self.core.sync_if_due();
        (self.most / 4).max(Duration::from_millis(1))
    }

    fn panicked(&self) {
        poison_after_panic(&self.core, "a sync panicked; please report it");
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

fn poison_after_panic(core: &Core, what: &str) {
    core.log.poison(&Error::Misuse(what.into()));
    core.bell.stop();
}

/// Upkeep, held by a caller.
pub(crate) struct Holding<'a> {
    core: &'a Core,
    /// Until it is dropped.
    upkeep: Option<MutexGuard<'a, Upkeep>>,
}

impl Core {
    /// Waits for upkeep and holds it. Nothing else of it is done meanwhile.
    pub(crate) fn hold_upkeep(&self) -> Holding<'_> {
        Holding { core: self, upkeep: Some(lock(&self.upkeep)) }
    }
}

impl Deref for Holding<'_> {
    type Target = Upkeep;

    fn deref(&self) -> &Upkeep {
        self.upkeep.as_ref().expect("held until it is dropped")
    }
}

impl DerefMut for Holding<'_> {
    fn deref_mut(&mut self) -> &mut Upkeep {
        self.upkeep.as_mut().expect("held until it is dropped")
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.upkeep = None;
        // A thread may have passed by, with somebody waiting for what it would have done.
        self.core.bell.ring_urgently();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use crate::store::{Store, StoreSet};
    use crate::testing::MemoryDisk;

    fn insert(store: &Store, numbers: std::ops::Range<u64>) {
        let ids: Vec<_> = numbers.map(u64::to_le_bytes).collect();
        store.check_and_insert(&ids).unwrap();
    }

    /// Somebody holds the upkeep of one store; the only thread goes on with another, and comes back.
    #[test]
    fn a_store_whose_upkeep_is_held_holds_up_no_other() {
        let set = StoreSet::builder().memory_budget(32 << 20).threads(1).build().unwrap();
        let builder = Store::builder().set(&set).active_ids(500);
        let open = |dir| builder.clone().storage(Arc::new(MemoryDisk::new())).open(dir).unwrap();
        let (held, other) = (open("/held"), open("/other"));
        let holding = held.core().hold_upkeep();
        // As many as may wait; upkeep is rung for, and asked.
        insert(&held, 0..400);
        insert(&held, 400..800);
        held.core().bell.ask();
        (0..20).for_each(|n| insert(&other, n * 400..n * 400 + 400));
        assert!(other.stats().sealed > 10);
        assert_eq!(held.stats().sealed, 0);
        let released = Instant::now();
        drop(holding);
        (2..6).for_each(|n| insert(&held, n * 400..n * 400 + 400));
        assert!(held.stats().sealed > 1);
        assert!(released.elapsed() < Duration::from_secs(60));
    }
}
