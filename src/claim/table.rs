//! Which id is held by which ticket: a hash map in stripes, each behind a lock of its own, and beside it the ids
//! of a transaction that is alone.
//!
//! The lock of an id's stripe is the one arbiter between a claim and an insertion of that id, unless the claim
//! is alone: both look, decide and act while they hold it. What they are given to do under it must not come back
//! here. Locks are taken one at a time, and never while a waker runs.
//!
//! The bits have jobs of their own: the low end of the upper half chooses the stripe, the lower half
//! the place in the stripe's map. Fingerprints are uniform, so neither is hashed again.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::lone::{GivenBack, Lone, LoneClaim};
use super::mono::Mono;
use super::settlement::Settlement;
use super::ticket::{Standing, Ticket};
use crate::key::{Fingerprint, FingerprintMap};
use crate::planted::{Bug, planted};
use crate::sync::{Arc, AtomicUsize, Mutex, MutexGuard, OnceLock, Ordering, lock};

const STRIPES: usize = if cfg!(loom) { 2 } else { 4096 };
/// The count of ids is kept in parts, so that claims on different stripes do not share a line.
const COUNTS: usize = if cfg!(loom) { 1 } else { 16 };
/// A stripe's map keeps room for this many ids though it be empty.
const CAPACITY_KEPT: usize = 7;

/// Why an id is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// A transaction under way holds it.
    InFlight {
        /// Its fencing token.
        token: u64,
        /// How long ago it began.
        age: Duration,
        /// What is left of its lease, if it has one that can still end.
        left: Option<Duration>,
        /// The payload that the id came with.
        payload: Option<Fingerprint>,
    },
    /// The lease of a transaction ended, and what became of the id is unknown until it is resolved.
    Unknown {
        /// Its fencing token.
        token: u64,
        /// How long ago it began.
        age: Duration,
        /// The payload that the id came with.
        payload: Option<Fingerprint>,
    },
}

/// What a transaction that asks for an id is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take<T> {
    /// It holds the id now.
    Claimed {
        /// The token of the ended transaction that held it before, whose outcome is unknown.
        after: Option<u64>,
    },
    /// It held the id already.
    Own {
        /// The payload that the id came with the first time.
        payload: Option<Fingerprint>,
    },
    /// The id is in the store.
    Known(T),
    /// Another holds it.
    Held(Held),
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Allocated when somebody first needs it.
    stripes: OnceLock<Box<[Stripe]>>,
    counts: [CachePadded<AtomicUsize>; COUNTS],
    /// While a transaction is alone, its ids; the stripes are empty then.
    lone: Lone,
    /// The tickets that somebody waits for and whose lease may end.
    watched: Mutex<Vec<Arc<Ticket>>>,
}

type Stripe = CachePadded<Mutex<Entries>>;
type Entries = FingerprintMap<Entry>;

#[derive(Debug)]
struct Entry {
    ticket: Arc<Ticket>,
    payload: Option<Fingerprint>,
}

impl Entry {
    fn is_of(&self, ticket: &Ticket) -> bool {
        std::ptr::eq(&*self.ticket, ticket)
    }

    /// Why the id is not free at `now`; `None` if it is.
    fn held(&self, now: Mono) -> Option<Held> {
        let (token, age, payload) = (self.ticket.token(), self.ticket.age(now), self.payload);
        match self.ticket.standing(now) {
            Standing::Holds => {
                let left = self.ticket.left(now);
                Some(Held::InFlight { token, age, left, payload })
            }
            Standing::Blocks => Some(Held::Unknown { token, age, payload }),
            Standing::Lapsed | Standing::Settled => None,
        }
    }
}

impl Claims {
    pub(crate) fn new() -> Claims {
        Claims::default()
    }

    /// How many ids are held. Exact when nobody claims, spreads or gives back meanwhile.
    pub(crate) fn len(&self) -> usize {
        self.lone.len() + self.len_in_stripes()
    }

    fn len_in_stripes(&self) -> usize {
        let sum = |sum: usize, part: &CachePadded<AtomicUsize>| {
            sum.wrapping_add(part.load(Ordering::Relaxed))
        };
        self.counts.iter().fold(0, sum)
    }

    /// Whether no id is held, under the same condition.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory, without the tickets.
    pub(crate) fn memory(&self) -> usize {
        let Some(stripes) = self.stripes.get() else { return self.lone.memory() };
        let maps: usize = stripes.iter().map(|stripe| bytes_of(lock(stripe).capacity())).sum();
        std::mem::size_of_val(&**stripes) + maps + self.lone.memory()
    }

