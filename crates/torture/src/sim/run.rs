//! A script that goes on as far as the disk lets it, with a model beside the store.

use std::time::Duration;

use firstseen::testing::{Expected, ManualClock, MemoryDisk, Op};
use firstseen::{Claim, Clock, Durability, Error, Store, Timestamp, Verdict};

use super::look::look;
use super::model::{Held, Model, SOURCES, key, outcome, record};
use super::script::Step;
use super::setup::Setup;
use crate::case::{Promise, ensure};
use crate::support::{id, ids};

/// What names and keys of stores are drawn from: a case is the same each time.
const SEED: u64 = 5;

/// What an error says of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// There is none.
    Sound,
    /// One operation fails, and the next are obeyed: what was refused is gone.
    Obeys,
    /// Some operations fail, and the next are obeyed: what was refused may be there, if taking it back
    /// failed as well.
    Wavers,
    /// There is no room: what was refused is gone, and said to be refused for that.
    Full,
    /// Nothing is obeyed any more: what was refused may be there.
    Dead,
}

/// A store under a script.
pub(crate) struct Run {
    pub(crate) setup: Setup,
    pub(crate) disk: MemoryDisk,
    pub(crate) clock: ManualClock,
    pub(crate) fate: Fate,
    pub(crate) store: Option<Store>,
    /// What the store holds: one, but for outcomes that are not known.
    pub(crate) now: Vec<Model>,
    /// What else a power cut may leave.
    past: Vec<Model>,
    /// What a disk that wavers may have kept of calls that were refused.
    refused: Vec<Model>,
    /// What it held before the last frame of the log, and before each earlier step.
    previous: Option<Model>,
    history: Vec<Model>,
    /// Errors that were met.
    pub(crate) errors: u64,
    tokens: u64,
}

impl Run {
    pub(crate) fn new(setup: Setup, fate: Fate) -> Run {
        Run {
            setup,
            disk: MemoryDisk::seeded(SEED),
            clock: ManualClock::new(Timestamp::from_secs(1_700_000_000)),
            fate,
            store: None,
            now: vec![Model::new(&setup)],
            past: Vec::new(),
            refused: Vec::new(),
            previous: None,
            history: Vec::new(),
            errors: 0,
            tokens: 0,
        }
    }

    /// Opens the store, and goes through a script.
    pub(crate) fn go(&mut self, script: &[Step]) -> Promise {
        self.go_on(&[Step::Drop])?;
        if self.store.is_none() && self.fate == Fate::Dead { Ok(()) } else { self.go_on(script) }
    }

