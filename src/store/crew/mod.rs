//! Threads that take turns over members: whoever is due gets one step, then the next one does.
//!
//! - **One step at a time.** A member is with one thread or with none, so threads never wait for each other.
//! - **In turn.** Members that are due wait in a line. Of those that somebody waits for there is a second
//!   line, which comes first; but after [`ASKED_IN_A_ROW`] of them the other one has its turn.
//! - **Nothing is missed.** A member that is rung while it is with a thread is due again at once.
//! - **A panic is its member's own.** It is told, and gets no further step; the thread goes on.
//! - **Leaving** waits for the member's own step, and for nothing else. Nothing is kept of it then.
//!
//! All of it is behind one lock, which is held for moments; steps are made without it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, MutexGuard, lock};

/// After so many members in a row that somebody waits for, one comes for which nobody does.
const ASKED_IN_A_ROW: u32 = 8;

/// One whose work is made in steps.
pub(crate) trait Member: Send + Sync + 'static {
    /// Does one step. For how long nothing is to be done after it, unless it is rung for.
    fn step(&self) -> Duration;

    /// A step has panicked; there will be no other.
    fn panicked(&self);
}

/// Threads and the members that they care for. The threads end when it is dropped.
pub(crate) struct Crew<M: Member> {
    name: &'static str,
    /// How many threads it is to have.
    size: usize,
    line: Arc<Line<M>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads share.
struct Line<M> {
    state: Mutex<State<M>>,
    /// There is something to do, or a thread has to look how long it may sleep.
    due: Condvar,
    /// A member that wants to leave is back.
    back: Condvar,
}

struct State<M> {
    members: BTreeMap<u64, Entry<M>>,
    next: u64,
    asked: VecDeque<u64>,
    asked_in_a_row: u32,
    due: VecDeque<u64>,
    /// When naps end.
    naps: BTreeSet<(Instant, u64)>,
    stop: bool,
}

struct Entry<M> {
    member: Arc<M>,
    at: At,
    /// Somebody waits to take it out: the step in progress is its last.
    leaving: bool,
}

/// Where a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Nothing is to be done until then.
    Nap(Instant),
    /// In a line.
    Due(Call),
    /// With a thread; whether it was rung for meanwhile.
    Step(ThreadId, Option<Call>),
    /// There is no further step for it.
    Gone,
}

/// How urgently a member was rung for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// There is something to do.
    Rung,
    /// Somebody waits for it.
    Asked,
}

/// A member's place in a crew.
pub(crate) struct Seat<M> {
    line: Arc<Line<M>>,
    number: u64,
}

impl<M: Member> Crew<M> {
    /// A crew of `size` threads of this name, which start when the first member joins.
    pub(crate) fn new(name: &'static str, size: usize) -> Crew<M> {
        let state = State {
            members: BTreeMap::new(),
            next: 0,
            asked: VecDeque::new(),
            asked_in_a_row: 0,
            due: VecDeque::new(),
            naps: BTreeSet::new(),
            stop: false,
        };
        let (due, back) = (Condvar::new(), Condvar::new());
        let line = Arc::new(Line { state: Mutex::new(state), due, back });
        Crew { name, size, line, threads: Mutex::new(Vec::new()) }
    }

    /// Takes a member in. It is not due before it is rung for. Fails if the threads cannot be started.
    pub(crate) fn join(&self, member: M) -> std::io::Result<Seat<M>> {
        let mut threads = lock(&self.threads);
        while threads.len() < self.size {
            let line = Arc::clone(&self.line);
            let thread = std::thread::Builder::new().name(self.name.into());
            threads.push(thread.spawn(move || line.work())?);
        }
        drop(threads);
        let mut state = lock(&self.line.state);
        let number = state.next;
        state.next += 1;
        // Far enough; it is rung for as soon as it is in place.
        let at = At::Nap(Instant::now() + Duration::from_secs(3_600));
        state.members.insert(number, Entry { member: Arc::new(member), at, leaving: false });
        state.place(number, at);
        Ok(Seat { line: Arc::clone(&self.line), number })
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        lock(&self.threads).len()
    }
}

impl<M: Member> Drop for Crew<M> {
    fn drop(&mut self) {
        lock(&self.line.state).stop = true;
        self.line.due.notify_all();
        let me = std::thread::current().id();
        for thread in lock(&self.threads).drain(..) {
            // One of them may be who drops it: it ends by itself.
            if thread.thread().id() != me {
                let _ = thread.join();
            }
        }
    }
}

impl<M> std::fmt::Debug for Crew<M>
where
    M: Member,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("name", &self.name).field("size", &self.size).finish()
    }
}

impl<M> std::fmt::Debug for Seat<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seat").field(&self.number).finish()
    }
}

impl<M: Member> Seat<M> {
    /// Makes the member due.
    pub(crate) fn ring(&self, call: Call) {
        lock(&self.line.state).ring(self.number, call);
        self.line.due.notify_one();
    }

