//! What each thread does, and writes down.

use std::sync::atomic::{AtomicU64, Ordering};

use firstseen::{Claim, Error, Store, Verdict};

use crate::case::{Promise, ensure};
use crate::support::{Rng, id, ids};

/// Ids that all threads present.
pub(super) const SHARED: u64 = 300;
/// Ids that nobody presents.
pub(super) const NOBODY: u64 = 90_000_000;

/// One answer about one id, and between which two ticks of a common counter it was asked and given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) asked: u64,
    pub(super) answered: u64,
    pub(super) said: Said,
}

/// What was said of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It was let in by this call or commit.
    New,
    Known,
    /// Nothing was answered: it may have been let in.
    Nothing,
}

/// What a thread has seen.
#[derive(Debug, Default)]
pub(super) struct Diary {
    pub(super) thread: u64,
    pub(super) answers: Vec<Answer>,
    /// Batches of ids of its own that were let in, in order; the last one perhaps without an answer.
    pub(super) own: Vec<(u64, u64)>,
    /// Records of its source that were committed, and those that may be.
    pub(super) committed: u64,
    pub(super) tried: u64,
}

/// The first id of a thread's own.
pub(super) fn first_own(thread: u64) -> u64 {
    1_000_000 * (thread + 1)
}

/// The id of a record of a thread's source.
pub(super) fn record(thread: u64, position: u64) -> u64 {
    10_000_000 * (thread + 1) + position
}

pub(super) fn source(thread: u64) -> String {
    format!("source {thread}")
}

pub(super) fn key(thread: u64) -> String {
    format!("sum {thread}")
}

pub(super) fn outcome(n: u64) -> Vec<u8> {
    format!("done {n}").into_bytes()
}

/// A thread at work.
pub(super) struct Worker<'a> {
    store: Store,
    clock: &'a AtomicU64,
    random: Rng,
    diary: Diary,
    next_own: u64,
}

impl<'a> Worker<'a> {
    pub(super) fn new(thread: u64, store: &Store, clock: &'a AtomicU64, seed: u64) -> Worker<'a> {
        Worker {
            store: store.clone(),
            clock,
            random: Rng::new(seed),
            diary: Diary { thread, ..Diary::default() },
            next_own: first_own(thread),
        }
    }

    /// Works for so many rounds, or until the store refuses.
    pub(super) fn work(mut self, rounds: u64) -> Promise<Diary> {
        for _ in 0..rounds {
            let done = match self.random.below(12) {
                0..4 => self.insert_shared()?,
                4..6 => self.insert_own(),
                6 => self.look()?,
                7..9 => self.commit_own()?,
                9..11 => self.claim_shared()?,
                _ => self.store.seal(),
            };
            match done {
                Ok(()) => {}
                Err(Error::Io { .. } | Error::Poisoned { .. } | Error::OutcomeUnknown { .. })
                    if rounds == u64::MAX =>
                {
                    break;
                }
                Err(error) => return Err(format!("thread {}: {error}", self.diary.thread)),
            }
        }
        Ok(self.diary)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn some_shared(&mut self, most: u64) -> Vec<u64> {
        let start = self.random.below(SHARED);
        let count = 1 + self.random.below(most);
        (0..count).map(|_| (start + self.random.below(20)) % SHARED).collect()
    }

    fn note(&mut self, id: u64, asked: u64, said: Said) {
        let answered = self.tick();
        self.diary.answers.push(Answer { id, asked, answered, said });
    }

    fn insert_shared(&mut self) -> Promise<Result<(), Error>> {
        let numbers = self.some_shared(16);
        let asked = self.tick();
        let verdicts = self.store.check_and_insert(&ids(&numbers));
        let verdicts = match verdicts {
            Ok(verdicts) => verdicts,
            Err(error) => {
                numbers.into_iter().for_each(|n| self.note(n, asked, Said::Nothing));
                return Ok(Err(error));
            }
        };
        for (n, verdict) in numbers.into_iter().zip(verdicts) {
            match verdict {
                Verdict::New => self.note(n, asked, Said::New),
                Verdict::Duplicate { .. } => self.note(n, asked, Said::Known),
                Verdict::InFlight(_) => {}
                other => return Err(format!("id {n} is {other:?}")),
            }
        }
        Ok(Ok(()))
    }

    fn insert_own(&mut self) -> Result<(), Error> {
        let (from, to) = (self.next_own, self.next_own + 1 + self.random.below(30));
        self.next_own = to;
        self.diary.own.push((from, to));
        let verdicts = self.store.check_and_insert(&ids(&(from..to).collect::<Vec<_>>()))?;
        assert!(verdicts.iter().all(Verdict::is_new), "ids of its own: {verdicts:?}");
        self.diary.own.last_mut().expect("it was pushed").1 = to;
        self.note(from, 0, Said::New);
        Ok(())
    }

    fn look(&mut self) -> Promise<Result<(), Error>> {
        let numbers = self.some_shared(16);
        let asked = self.tick();
        let known = match self.store.contains(&ids(&numbers)) {
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        for (n, known) in numbers.into_iter().zip(known) {
            if known {
                self.note(n, asked, Said::Known);
            }
        }
        Ok(Ok(()))
    }

    /// The next records of its own source: ids, progress, a sum, outcomes.
    fn commit_own(&mut self) -> Promise<Result<(), Error>> {
        let thread = self.diary.thread;
        let from = self.diary.committed;
        let to = from + 1 + self.random.below(8);
        let records: Vec<_> = (from..to).map(|at| (at, id(record(thread, at)))).collect();
        let mut claim = match self.store.begin_from(&source(thread), &records) {
            Ok(claim) => claim,
            Err(error) => return Ok(Err(error)),
        };
        ensure(claim.verdicts().iter().all(Verdict::is_new), || {
            format!("records from {from} of source {thread}: {:?}", claim.verdicts())
        })?;
        for (i, at) in (from..to).enumerate() {
            claim.set_outcome(i, outcome(record(thread, at)));
        }
        claim.put_state(key(thread), to.to_le_bytes());
        if self.random.one_in(6) {
            claim.abort();
            return Ok(Ok(()));
        }
        self.diary.tried = to;
        let done = claim.commit();
        if done.is_ok() {
            self.diary.committed = to;
        }
        Ok(done)
    }

    /// Claims shared ids, and commits or gives them back.
    fn claim_shared(&mut self) -> Promise<Result<(), Error>> {
        let mut numbers = self.some_shared(6);
        numbers.sort_unstable();
        numbers.dedup();
        let asked = self.tick();
        let claim = match self.store.begin(&ids(&numbers)) {
            Ok(claim) => claim,
            Err(error) => return Ok(Err(error)),
        };
        for (&n, verdict) in numbers.iter().zip(claim.verdicts()) {
            match verdict {
                Verdict::New | Verdict::InFlight(_) => {}
                Verdict::Duplicate { .. } => self.note(n, asked, Said::Known),
                other => return Err(format!("claimed id {n} is {other:?}")),
            }
        }
        let fresh: Vec<u64> = claim.fresh().map(|i| numbers[i]).collect();
        if self.random.one_in(3) {
            drop(claim);
            return Ok(Ok(()));
        }
        self.settle(claim, fresh, asked)
    }

    fn settle(&mut self, claim: Claim, fresh: Vec<u64>, asked: u64) -> Promise<Result<(), Error>> {
        let done = claim.commit();
        let said = if done.is_ok() { Said::New } else { Said::Nothing };
        fresh.into_iter().for_each(|n| self.note(n, asked, said));
        Ok(done)
    }
}
