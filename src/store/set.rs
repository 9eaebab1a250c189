//! Many stores, one memory budget, one pool of background threads.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::budget::{Budget, SHARE_MIN};
use super::core::Core;
use super::options::DEFAULT_MEMORY;
use super::pool::Pool;
use crate::error::{Error, Result};
use crate::sync::{Mutex, lock};

/// Two: while one is at a long step of one store, the other seals for another. More are for many fast disks.
const DEFAULT_THREADS: usize = 2;
const THREADS_MAX: usize = 64;

/// Stores that share one memory budget and one pool of background threads.
///
/// For consumers that have one store for each partition, and may own one of them or two hundred. A `StoreSet` is a
/// handle: cloning it is cheap, and it may be used from any thread. Stores that are open keep it alive;
/// its threads end with the last handle of it and the last store.
///
/// # What is shared
///
/// * **Memory.** Tables and window filters of a store take at most its *share*: the budget divided by the number
///   of open stores, at least 16 MiB. One store more than that allows is refused ([`Error::SetFull`]).
///   When a store joins, the shares of the others shrink, and they give back in the background what they
///   have beyond: the table is sealed and replaced by a smaller one, the filter is rebuilt into a smaller one.
///   Until they have, the set may take more than its budget. When a store is closed, shares grow, and tables
///   and filters with them as they are replaced anyway. A share of less than 32 MiB is exceeded by up to
///   8 MiB while two tables wait to be sealed, for the smallest table has 4 MiB.
/// * **Threads.** Each does one step of one store at a time, and stores have their turns; one whose callers
///   wait for a seal comes first. One more thread keeps to the intervals of
///   [`Durability::Interval`](crate::Durability::Interval), once a store has such.
///
/// All else is a store's own: files, lock, window, [`Builder::max_bytes`](crate::Builder::max_bytes), and failures. One
/// that fails is poisoned alone. Closing one waits for a step of its own that is under way, never for
/// those of others. What a store has beside its budget (see the crate's documentation) is beside the set's too, and so is
/// the cache of a database of [`Backend::Sled`](crate::Backend::Sled): a quarter of the share at opening.
///
/// ```
/// use firstseen::{Store, StoreSet};
///
/// # let folder = tempfile::tempdir()?;
/// let set = StoreSet::builder().memory_budget(256 << 20).build()?;
/// let open = |partition: u32| {
///     Store::builder().set(&set).open(folder.path().join(format!("orders-{partition}.seen")))
/// };
/// let (first, second) = (open(0)?, open(1)?);
/// assert!(first.check_and_insert(&["order-1"])?[0].is_new());
/// assert!(second.check_and_insert(&["order-1"])?[0].is_new()); // another store
/// assert_eq!(set.stores(), 2);
///
/// first.close()?; // revoked
/// assert_eq!(set.stores(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StoreSet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    budget: Arc<Budget>,
    pool: Arc<Pool>,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    /// How many shares are taken: by stores that are open, or being opened.
    taken: u64,
    next: u64,
    open: BTreeMap<u64, Weak<Core>>,
}

/// What a [`StoreSet`] has, and takes, at one moment: see [`StoreSet::stats`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SetStats {
    /// Stores that are open.
    pub stores: u64,
    /// Memory for tables and window filters of all stores, in bytes.
    pub memory_budget: u64,
    /// What they take, in bytes, a filter that is being rebuilt not counted twice. Above the budget only until
    /// stores have given back what they had beyond their share.
    pub memory: u64,
    /// Background threads that run.
    pub threads: u64,
}

/// How a [`StoreSet`] is made. See [`StoreSet::builder`].
#[derive(Debug, Clone)]
pub struct SetBuilder {
    memory_budget: u64,
    threads: usize,
}

impl SetBuilder {
    /// The memory for tables and window filters of all stores together, in bytes: at least 16 MiB for each that
    /// is to be open at a time. Default: 512 MiB, enough for 32 stores.
    #[must_use]
    pub fn memory_budget(mut self, bytes: u64) -> SetBuilder {
        self.memory_budget = bytes;
        self
    }

    /// How many threads seal, expire and merge for all stores, 1 to 64. Default: 2.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> SetBuilder {
        self.threads = threads;
        self
    }

    /// Makes the set. Its threads start with its first store.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`].
    pub fn build(self) -> Result<StoreSet> {
        let refuse = |option, reason: String| Err(Error::InvalidOption { option, reason });
        if self.memory_budget < SHARE_MIN {
            let bytes = self.memory_budget;
            return refuse("memory_budget", format!("{bytes} bytes, under 16 MiB"));
        }
        if !(1..=THREADS_MAX).contains(&self.threads) {
            return refuse("threads", format!("{} is not within 1 and 64", self.threads));
        }
        let budget = Budget::shared(self.memory_budget);
        let pool = Arc::new(Pool::new(self.threads));
        Ok(StoreSet { inner: Arc::new(Inner { budget, pool, members: Mutex::default() }) })
    }
}

impl StoreSet {
    /// Options for making a set.
    #[must_use]
    pub fn builder() -> SetBuilder {
        SetBuilder { memory_budget: DEFAULT_MEMORY, threads: DEFAULT_THREADS }
    }

    /// How many stores are open.
    #[must_use]
    pub fn stores(&self) -> usize {
        lock(&self.inner.members).open.len()
    }

    /// Counts and sizes.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// let set = firstseen::StoreSet::builder().threads(1).build()?;
    /// let store = firstseen::Store::builder().set(&set).open(folder.path())?;
    /// let stats = set.stats();
    /// assert_eq!((stats.stores, stats.threads), (1, 1));
    /// assert!(0 < stats.memory && stats.memory <= stats.memory_budget);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> SetStats {
        let open = self.open();
        SetStats {
            stores: open.len() as u64,
            memory_budget: self.inner.budget.bytes(),
            memory: open.iter().map(|core| core.memory_taken()).sum(),
            threads: self.inner.pool.threads() as u64,
        }
    }

    /// Takes a share for a store that is about to be opened; those of all others shrink.
    pub(crate) fn admit(&self) -> Result<Membership> {
        let budget = &self.inner.budget;
        let number = {
            let mut members = lock(&self.inner.members);
            if members.taken >= budget.most_members() {
                let (stores, each, budget) = (budget.most_members(), SHARE_MIN, budget.bytes());
                return Err(Error::SetFull { stores, each, budget });
            }
            members.taken += 1;
            budget.set_members(members.taken);
            members.next += 1;
            members.next
        };
        // They give back what they have beyond their share.
        self.open().iter().for_each(|core| core.bell.ring());
        Ok(Membership { set: self.clone(), number })
    }

    fn open(&self) -> Vec<Arc<Core>> {
        lock(&self.inner.members).open.values().filter_map(Weak::upgrade).collect()
    }
}

/// A store's place in a set, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    set: StoreSet,
    number: u64,
}

impl Membership {
    pub(crate) fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.set.inner.budget)
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.set.inner.pool
    }

    /// The store is open: it is told of changes, and counted.
    pub(crate) fn opened(&self, core: &Arc<Core>) {
        lock(&self.set.inner.members).open.insert(self.number, Arc::downgrade(core));
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut members = lock(&self.set.inner.members);
        members.open.remove(&self.number);
        members.taken -= 1;
        self.set.inner.budget.set_members(members.taken);
    }
}