    /// For a transaction that begins while nobody else claims or inserts: lets it claim up to `most` ids apart
    /// from the stripes. `None` if somebody holds ids.
    pub(crate) fn alone(&self, ticket: &Arc<Ticket>, most: usize) -> Option<LoneClaim<'_>> {
        let claim = self.lone.open(ticket, most)?;
        // Only now: what was spread before it was opened is in the stripes.
        (self.len_in_stripes() == 0).then_some(claim)
    }

    /// Puts the ids of a transaction that was alone into the stripes, for somebody who asks for single ids.
    pub(crate) fn spread(&self) {
        if self.lone.len() > 0 {
            self.lone.take_out(|id, ticket, payload| self.restore(id, ticket, payload));
        }
    }

    /// Gives up memory that is kept for the next transaction, if there is none.
    pub(crate) fn shrink(&self) {
        self.lone.shrink();
    }

    /// For an insertion: runs `insert` under the id's lock if the id is not held. What a transaction alone
    /// holds must have been [spread](Claims::spread); so for [`Claims::take`] and [`Claims::look`].
    pub(crate) fn admit<R>(
        &self,
        id: Fingerprint,
        now: Mono,
        insert: impl FnOnce() -> R,
    ) -> Result<R, Held> {
        let mut stripe = self.open(id);
        let freed = stripe.free(id, now);
        let result = freed.held.map_or_else(|| Ok(insert()), Err);
        drop(stripe);
        freed.wake();
        result
    }

    /// For a transaction that begins: claims the id for `ticket` unless somebody holds it or `known`
    /// finds it in the store.
    pub(crate) fn take<T>(
        &self,
        id: Fingerprint,
        ticket: &Arc<Ticket>,
        payload: Option<Fingerprint>,
        now: Mono,
        known: impl FnOnce() -> Option<T>,
    ) -> Take<T> {
        let mut stripe = self.open(id);
        if let Some(own) = stripe.entries.get(&id).filter(|entry| entry.is_of(ticket)) {
            return Take::Own { payload: own.payload };
        }
        let freed = stripe.free(id, now);
        let taken = if let Some(held) = freed.held {
            Take::Held(held)
        } else if let Some(known) = known() {
            Take::Known(known)
        } else {
            stripe.insert(id, Entry { ticket: Arc::clone(ticket), payload });
            Take::Claimed { after: freed.ended.as_ref().map(|ended| ended.token()) }
        };
        drop(stripe);
        freed.wake();
        taken
    }

    /// Why the id is not free at `now`; `None` if it is. Changes nothing.
    pub(crate) fn look(&self, id: Fingerprint, now: Mono) -> Option<Held> {
        self.open_if_used(id)?.entries.get(&id)?.held(now)
    }

    /// Removes those of the ids that are this ticket's still. What has gone to others stays theirs,
    /// and what an ended ticket blocks stays blocked.
    pub(crate) fn give_back(&self, ids: &[Fingerprint], ticket: &Ticket) {
        match self.lone.give_back(ids.len(), ticket) {
            GivenBack::All => return,
            GivenBack::Part => self.spread(),
            GivenBack::Nothing => {}
        }
        for &id in ids {
            let Some(mut stripe) = self.open_if_used(id) else { return };
            let own = |e: &Entry| e.is_of(ticket) || planted(Bug::ClaimOfOthersFreed);
            if stripe.entries.get(&id).is_some_and(|e| own(e) && !e.ticket.blocks()) {
                stripe.remove(id);
            }
        }
    }

    /// Gives an id that an ended claim bars to `ticket`, whose owner knows what became of it. The token
    /// of the ended claim; `None` if none bars the id.
    pub(crate) fn hand_over(
        &self,
        id: Fingerprint,
        ticket: &Arc<Ticket>,
        now: Mono,
    ) -> Option<u64> {
        self.spread();
        let mut stripe = self.open_if_used(id)?;
        let entry = stripe.entries.get_mut(&id)?;
        entry.ticket.end_if_over(now);
        if !entry.ticket.blocks() {
            return None;
        }
        let ended = std::mem::replace(&mut entry.ticket, Arc::clone(ticket));
        drop(stripe);
        ended.wake();
        Some(ended.token())
    }

    /// The ticket holds the id: it was found prepared at recovery, or it was alone.
    pub(crate) fn restore(
        &self,
        id: Fingerprint,
        ticket: &Arc<Ticket>,
        payload: Option<Fingerprint>,
    ) {
        self.open(id).insert(id, Entry { ticket: Arc::clone(ticket), payload });
    }

    /// The ticket to wait for until the id is settled, if it is held.
    pub(crate) fn holder(&self, id: Fingerprint) -> Option<Arc<Ticket>> {
        self.spread();
        let stripe = self.open_if_used(id)?;
        let ticket = &stripe.entries.get(&id)?.ticket;
        (!ticket.is_over()).then(|| Arc::clone(ticket))
    }

    /// A future that is ready when the ticket is over, and whether the ticket's lease is new to
    /// [`Claims::wake_ended`], so that whoever calls that has to be told.
    pub(crate) fn settlement(&self, ticket: &Arc<Ticket>) -> (Settlement, bool) {
        let mut watched = lock(&self.watched);
        let mut waiters = lock(&ticket.waiters);
        let settlement = Settlement::new(ticket, &mut waiters);
        let unheard = ticket.deadline().is_some() && !waiters.watched;
        if unheard {
            waiters.watched = true;
            watched.push(Arc::clone(ticket));
        }
        (settlement, unheard)
    }

    /// Ends the tickets whose lease is over and that somebody waits for, and wakes those. When to
    /// call again: at the next end of a lease that somebody waits for.
    pub(crate) fn wake_ended(&self, now: Mono) -> Option<Mono> {
        let mut ended = Vec::new();
        let mut next: Option<Mono> = None;
        lock(&self.watched).retain(|ticket| {
            if ticket.end_if_over(now) {
                ended.push(Arc::clone(ticket));
                return false;
            }
            let mut waiters = lock(&ticket.waiters);
            let deadline = ticket.deadline().filter(|_| !waiters.is_empty());
            next = next.into_iter().chain(deadline).min();
            waiters.watched = deadline.is_some();
            waiters.watched
        });
        ended.iter().for_each(|ticket| ticket.wake());
        next
    }

    /// The store is closed: nothing of what is open or prepared will be settled any more, so nobody
    /// has anything to wait for.
    pub(crate) fn close(&self) {
        self.spread();
        for stripe in self.stripes.get().into_iter().flatten() {
            let tickets: Vec<_> =
                lock(stripe).values().map(|entry| Arc::clone(&entry.ticket)).collect();
            tickets.iter().for_each(|ticket| ticket.close());
        }
    }

    fn open(&self, id: Fingerprint) -> Open<'_> {
        let stripes =
            self.stripes.get_or_init(|| (0..STRIPES).map(|_| Stripe::default()).collect());
        self.open_in(stripes, id)
    }

    /// `None` if nobody has claimed anything yet.
    fn open_if_used(&self, id: Fingerprint) -> Option<Open<'_>> {
        self.stripes.get().map(|stripes| self.open_in(stripes, id))
    }

    fn open_in<'a>(&'a self, stripes: &'a [Stripe], id: Fingerprint) -> Open<'a> {
        let stripe = id.hi as usize % STRIPES;
        Open { entries: lock(&stripes[stripe]), count: &self.counts[stripe % COUNTS] }
    }
}

