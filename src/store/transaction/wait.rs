//! Waiting until an id is no longer in flight, and saying what became of one that nobody knows of.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::super::Store;
use super::super::call::PIECE_MAX;
use super::claim::Claim;
use crate::claim::{self, Ticket, wait_until};
use crate::error::Result;
use crate::sync::Arc;
use crate::verdict::Verdict;

/// What became of the work on an id whose claim outlived its lease: see [`Store::resolve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It was done: the id is remembered from now on.
    Done,
    /// It was not done, or bears being done again: the next who presents the id gets it.
    Retry,
}

/// A future that is ready once an id is no longer in flight: see [`Store::settlement`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Settlement(Option<claim::Settlement>);

impl Future for Settlement {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().map_or(Poll::Ready(()), |settlement| Pin::new(settlement).poll(context))
    }
}

impl Store {
    /// Waits until an id is no longer in flight, at most `timeout`, and gives its verdict then, as
    /// [`Store::check`] does: `Duplicate` if it was committed (see [`Store::outcome`]), `New` if it was
    /// given back, `InFlight` if the time is over.
    ///
    /// For handlers of requests that want to answer a repeated one with what the first one got. It
    /// blocks the thread; [`Store::settlement`] does not.
    ///
    /// # Errors
    ///
    /// Reading runs can fail; the store can be closed meanwhile.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let store = firstseen::Store::open(dir.path().join("requests.seen"))?;
    /// let mut tx = store.begin(&["key-1"])?;
    /// let second = std::thread::spawn({
    ///     let store = store.clone();
    ///     move || {
    ///         let verdict = store.wait("key-1", Duration::from_secs(60))?;
    ///         assert!(verdict.is_duplicate());
    ///         store.outcome("key-1")
    ///     }
    /// });
    /// tx.set_outcome(0, "201 Created");
    /// tx.commit()?;
    /// assert_eq!(second.join().unwrap()?, Some(b"201 Created".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(&self, id: impl AsRef<[u8]>, timeout: Duration) -> Result<Verdict> {
        let (id, core) = (id.as_ref(), self.core());
        let fingerprint = core.identity.fingerprint(id);
        let end = Instant::now().checked_add(timeout);
        let mut verdicts = Vec::with_capacity(1);
        loop {
            self.check(&[id], &mut verdicts)?;
            if !verdicts[0].is_in_flight() || end.is_some_and(|end| Instant::now() >= end) {
                return Ok(verdicts[0]);
            }
            if let Some(ticket) = core.claims.holder(fingerprint) {
                wait_until(&ticket, &*core.options.clock, end);
            }
        }
    }

    /// A future that is ready once an id is no longer in flight, or the store is closed; at once if it
    /// is not in flight.
    ///
    /// It needs no particular runtime and blocks no thread; dropping it costs nothing. Ask
    /// [`Store::check`] and [`Store::outcome`] then: like all calls of a store these may wait for a
    /// file, so from async code make them where blocking is allowed.
    ///
    /// It ends when a lease does only if the store does its upkeep in the background, as it does
    /// by default.
    pub fn settlement(&self, id: impl AsRef<[u8]>) -> Settlement {
        let core = self.core();
        let holder = core.claims.holder(core.identity.fingerprint(id.as_ref()));
        Settlement(holder.map(|ticket| {
            let (settlement, unheard) = core.claims.settlement(&ticket);
            if unheard {
                // Upkeep has to wake at the end of its lease.
                core.bell.ring();
            }
            settlement
        }))
    }

    /// Says what became of ids that are [`Verdict::Unknown`]: claimed by somebody whose lease ended
    /// without a word, in a store that holds such ids back
    /// ([`LeaseEnd::Block`](crate::LeaseEnd::Block)). Returns how many of the ids were; others are
    /// left alone.
    ///
    /// # Errors
    ///
    /// As [`Claim::commit`]; on an error the ids are as before, or free.
    pub fn resolve<I: AsRef<[u8]>>(&self, ids: &[I], resolution: Resolution) -> Result<u64> {
        let core = self.core();
        core.check_usable()?;
        let mut resolved = 0;
        for ids in ids.chunks(PIECE_MAX) {
            let now = core.monotonic();
            let ticket = Ticket::new(core.next_fence()?, now, None, core.options.lease_end);
            let ticket = Arc::new(ticket);
            let mut claim = Claim::start(self.clone(), Arc::clone(&ticket), None);
            for id in ids {
                let fingerprint = core.identity.fingerprint(id.as_ref());
                if core.claims.hand_over(fingerprint, &ticket, now).is_some() {
                    claim.add(id.as_ref(), fingerprint, core.clock.now());
                    resolved += 1;
                }
            }
            claim.complete();
            match resolution {
                Resolution::Done => claim.commit()?,
                Resolution::Retry => claim.abort(),
            }
        }
        Ok(resolved)
    }
}
