//! Locks that tell the thread sanitizer what they order, under `cfg(tsan)`: see `tests/sanitize`.
//!
//! The standard library is not built for the sanitizer, which so does not see what a lock does that had to
//! wait. Beside each mutex here stands a word that whoever leaves it writes and whoever enters it reads:
//! the order that the mutex gives anyway, and no other. `tests/stress_transactions.rs` has this file as well.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{self, LockResult, PoisonError, TryLockError, TryLockResult, WaitTimeoutResult};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Mutex<T> {
    left: AtomicU64,
    inner: sync::Mutex<T>,
}

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    left: &'a AtomicU64,
    /// Taken out only to wait, or to leave.
    inner: Option<sync::MutexGuard<'a, T>>,
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(sync::Condvar);

#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    /// Whether there is a value.
    ready: AtomicBool,
    one: Mutex<()>,
    inner: sync::OnceLock<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Mutex<T> {
        Mutex { left: AtomicU64::new(0), inner: sync::Mutex::new(value) }
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        enter(&self.left, self.inner.lock())
    }

    #[allow(dead_code)] // The tests that have this file do not try.
    pub(crate) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let poisoned = match self.inner.try_lock() {
            Ok(guard) => return enter(&self.left, Ok(guard)).map_err(TryLockError::Poisoned),
            Err(TryLockError::WouldBlock) => return Err(TryLockError::WouldBlock),
            Err(TryLockError::Poisoned(poisoned)) => poisoned,
        };
        enter(&self.left, Err(poisoned)).map_err(TryLockError::Poisoned)
    }
}

/// Both kinds of a result; the poisoned one is no different for the order.
fn enter<'a, T>(
    left: &'a AtomicU64,
    inner: LockResult<sync::MutexGuard<'a, T>>,
) -> LockResult<MutexGuard<'a, T>> {
    let guard = |inner| {
        // Partner: the release in `leave`.
        left.load(Ordering::Acquire);
        MutexGuard { left, inner: Some(inner) }
    };
    inner.map(guard).map_err(|poisoned| PoisonError::new(guard(poisoned.into_inner())))
}

impl<'a, T> MutexGuard<'a, T> {
    fn leave(&mut self) -> Option<sync::MutexGuard<'a, T>> {
        let inner = self.inner.take()?;
        // Partner: the acquire in `enter`.
        self.left.fetch_add(1, Ordering::Release);
        Some(inner)
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        let (ready, one) = (AtomicBool::new(false), Mutex::new(()));
        OnceLock { ready, one, inner: sync::OnceLock::new() }
    }
}

impl<T> OnceLock<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        // Partner: the release in `get_or_init`.
        self.ready.load(Ordering::Acquire).then(|| self.inner.get())?
    }

    pub(crate) fn get_or_init(&self, value: impl FnOnce() -> T) -> &T {
        if self.get().is_none() {
            let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
            self.inner.get_or_init(value);
            // Partner: the acquire in `get`.
            self.ready.store(true, Ordering::Release);
        }
        self.get().expect("there is a value")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_ref().expect("nobody waits meanwhile")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("nobody waits meanwhile")
    }
}

impl Condvar {
    pub(crate) const fn new() -> Condvar {
        Condvar(sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
    ) -> LockResult<MutexGuard<'a, T>> {
        let left = guard.left;
        let inner = guard.leave().expect("a guard has its lock");
        enter(left, self.0.wait(inner))
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let left = guard.left;
        let inner = guard.leave().expect("a guard has its lock");
        // Nobody of ours looks at poison.
        let waited = self.0.wait_timeout(inner, timeout).unwrap_or_else(PoisonError::into_inner);
        let guard = enter(left, Ok(waited.0)).unwrap_or_else(PoisonError::into_inner);
        Ok((guard, waited.1))
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