    /// Goes through a script. What was refused for lack of room is asked for once more.
    pub(crate) fn go_on(&mut self, script: &[Step]) -> Promise {
        for &step in script {
            let Err(error) = self.step(step)? else { continue };
            self.errors += 1;
            self.allows(step, &error)?;
            match self.fate {
                Fate::Dead => break,
                _ if error.is_transient() => {
                    if let Err(error) = self.step(step)? {
                        self.allows(step, &error)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What the death of the process may leave.
    pub(crate) fn after_kill(&self) -> Vec<Model> {
        self.now.iter().chain(&self.refused).cloned().collect()
    }

    /// What may be taken for the whole if the last frame of the log does not verify.
    pub(crate) fn after_torn_tail(&self) -> Vec<Model> {
        self.after_power_cut().into_iter().chain(self.previous.clone()).collect()
    }

    /// What may be taken for the whole if any of the log's end is gone, and with it whatever told of it.
    pub(crate) fn after_lost_tail(&self) -> Vec<Model> {
        self.after_power_cut().into_iter().chain(self.history.iter().rev().cloned()).collect()
    }

    /// What a power cut may leave.
    pub(crate) fn after_power_cut(&self) -> Vec<Model> {
        self.now.iter().chain(&self.refused).chain(&self.past).cloned().collect()
    }

    /// The operations of the disk that a script takes.
    pub(crate) fn history(setup: Setup, script: &[Step]) -> Promise<Vec<Op>> {
        let mut run = Run::new(setup, Fate::Sound);
        run.go(script)?;
        Ok(run.disk.history())
    }

    fn allows(&self, step: Step, error: &Error) -> Promise {
        let foreseen = match error {
            Error::DiskFull { .. } => self.fate != Fate::Sound,
            Error::Io { .. } | Error::Poisoned { .. } | Error::OutcomeUnknown { .. } => {
                !matches!(self.fate, Fate::Sound | Fate::Full)
            }
            _ => false,
        };
        ensure(foreseen, || format!("{step:?} failed: {error}"))
    }

    /// One step. The inner result is what the store said.
    fn step(&mut self, step: Step) -> Promise<Result<(), Error>> {
        if let Step::Reopen | Step::Drop = step {
            return self.reopen(step == Step::Reopen);
        }
        let (Some(store), [before]) = (self.store.clone(), &self.now[..]) else {
            return Ok(Ok(()));
        };
        let (mut after, now) = (before.clone(), self.clock.wall());
        let logged = store.stats().log_bytes_written;
        after.oracle.advance(now);
        let done = match step {
            Step::Insert(from, to) => self.insert(&store, &mut after, from, to, now)?,
            Step::Forget(from, to) => {
                let numbers: Vec<u64> = (from..to).collect();
                let (least, most) = after.oracle.forget(&numbers);
                let done = store.forget(&ids(&numbers));
                if let Ok(count) = done {
                    ensure((least..=most).contains(&count), || {
                        format!("forgot {count} of {from}..{to}, not {least}..={most}")
                    })?;
                }
                done.map(drop)
            }
            Step::Commit(source, count) if !before.holds(source) => {
                let held = before.next(source, count);
                after.commit(&held, now);
                self.work(&store, before, &held)?.and_then(Claim::commit)
            }
            Step::Abort(source, count) if !before.holds(source) => {
                let held = before.next(source, count);
                self.work(&store, before, &held)?.map(drop)
            }
            Step::Prepare(source, count) if !before.holds(source) => {
                let held = before.next(source, count);
                let token = self.tokens;
                let claim = self.work(&store, before, &held)?;
                after.held.insert(token, held);
                self.tokens += 1;
                claim.and_then(|claim| claim.prepare(token.to_be_bytes())).map(drop)
            }
            Step::Settle(commit) => match after.held.pop_first() {
                Some((token, held)) => {
                    let mut in_doubt = store.in_doubt().into_iter();
                    let prepared = in_doubt.find(|other| other.token() == token.to_be_bytes());
                    let prepared = prepared.ok_or(format!("token {token} is not in doubt"))?;
                    if commit {
                        after.commit(&held, now);
                    }
                    if commit { prepared.commit() } else { prepared.abort() }
                }
                None => Ok(()),
            },
            Step::Seal => store.seal(),
            Step::Compact => store.compact(),
            Step::Sync => store.sync(),
            Step::Pass(seconds) => {
                self.clock.advance(Duration::from_secs(seconds));
                Ok(())
            }
            _ => Ok(()),
        };
        let prepared = after.held.len() > self.now[0].held.len();
        let syncs = matches!(step, Step::Sync | Step::Seal) || prepared;
        if store.stats().log_bytes_written != logged {
            self.previous = Some(self.now[0].clone());
        }
        self.follow(step, after, syncs, &done)?;
        Ok(done)
    }

    /// Takes over what a step has made of the model, as far as it is known.
    fn follow(
        &mut self,
        step: Step,
        after: Model,
        syncs: bool,
        done: &Result<(), Error>,
    ) -> Promise {
        let before = self.now[0].clone();
        self.history.push(before.clone());
        match done {
            Ok(()) => {
                if syncs || self.setup.durability == Durability::Sync {
                    self.past.clear();
                } else {
                    self.past.push(before);
                }
                self.now = vec![after];
            }
            Err(Error::OutcomeUnknown { .. }) => self.now = vec![before, after],
            Err(_) if self.fate == Fate::Dead => self.now = vec![before, after],
            Err(_) => {
                self.assert_free(step, &before)?;
                match self.fate {
                    Fate::Wavers => self.refused.push(after),
                    _ => self.past.push(after),
                }
            }
        }
        Ok(())
    }

    fn insert(
        &self,
        store: &Store,
        after: &mut Model,
        from: u64,
        to: u64,
        now: Timestamp,
    ) -> Promise<Result<(), Error>> {
        let numbers: Vec<u64> = (from..to).collect();
        match store.check_and_insert(&ids(&numbers)) {
            Ok(verdicts) => {
                let mut each = numbers.iter().zip(verdicts);
                each.try_for_each(|(&n, verdict)| after.judge(n, now, verdict, true))?;
                Ok(Ok(()))
            }
            Err(error) => {
                for n in numbers {
                    if after.oracle.expected(n, now) == Expected::New {
                        after.judge(n, now, Verdict::New, true)?;
                    }
                }
                Ok(Err(error))
            }
        }
    }

    /// A transaction over the next records of a source; some that were committed come again.
    fn work(&self, store: &Store, before: &Model, held: &Held) -> Promise<Result<Claim, Error>> {
        let Held { source, from, to } = *held;
        let again = from.saturating_sub(2);
        let records: Vec<_> = (again..to).map(|at| (at, id(record(source, at)))).collect();
        let mut claim = match store.begin_from(SOURCES[source], &records) {
            Ok(claim) => claim,
            Err(error) => return Ok(Err(error)),
        };
        for ((at, _), &verdict) in records.iter().zip(claim.verdicts()) {
            let right = match *at < from {
                true => verdict == Verdict::Replay { progress: from },
                false => verdict == Verdict::New,
            };
            ensure(right, || format!("record {at} of source {source} is {verdict:?} at {from}"))?;
        }
        let sum = match claim.state(key(source)) {
            Ok(sum) => sum.map(|bytes| bytes.try_into().map(u64::from_le_bytes)),
            Err(error) => return Ok(Err(error)),
        };
        let known = before.progress[source];
        ensure(sum == Some(Ok(known)) || (sum.is_none() && known == 0), || {
            format!("a transaction reads {sum:?} of source {source}, not {known}")
        })?;
        claim.put_state(key(source), to.to_le_bytes());
        for i in claim.fresh() {
            claim.set_outcome(i, outcome(record(source, again + i as u64)));
        }
        Ok(Ok(claim))
    }

    /// After a refusal: what would have been let in can come again, if the store still answers.
    fn assert_free(&self, step: Step, before: &Model) -> Promise {
        let (Some(store), now) = (&self.store, self.clock.wall()) else { return Ok(()) };
        let numbers: Vec<u64> = match step {
            Step::Insert(from, to) => (from..to).collect(),
            Step::Commit(source, count)
            | Step::Abort(source, count)
            | Step::Prepare(source, count) => {
                let Held { from, to, .. } = before.next(source, count);
                (from..to).map(|at| record(source, at)).collect()
            }
            _ => return Ok(()),
        };
        let (mut verdicts, mut trial) = (Vec::new(), before.clone());
        if store.check(&ids(&numbers), &mut verdicts).is_err() {
            return Ok(());
        }
        let mut each = numbers.iter().zip(verdicts);
        let judged = each.try_for_each(|(&n, verdict)| trial.judge(n, now, verdict, false));
        judged.map_err(|wrong| format!("after {step:?} was refused: {wrong}"))
    }

    fn reopen(&mut self, close: bool) -> Promise<Result<(), Error>> {
        let closed = match self.store.take() {
            Some(store) if close => store.close(),
            _ => Ok(()),
        };
        if close && closed.is_ok() && self.fate == Fate::Sound {
            self.past.clear();
        }
        if self.fate == Fate::Dead
            && let Err(error) = closed
        {
            return Ok(Err(error));
        }
        let store = match self.setup.open(&self.disk, &self.clock) {
            Ok(store) => store,
            Err(error) => return Ok(Err(error)),
        };
        let said = match look(&store) {
            Ok(said) => said,
            // The fault was planned for this very look.
            Err(error) => {
                self.store = Some(store);
                return Ok(Err(error));
            }
        };
        let mut wrong = Vec::new();
        let mut fits = |model: &Model| said.agrees(model).map_err(|text| wrong.push(text)).is_ok();
        self.now = self.after_kill();
        self.refused.clear();
        self.now.retain(&mut fits);
        ensure(!self.now.is_empty(), || format!("after reopening: {}", wrong.join("; or ")))?;
        self.now.truncate(1);
        self.store = Some(store);
        Ok(Ok(()))
    }
}