/// A stripe, locked.
struct Open<'a> {
    entries: MutexGuard<'a, Entries>,
    count: &'a AtomicUsize,
}

/// What came of freeing an id.
struct Freed {
    /// Who holds it, so that it is not free.
    held: Option<Held>,
    /// The ticket whose lease was found to have ended.
    ended: Option<Arc<Ticket>>,
}

impl Freed {
    /// Tells those who wait for what ended. No lock may be held.
    fn wake(self) {
        if let Some(ended) = self.ended {
            ended.wake();
        }
    }
}

impl Open<'_> {
    /// Removes an entry that does not hold its id any more, and ends its ticket if the lease is over.
    fn free(&mut self, id: Fingerprint, now: Mono) -> Freed {
        let Some(entry) = self.entries.get(&id) else {
            return Freed { held: None, ended: None };
        };
        // First, and for good: deadlines only grow, so what is left open is not over at `now`.
        let ended = entry.ticket.end_if_over(now).then(|| Arc::clone(&entry.ticket));
        let held = entry.held(now);
        if held.is_none() {
            self.remove(id);
        }
        Freed { held, ended }
    }

    fn insert(&mut self, id: Fingerprint, entry: Entry) {
        if self.entries.insert(id, entry).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn remove(&mut self, id: Fingerprint) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        let (len, capacity) = (self.entries.len(), self.entries.capacity());
        if capacity > CAPACITY_KEPT && len < capacity / 8 {
            self.entries.shrink_to(len * 2);
        }
        Some(entry)
    }
}

/// Bytes of a hash map's one allocation: entries, a byte of control for each, and a group of those.
fn bytes_of(capacity: usize) -> usize {
    let buckets = match capacity {
        0 => return 0,
        1..8 => capacity + 1,
        _ => capacity / 7 * 8,
    };
    buckets * (size_of::<(Fingerprint, Entry)>() + 1) + 16
}