    /// Takes the member out, once it is with no thread. A member may leave out of its own step.
    pub(crate) fn leave(&self) {
        let me = std::thread::current().id();
        let mut state = lock(&self.line.state);
        while let Some(entry) = state.members.get_mut(&self.number) {
            entry.leaving = true;
            if !matches!(entry.at, At::Step(thread, _) if thread != me) {
                break;
            }
            let waited = self.line.back.wait(state);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        let entry = state.remove(self.number);
        drop(state);
        drop(entry);
    }
}

impl<M: Member> Line<M> {
    /// What a thread does: a step after the other, a nap when nobody is due.
    fn work(&self) {
        while let Some((number, member)) = self.take() {
            let stepped = catch_unwind(AssertUnwindSafe(|| member.step()));
            if stepped.is_err() {
                member.panicked();
            }
            // Before it is back: whoever takes it out is to have the last of it.
            drop(member);
            lock(&self.state).put_back(number, stepped.ok());
            self.back.notify_all();
        }
    }

    /// The next member that is due; `None` when it is time to end.
    fn take(&self) -> Option<(u64, Arc<M>)> {
        let mut state = lock(&self.state);
        while !state.stop {
            let now = Instant::now();
            state.wake(now);
            if let Some(number) = state.next_due() {
                let entry = state.members.get_mut(&number).expect("who is in line is a member");
                entry.at = At::Step(std::thread::current().id(), None);
                let member = Arc::clone(&entry.member);
                // Another thread looks after those that are left: this one is away for a while.
                self.due.notify_one();
                return Some((number, member));
            }
            let nap = state.naps.first().map(|&(end, _)| end.saturating_duration_since(now));
            state = self.sleep(state, nap);
        }
        None
    }

    fn sleep<'a>(
        &self,
        state: MutexGuard<'a, State<M>>,
        nap: Option<Duration>,
    ) -> MutexGuard<'a, State<M>> {
        match nap {
            None => self.due.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner),
            Some(nap) => {
                let waited = self.due.wait_timeout(state, nap);
                waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
            }
        }
    }
}

impl<M> State<M> {
    /// Puts a member where its `at` says.
    fn place(&mut self, number: u64, at: At) {
        match at {
            At::Nap(end) => drop(self.naps.insert((end, number))),
            At::Due(Call::Asked) => self.asked.push_back(number),
            At::Due(Call::Rung) => self.due.push_back(number),
            At::Step(..) | At::Gone => {}
        }
        if let Some(entry) = self.members.get_mut(&number) {
            entry.at = at;
        }
    }

    /// Takes a member from where it waits.
    fn displace(&mut self, number: u64, at: At) {
        match at {
            At::Nap(end) => drop(self.naps.remove(&(end, number))),
            At::Due(Call::Asked) => self.asked.retain(|&other| other != number),
            At::Due(Call::Rung) => self.due.retain(|&other| other != number),
            At::Step(..) | At::Gone => {}
        }
    }

    fn ring(&mut self, number: u64, call: Call) {
        let Some(entry) = self.members.get_mut(&number) else { return };
        match entry.at {
            At::Step(thread, before) => {
                entry.at = At::Step(thread, before.max(Some(call)));
            }
            At::Due(before) if before >= call => {}
            At::Gone => {}
            at => {
                self.displace(number, at);
                self.place(number, At::Due(call));
            }
        }
    }

    /// Makes those due whose naps have ended.
    fn wake(&mut self, now: Instant) {
        while let Some(&(end, number)) = self.naps.first()
            && end <= now
        {
            self.naps.pop_first();
            self.place(number, At::Due(Call::Rung));
        }
    }

    fn next_due(&mut self) -> Option<u64> {
        let patient = self.due.is_empty() || self.asked_in_a_row < ASKED_IN_A_ROW;
        if patient && let Some(number) = self.asked.pop_front() {
            self.asked_in_a_row += 1;
            return Some(number);
        }
        self.asked_in_a_row = 0;
        self.due.pop_front()
    }

    /// After a step: `nap` until the next one, `None` if there is to be none.
    fn put_back(&mut self, number: u64, nap: Option<Duration>) {
        // It may have left out of its step.
        let Some(entry) = self.members.get(&number) else { return };
        let at = match (nap, entry.at) {
            (None, _) => At::Gone,
            _ if entry.leaving => At::Gone,
            (_, At::Step(_, Some(call))) => At::Due(call),
            (Some(Duration::ZERO), _) => At::Due(Call::Rung),
            (Some(nap), _) => At::Nap(Instant::now() + nap),
        };
        self.place(number, at);
    }

    fn remove(&mut self, number: u64) -> Option<Entry<M>> {
        let entry = self.members.remove(&number)?;
        self.displace(number, entry.at);
        Some(entry)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
