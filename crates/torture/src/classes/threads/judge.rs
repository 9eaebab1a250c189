//! Whether the answers can be those of one store, and what a death leaves be left of it.
//!
//! A set with test-and-set needs no search: the answers about an id are linearizable if and only if at most
//! one of them is "new", and no "known" was given before the call that let the id in was made.

use std::collections::BTreeMap;

use firstseen::{Store, Verdict};

use super::work::{Answer, Diary, NOBODY, SHARED, Said, first_own, key, outcome, record, source};
use crate::case::{Promise, ensure};
use crate::support::{id, ids};

/// What a death may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing that was acknowledged.
    Nothing,
    /// What came last, of each thread.
    Tail,
}

/// What all threads have seen.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    shared: BTreeMap<u64, Vec<Answer>>,
    diaries: Vec<Diary>,
}

impl Ledger {
    pub(super) fn of(diaries: Vec<Diary>) -> Ledger {
        let mut shared: BTreeMap<u64, Vec<Answer>> = BTreeMap::new();
        for answer in diaries.iter().flat_map(|diary| &diary.answers) {
            shared.entry(answer.id).or_default().push(*answer);
        }
        Ledger { shared, diaries }
    }

    pub(super) fn answers(&self) -> u64 {
        self.shared.values().map(|answers| answers.len() as u64).sum()
    }

    pub(super) fn commits(&self) -> u64 {
        self.diaries.iter().map(|diary| diary.committed).sum()
    }

    /// Whether the answers about each id can have been given one after the other.
    pub(super) fn is_linearizable(&self) -> Promise {
        for (n, answers) in &self.shared {
            let said = |said: Said| answers.iter().filter(move |answer| answer.said == said);
            let winners: Vec<&Answer> = said(Said::New).collect();
            ensure(winners.len() <= 1, || format!("id {n} was let in twice: {winners:?}"))?;
            let may_have_won = said(Said::New).chain(said(Said::Nothing));
            let first = may_have_won.map(|answer| answer.asked).min();
            for known in said(Said::Known) {
                ensure(first.is_some_and(|first| first < known.answered), || {
                    format!("id {n} was known before anybody let it in: {known:?} of {answers:?}")
                })?;
            }
        }
        Ok(())
    }

    /// Whether a store that was opened afterwards holds what it must, and nothing else.
    pub(super) fn holds(&self, store: &Store, loss: Loss) -> Promise {
        let numbers: Vec<u64> = (0..SHARED).chain(NOBODY..NOBODY + 50).collect();
        for (n, known) in numbers.iter().zip(contains(store, &numbers)?) {
            let answers = self.shared.get(n).map_or(&[][..], Vec::as_slice);
            let acknowledged = answers.iter().any(|answer| answer.said != Said::Nothing);
            ensure(known || !acknowledged || loss == Loss::Tail, || {
                format!("id {n} is forgotten: {answers:?}")
            })?;
            ensure(!known || !answers.is_empty(), || format!("id {n} was never presented"))?;
        }
        self.diaries.iter().try_for_each(|diary| diary.holds(store, loss))
    }
}

impl Diary {
    fn holds(&self, store: &Store, loss: Loss) -> Promise {
        self.holds_own(store, loss)?;
        self.holds_source(store, loss)
    }

    /// Its own ids: all that were acknowledged, or a part of them from the first on; calls as a whole.
    fn holds_own(&self, store: &Store, loss: Loss) -> Promise {
        let thread = self.thread;
        let acknowledged = |from: u64| self.answers.iter().any(|answer| answer.id == from);
        let mut ended = false;
        for &(from, to) in &self.own {
            let known = contains(store, &(from..to).collect::<Vec<_>>())?;
            let (all, any) = (known.iter().all(|&known| known), known.contains(&true));
            ensure(all == any, || format!("a part of call {from}..{to} of thread {thread}"))?;
            ensure(all || !acknowledged(from) || loss == Loss::Tail, || {
                format!("call {from}..{to} of thread {thread} is forgotten")
            })?;
            ensure(!(all && ended), || {
                format!("thread {thread}: call {from}..{to} is kept, one before it is not")
            })?;
            ended |= !all;
        }
        let end = self.own.last().map_or(first_own(thread), |&(_, to)| to);
        let beyond: Vec<u64> = (end..end + 50).collect();
        ensure(!contains(store, &beyond)?.contains(&true), || {
            format!("ids from {end} on are known")
        })
    }

    /// Its source: ids, progress, sum and outcomes of one moment.
    fn holds_source(&self, store: &Store, loss: Loss) -> Promise {
        let text = |error: firstseen::Error| error.to_string();
        let (thread, Diary { committed, tried, .. }) = (self.thread, self);
        let progress = store.progress(&source(thread)).map_err(text)?.unwrap_or(0);
        let sum = store.state(key(thread)).map_err(text)?;
        let sum = sum.map_or(0, |bytes| bytes.try_into().map_or(u64::MAX, u64::from_le_bytes));
        ensure(sum == progress, || format!("source {thread} is at {progress}, its sum at {sum}"))?;
        ensure(progress <= (*tried).max(*committed), || {
            format!("source {thread} is at {progress}, {tried} was tried")
        })?;
        ensure(progress >= *committed || loss == Loss::Tail, || {
            format!("source {thread} is at {progress}, {committed} was committed")
        })?;
        let mut verdicts = Vec::new();
        let end = (*tried).max(*committed) + 20;
        let records = ids(&(0..end).map(|at| record(thread, at)).collect::<Vec<_>>());
        store.check(&records, &mut verdicts).map_err(text)?;
        for (at, verdict) in (0..end).zip(&verdicts) {
            let right = match at < progress {
                true => verdict.is_duplicate(),
                false => *verdict == Verdict::New,
            };
            ensure(right, || {
                format!("record {at} of source {thread} is {verdict:?} at progress {progress}")
            })?;
            if at % 7 == 0 || at + 1 == progress {
                let n = record(thread, at);
                let said = store.outcome(id(n)).map_err(text)?;
                ensure(said == (at < progress).then(|| outcome(n)), || {
                    format!("outcome of record {at} of source {thread}: {said:?} at {progress}")
                })?;
            }
        }
        Ok(())
    }
}

fn contains(store: &Store, numbers: &[u64]) -> Promise<Vec<bool>> {
    store.contains(&ids(numbers)).map_err(|error| error.to_string())
}
