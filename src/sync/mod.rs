//! The only door to atomics, locks and threads: the standard ones, or loom's under `cfg(loom)`, or such
//! as the thread sanitizer understands under `cfg(tsan)`.

pub(crate) mod gate;
#[cfg(tsan)]
mod told;

#[cfg(all(test, loom))]
mod loom_tests;

use std::sync::TryLockError;

use crossbeam_utils::Backoff;

#[cfg(not(loom))]
pub(crate) use std::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

#[cfg(not(tsan))]
pub(crate) use std::sync::OnceLock;
#[cfg(not(any(loom, tsan)))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
#[cfg(tsan)]
pub(crate) use told::{Condvar, Mutex, MutexGuard, OnceLock};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
#[cfg(loom)]
pub(crate) use std::cell::UnsafeCell;

/// Locks a mutex. A thread that panicked while holding it has left no half-made change behind: the
/// sections under our locks do not call out and do not panic between two writes.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Locks a mutex if nobody has it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Waits a little, longer each time.
fn snooze(backoff: &Backoff) {
    #[cfg(loom)]
    loom::thread::yield_now();
    backoff.snooze();
}
