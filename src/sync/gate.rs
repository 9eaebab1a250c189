//! A value that many threads read at once and that one may replace when none is reading.
//!
//! Readers never wait for each other and share no written cache line: each takes a slot of its own.
//! Whoever replaces the value closes the gate, waits until all slots are free, and opens it again;
//! readers that arrive meanwhile wait for that. Replacing is rare and its closure does no I/O; a reader
//! inside may, when a page of a run is not in memory.
//!
//! Two uses rest on it:
//!
//! * *Rotation*: a table is frozen only when no reader is between looking an id up and inserting it,
//!   so no id is inserted both in the old table and in the new one.
//! * *Acknowledging somebody else's insert*: whoever found an id in a table waits for the readers
//!   that were inside at that time ([`Gate::readers`]); one of them may have inserted it and not
//!   yet handed it to the log.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;

use crossbeam_utils::{Backoff, CachePadded};

use super::{AtomicBool, AtomicU64, Mutex, Ordering, UnsafeCell, lock};

/// How many readers can be inside at once; more than that wait.
const SLOTS: usize = if cfg!(loom) { 3 } else { 64 };

/// See the module documentation.
pub(crate) struct Gate<T> {
    /// Even: free. Odd: taken by one reader. Each taking and each leaving adds one.
    slots: Box<[CachePadded<AtomicU64>]>,
    /// Whether somebody wants to replace the value.
    closed: AtomicBool,
    /// Held by whoever replaces the value, from before `closed` is set until after it is cleared.
    exclusive: Mutex<()>,
    /// Written only under `exclusive`, with `closed` set and all slots even; read only by holders
    /// of an odd slot who found `closed` clear after taking it.
    value: UnsafeCell<T>,
}

// SAFETY: the rules on `value` make it a reader-writer lock around `T`, which is shareable for the
// same `T` as `std::sync::RwLock` is.
unsafe impl<T: Send + Sync> Sync for Gate<T> {}
// SAFETY: as above; ownership of the gate is ownership of the value.
unsafe impl<T: Send> Send for Gate<T> {}

impl<T> Gate<T> {
    /// A gate around `value`.
    pub(crate) fn new(value: T) -> Gate<T> {
        Gate {
            slots: (0..SLOTS).map(|_| CachePadded::new(AtomicU64::new(0))).collect(),
            closed: AtomicBool::new(false),
            exclusive: Mutex::new(()),
            value: UnsafeCell::new(value),
        }
    }

    /// Reads the value until the guard is dropped. Waits while the value is being replaced.
    pub(crate) fn enter(&self) -> Inside<'_, T> {
        let backoff = Backoff::new();
        loop {
            if let Some(slot) = self.take_slot() {
                if !self.is_closed() {
                    return Inside { gate: self, slot };
                }
                self.leave(slot);
                drop(lock(&self.exclusive));
            }
            super::snooze(&backoff);
        }
    }

    /// Lets `change` replace the value while nobody reads it. Must not be called by a reader.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let _exclusive = lock(&self.exclusive);
        // Partner: `is_closed`. Either the reader sees this, or the loop below sees its slot.
        self.closed.swap(true, Ordering::SeqCst);
        let backoff = Backoff::new();
        for slot in &self.slots {
            // Partner: the release in `leave`.
            while slot.load(Ordering::SeqCst) & 1 == 1 {
                wait(&backoff);
            }
        }
        let reopen = Reopen(&self.closed);
        // SAFETY: `exclusive` is held, `closed` was set before every slot was seen even, and a
        // reader that takes a slot afterwards sees `closed` and does not touch the value.
        let result = change(unsafe { &mut *self.value.get() });
        drop(reopen);
        result
    }

    /// Remembers which readers are inside now.
    pub(crate) fn readers(&self) -> Readers {
        Readers { seen: std::array::from_fn(|i| self.slots[i].load(Ordering::SeqCst)) }
    }

    /// Waits until every reader that was inside when `readers` was taken, but for the caller's own
    /// `except`, has left.
    pub(crate) fn wait_for(&self, readers: &Readers, except: usize) {
        let backoff = Backoff::new();
        for (i, (slot, &seen)) in self.slots.iter().zip(&readers.seen).enumerate() {
            // Partner: the release in `leave`.
            while i != except && seen & 1 == 1 && slot.load(Ordering::Acquire) == seen {
                wait(&backoff);
            }
        }
    }

    /// Takes a free slot, starting at one of the thread's own.
    fn take_slot(&self) -> Option<usize> {
        let first = home_slot();
        (0..SLOTS).map(|i| (first + i) % SLOTS).find(|&i| {
            let free = self.slots[i].load(Ordering::Relaxed);
            free & 1 == 0
                && self.slots[i]
                    .compare_exchange(free, free + 1, Ordering::SeqCst, Ordering::Relaxed)
                    .is_ok()
        })
    }

    fn leave(&self, slot: usize) {
        let taken = self.slots[slot].load(Ordering::Relaxed);
        // Partners: `update` and `wait_for`, which then see what the reader did inside.
        self.slots[slot].store(taken + 1, Ordering::Release);
    }

    /// Partner: the swap in `update`. Both sides are sequentially consistent: store mine, then look
    /// at the other's.
    fn is_closed(&self) -> bool {
        // Loom takes SeqCst for AcqRel; a read-modify-write sees the latest value all the same.
        if cfg!(loom) {
            return self.closed.fetch_or(false, Ordering::AcqRel);
        }
        self.closed.load(Ordering::SeqCst)
    }
}

