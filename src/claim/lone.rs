//! The ids of a transaction that is alone: kept together, and not one by one in the table.
//!
//! A store with one owner has one transaction open at a time, and nobody else presents ids. There a
//! stripe to lock, an entry to make and one to remove for each id would decide nothing. So the ids of
//! the first transaction stay together, in the order in which they were claimed, with a small index that
//! tells an id that is twice in the batch. Whoever else comes has them *spread* over the table
//! first: see [`super::Claims::spread`].

use super::table::Take;
use super::ticket::Ticket;
use crate::key::Fingerprint;
use crate::sync::{Arc, AtomicUsize, Mutex, MutexGuard, Ordering, lock};

/// Room for the ids of one transaction.
#[derive(Debug, Default)]
pub(super) struct Lone {
    held: Mutex<Held>,
    /// How many ids are in it, at rest.
    len: AtomicUsize,
    /// Bytes of memory that it took, at rest: whoever asks does not wait for whoever claims.
    bytes: AtomicUsize,
}

/// What came of giving ids back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenBack {
    All,
    /// Only some of them, or what is to stay though its ticket has ended.
    Part,
    /// They are not here.
    Nothing,
}

/// The ids that one ticket holds; none if there is no ticket.
#[derive(Debug, Default)]
struct Held {
    ticket: Option<Arc<Ticket>>,
    ids: Vec<Fingerprint>,
    /// One for each id, or none at all.
    payloads: Vec<Fingerprint>,
    places: Places,
}

impl Lone {
    /// How many ids are in it. Exact when nobody claims, spreads or gives back meanwhile.
    pub(super) fn len(&self) -> usize {
        // Partner: the stores in `LoneClaim::drop`, `give_back` and `take_out`.
        self.len.load(Ordering::Acquire)
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Lets `ticket` claim up to `most` ids, unless there are some already.
    pub(super) fn open(&self, ticket: &Arc<Ticket>, most: usize) -> Option<LoneClaim<'_>> {
        let mut held = lock(&self.held);
        if held.ticket.is_some() {
            return None;
        }
        held.ticket = Some(Arc::clone(ticket));
        held.places.make_room(most);
        held.ids.reserve(most);
        Some(LoneClaim { lone: self, held })
    }

    /// Takes `ids` of the ids of `ticket` out, if those are all that it holds.
    pub(super) fn give_back(&self, ids: usize, ticket: &Ticket) -> GivenBack {
        let mut held = lock(&self.held);
        if !held.is_of(ticket) {
            return GivenBack::Nothing;
        }
        if held.ids.len() != ids || ticket.blocks() {
            return GivenBack::Part;
        }
        held.clear();
        self.len.store(0, Ordering::Release);
        GivenBack::All
    }

    /// Takes everything out: each id goes to `put`, with its payload, and is not missed meanwhile.
    pub(super) fn take_out(&self, put: impl Fn(Fingerprint, &Arc<Ticket>, Option<Fingerprint>)) {
        let mut held = lock(&self.held);
        if let Some(ticket) = &held.ticket {
            for (i, &id) in held.ids.iter().enumerate() {
                put(id, ticket, held.payloads.get(i).copied());
            }
        }
        held.clear();
        self.len.store(0, Ordering::Release);
    }

    /// Gives the memory back, if there are no ids.
    pub(super) fn shrink(&self) {
        let mut held = lock(&self.held);
        if held.ticket.is_none() {
            *held = Held::default();
            self.bytes.store(0, Ordering::Relaxed);
        }
    }
}

impl Held {
    fn is_of(&self, ticket: &Ticket) -> bool {
        self.ticket.as_ref().is_some_and(|own| std::ptr::eq(&**own, ticket))
    }

    /// Lets go of everything and keeps the room.
    fn clear(&mut self) {
        self.ticket = None;
        self.ids.clear();
        self.payloads.clear();
    }

    fn memory(&self) -> usize {
        let fingerprints = self.ids.capacity() + self.payloads.capacity();
        fingerprints * size_of::<Fingerprint>() + self.places.memory()
    }
}

/// Claims ids for a transaction that is alone, until it is dropped. Whoever makes one sees to it that
/// nobody else claims or inserts meanwhile.
#[derive(Debug)]
pub(crate) struct LoneClaim<'a> {
    lone: &'a Lone,
    held: MutexGuard<'a, Held>,
}

impl LoneClaim<'_> {
    /// As [`super::Claims::take`]; nobody but this transaction holds anything.
    #[inline]
    pub(crate) fn take<T>(
        &mut self,
        id: Fingerprint,
        payload: Option<Fingerprint>,
        known: impl FnOnce() -> Option<T>,
    ) -> Take<T> {
        let Held { ids, payloads, places, .. } = &mut *self.held;
        let place = match places.find(id, ids) {
            Ok(own) => return Take::Own { payload: payloads.get(own).copied() },
            Err(place) => place,
        };
        if let Some(known) = known() {
            return Take::Known(known);
        }
        places.set(place, ids.len());
        ids.push(id);
        payloads.extend(payload);
        Take::Claimed { after: None }
    }
}

impl Drop for LoneClaim<'_> {
    fn drop(&mut self) {
        let ids = self.held.ids.len();
        if ids == 0 {
            self.held.clear();
        }
        self.lone.bytes.store(self.held.memory(), Ordering::Relaxed);
        self.lone.len.store(ids, Ordering::Release);
    }
}

/// Where ids stand in a list, by open addressing: at most half full.
#[derive(Debug, Default)]
struct Places(Vec<u32>);

/// No id stands there.
const VACANT: u32 = u32::MAX;

impl Places {
    fn memory(&self) -> usize {
        self.0.capacity() * size_of::<u32>()
    }

    /// Forgets everything, and makes room for `most` ids.
    fn make_room(&mut self, most: usize) {
        self.0.clear();
        self.0.resize((most * 2).next_power_of_two(), VACANT);
    }

    /// The index of `id` in `ids`, or else the place for it.
    #[inline]
    fn find(&self, id: Fingerprint, ids: &[Fingerprint]) -> Result<usize, usize> {
        let mask = self.0.len() - 1;
        // The low bits are uniform: nothing was chosen by them before.
        let mut place = id.lo as usize & mask;
        loop {
            match self.0[place] {
                VACANT => return Err(place),
                at if ids[at as usize] == id => return Ok(at as usize),
                _ => place = (place + 1) & mask,
            }
        }
    }

    fn set(&mut self, place: usize, index: usize) {
        self.0[place] = u32::try_from(index).expect("claims are bounded");
    }
}
