//! Waiting for a ticket to be settled, aborted or ended.
//!
//! A waiter looks at the ticket's phase and leaves its waker under one lock. Whoever ends the ticket
//! changes the phase first and takes the wakers under that lock after. So the waiter either sees the
//! end or is woken.
//!
//! Wakers are foreign code: they are woken and dropped outside of every lock.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::mono::Mono;
use super::ticket::Ticket;
use crate::sync::{Arc, Condvar, Mutex, lock};
use crate::time::Clock;

/// The shortest wait for the end of a lease: leases are not measured finer than that.
const PARK_MIN: Duration = Duration::from_millis(1);

/// Those who wait for one ticket.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next: u64,
    /// One for each [`Settlement`] there is, first come first; empty until it was polled.
    wakers: BTreeMap<u64, Option<Waker>>,
    /// Whether the ticket is among those that [`super::Claims::wake_ended`] looks after.
    pub(super) watched: bool,
}

impl Waiters {
    pub(super) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    pub(super) fn wake(self) {
        self.wakers.into_values().flatten().for_each(Waker::wake);
    }

    fn enter(&mut self) -> u64 {
        let key = self.next;
        self.next += 1;
        self.wakers.insert(key, None);
        key
    }
}

/// A future that is ready when a ticket is settled, aborted or ended. It may be polled from any
/// runtime, and dropped at any time: nothing of it stays behind.
///
/// It does not know the time. The end of a lease is noticed by whoever meets the ticket, and by
/// [`super::Claims::wake_ended`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Settlement {
    ticket: Arc<Ticket>,
    key: u64,
}

impl Settlement {
    /// For [`super::Claims::settlement`], which sees to it that the end of a lease is noticed.
    pub(super) fn new(ticket: &Arc<Ticket>, waiters: &mut Waiters) -> Settlement {
        Settlement { ticket: Arc::clone(ticket), key: waiters.enter() }
    }

    /// Whether the ticket is over; if not, `waker` is woken when it is.
    fn check(&self, waker: &Waker) -> bool {
        let mut waiters = lock(&self.ticket.waiters);
        if self.ticket.is_over() {
            return true;
        }
        let place = waiters.wakers.entry(self.key).or_default();
        let known = place.as_ref().is_some_and(|known| known.will_wake(waker));
        let replaced = if known { None } else { place.replace(waker.clone()) };
        drop(waiters);
        drop(replaced);
        false
    }
}

impl Future for Settlement {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.check(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        // Two steps: the waker is dropped behind the lock.
        let waker = lock(&self.ticket.waiters).wakers.remove(&self.key);
        drop(waker);
    }
}

/// Blocks until the ticket is settled, aborted or ended, or until `until`. Whether it is over.
///
/// It notices by itself that the lease has ended by `clock`.
pub(crate) fn wait_until(ticket: &Arc<Ticket>, clock: &dyn Clock, until: Option<Instant>) -> bool {
    let bell = std::sync::Arc::new(Bell::default());
    let waker = Waker::from(std::sync::Arc::clone(&bell));
    let settlement = Settlement::new(ticket, &mut lock(&ticket.waiters));
    loop {
        let now = Mono::now(clock);
        if ticket.end_if_over(now) {
            ticket.wake();
        }
        if settlement.check(&waker) {
            return true;
        }
        let patience = until.map(|until| until.saturating_duration_since(Instant::now()));
        if patience.is_some_and(|patience| patience.is_zero()) {
            return false;
        }
        let lease = ticket.left(now).map(|left| left.max(PARK_MIN));
        bell.wait(patience.into_iter().chain(lease).min());
    }
}

/// What a blocked thread sleeps on.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Bell {
    /// Returns when it was rung since the last time, after `at_most`, or for no reason.
    fn wait(&self, at_most: Option<Duration>) {
        let mut rung = lock(&self.rung);
        if !*rung {
            let ignore_poison = std::sync::PoisonError::into_inner;
            rung = match at_most {
                None => self.ring.wait(rung).unwrap_or_else(ignore_poison),
                Some(time) => {
                    self.ring.wait_timeout(rung, time).unwrap_or_else(|e| e.into_inner()).0
                }
            };
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        *lock(&self.rung) = true;
        self.ring.notify_one();
    }
}