impl<T> fmt::Debug for Gate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

/// Opens the gate again, also when the change panics.
struct Reopen<'a>(&'a AtomicBool);

impl Drop for Reopen<'_> {
    fn drop(&mut self) {
        // Partner: `is_closed`, whose reader then sees the new value. A swap, for loom's `is_closed`
        // writes what it read: nothing may come between closing and opening.
        self.0.swap(false, Ordering::SeqCst);
    }
}

/// Proof of being inside: the value cannot be replaced while it exists.
#[derive(Debug)]
pub(crate) struct Inside<'a, T> {
    gate: &'a Gate<T>,
    slot: usize,
}

impl<T> Inside<'_, T> {
    /// The slot that this reader holds, for [`Gate::wait_for`].
    pub(crate) fn slot(&self) -> usize {
        self.slot
    }
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the slot is odd and `closed` was clear after it became so; `update` waits for it.
        unsafe { &*self.gate.value.get() }
    }
}

impl<T> Drop for Inside<'_, T> {
    fn drop(&mut self) {
        self.gate.leave(self.slot);
    }
}

/// The readers that were inside at one moment.
#[derive(Debug)]
pub(crate) struct Readers {
    seen: [u64; SLOTS],
}

/// Spins first, then gives the processor away, then sleeps: readers inside may be reading from disk.
fn wait(backoff: &Backoff) {
    if backoff.is_completed() && !cfg!(loom) {
        std::thread::sleep(std::time::Duration::from_micros(20));
    } else {
        super::snooze(backoff);
    }
}

/// A slot that threads tend not to share.
fn home_slot() -> usize {
    use std::sync::atomic::AtomicUsize;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static HOME: usize = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % SLOTS;
    }
    HOME.with(|home| *home)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn readers_never_see_a_value_being_replaced() {
        let gate = Arc::new(Gate::new((0_u64, 0_u64)));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let gate = Arc::clone(&gate);
                thread::spawn(move || {
                    let mut last = 0;
                    while last < 1_000 {
                        let inside = gate.enter();
                        assert_eq!(inside.0, inside.1);
                        assert!(inside.0 >= last);
                        last = inside.0;
                    }
                })
            })
            .collect();
        for n in 1..=1_000 {
            gate.update(|pair| {
                pair.0 = n;
                thread::yield_now();
                pair.1 = n;
            });
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }

    #[test]
    fn a_panicking_change_leaves_the_gate_open() {
        let gate = Gate::new(1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            gate.update(|_| panic!("on purpose"));
        }));
        assert!(panicked.is_err());
        assert_eq!(*gate.enter(), 1);
        gate.update(|value| *value = 2);
        assert_eq!(*gate.enter(), 2);
    }

    #[test]
    fn waiting_ends_when_the_readers_of_then_have_left() {
        let gate = Arc::new(Gate::new(()));
        let mine = gate.enter();
        let (entered, leave) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let other = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let inside = gate.enter();
                entered.0.send(()).unwrap();
                leave.1.recv().unwrap();
                drop(inside);
            })
        };
        entered.1.recv().unwrap();
        let readers = gate.readers();
        leave.0.send(()).unwrap();
        gate.wait_for(&readers, mine.slot());
        other.join().unwrap();
    }
}
