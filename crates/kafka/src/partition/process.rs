//! One batch: claim its new messages, send dead letters, let the way of working work and commit.

use std::collections::BTreeMap;
use std::time::Instant;

use firstseen::{Claim, Verdict};

use super::{Open, Partition, Shared, State, owned};
use crate::batch::Batch;
use crate::client::Client;
use crate::dead::{DeadLetters, Reason};
use crate::error::{BoxError, Error, Result};
use crate::message::TopicPartition;
use crate::select::Selected;
use crate::settings::{Failure, OnError};
use crate::work::{Claimed, Work, WorkError};

impl Partition {
    /// Works on what has come. Where that fails in a way that may pass, the partition backs off.
    pub(super) fn process<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
    ) -> Result<()> {
        let worked = self.work(shared);
        match worked {
            Ok(true) => {
                self.failures = (0, 0);
                self.attempts = None;
                self.gathered.drop_first();
                self.forget_passed();
                Ok(())
            }
            // Somebody else holds an id: it comes again.
            Ok(false) => self.back_off(shared),
            Err(Stopped::Work(WorkError::Message { index, source })) => {
                self.on_failure(shared, Some(index), source)
            }
            Err(Stopped::Work(WorkError::Batch { source })) => {
                self.on_failure(shared, None, source)
            }
            Err(Stopped::Work(error)) => self.on_work_error(shared, error),
            Err(Stopped::DeadLetters(error)) => {
                tracing::warn!(partition = %self.name, %error, "dead letters were not taken");
                self.back_off(shared)
            }
            Err(Stopped::Poison { offset, reason }) => {
                Err(Error::Poison { partition: self.name.clone(), offset, reason })
            }
        }
    }

    /// `false` if messages were left to be read again, because somebody else holds their ids.
    fn work<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
    ) -> Result<bool, Stopped> {
        let State::Reading(open) = &mut self.state else { return Ok(true) };
        let settings = &mut *shared.settings;
        let batch = self.gathered.first();
        let selected = &mut *shared.selected;
        selected.select(&self.name, batch, &mut settings.id_from, settings.time_from);
        let claim = claim(open, &self.source, batch, selected, settings.payloads)?;
        let verdicts = claim.verdicts().to_vec();
        let letters = letters(batch, &verdicts, selected, &self.condemned);
        let unsent = letters.iter().filter(|(i, _)| !self.letters_sent.contains(&batch.offset(*i)));
        let unsent: Vec<&(usize, Reason)> = unsent.collect();
        send(&self.name, batch, &unsent, settings.hooks.dead_letters.as_mut())?;
        self.letters_sent.extend(unsent.iter().map(|(i, _)| batch.offset(*i)));
        let new = |i: &usize| verdicts[*i] == Verdict::New;
        let dead: Vec<usize> = letters.iter().map(|(i, _)| *i).filter(new).collect();
        let claimed = Claimed::new(claim, batch, selected, &dead);
        let mut owned = owned(&self.name, open, shared.client);
        let worked = shared.work.work(&mut owned, claimed);
        let passed = match &worked {
            Ok(()) => verdicts.len(),
            Err(WorkError::Message { index, .. }) => *index,
            Err(_) => 0,
        };
        if let Some(next) = batch.next_offset() {
            self.counts.end = self.counts.end.max(next);
        }
        self.counts.dead_letters += letters.iter().filter(|(i, _)| *i < passed).count() as u64;
        let settled = self.count(&verdicts[..passed]);
        worked.map_err(Stopped::Work)?;
        Ok(settled)
    }

    /// Counts what was committed; `false` if some of it comes again.
    fn count(&mut self, verdicts: &[Verdict]) -> bool {
        let counts = &mut self.counts;
        let mut settled = true;
        for verdict in verdicts {
            match verdict {
                Verdict::New => counts.new += 1,
                Verdict::Duplicate { .. } => counts.duplicates += 1,
                Verdict::Replay { .. } => counts.replays += 1,
                Verdict::Late { .. } => counts.lates += 1,
                verdict => settled &= verdict.is_settled(),
            }
            counts.messages += u64::from(verdict.is_settled());
        }
        settled
    }

    /// Goes about what failed apart from the work on messages.
    pub(super) fn on_work_error<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
        error: WorkError,
    ) -> Result<()> {
        match error {
            WorkError::Client(fault) => self.on_fault(shared, fault),
            WorkError::Store(error) => self.on_store_error(shared, error),
            error => {
                tracing::warn!(partition = %self.name, %error, "it is tried again");
                self.back_off(shared)
            }
        }
    }

    /// Asks what is to be done about work that failed, and does it.
    fn on_failure<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
        index: Option<usize>,
        error: BoxError,
    ) -> Result<()> {
        let message = self.gathered.first().get(index.unwrap_or(0));
        let offset = message.offset;
        let before = self.attempts.filter(|(at, _)| *at == offset);
        let attempts = before.map_or(0, |(_, attempts)| attempts).saturating_add(1);
        self.attempts = Some((offset, attempts));
        let failure = Failure {
            partition: &self.name,
            message,
            whole_batch: index.is_none(),
            attempts,
            error: &error,
        };
        tracing::warn!(partition = %self.name, offset, attempts, %error, "the work failed");
        let decide = shared.settings.hooks.on_error.as_mut();
        match decide.map_or(OnError::Retry, |decide| decide(&failure)) {
            OnError::Stop => {
                Err(Error::Work { partition: self.name.clone(), offset, source: error })
            }
            OnError::DeadLetter if index.is_some() => {
                self.condemned.insert(offset, error.to_string());
                // At once: it is not the world that has to change.
                self.back_off(shared)?;
                self.read_on_now();
                Ok(())
            }
            OnError::DeadLetter | OnError::Retry => self.back_off(shared),
        }
    }

    /// Ends a back-off at the next step.
    fn read_on_now(&mut self) {
        if let State::BackingOff { until, .. } = &mut self.state {
            *until = Instant::now();
        }
    }

    /// A full disk or a conflict may pass; a store that has failed is opened again.
    fn on_store_error<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
        error: firstseen::Error,
    ) -> Result<()> {
        tracing::warn!(partition = %self.name, %error, "the store said no");
        match error {
            firstseen::Error::DiskFull { .. } | firstseen::Error::Refused(_) => {
                self.back_off(shared)
            }
            firstseen::Error::Poisoned { .. }
            | firstseen::Error::OutcomeUnknown { .. }
            | firstseen::Error::Closed => self.acquire_anew(shared),
            error => Err(error.into()),
        }
    }

    /// What is said of messages that are passed need not be remembered.
    fn forget_passed(&mut self) {
        if (!self.condemned.is_empty() || !self.letters_sent.is_empty())
            && let Some(progress) = self.progress()
        {
            self.condemned = self.condemned.split_off(&progress);
            self.letters_sent = self.letters_sent.split_off(&progress);
        }
    }
}

/// Why a batch was not committed in full.
enum Stopped {
    Work(WorkError),
    DeadLetters(BoxError),
    Poison { offset: u64, reason: Reason },
}

impl From<firstseen::Error> for Stopped {
    fn from(error: firstseen::Error) -> Stopped {
        Stopped::Work(WorkError::Store(error))
    }
}

/// The messages that cannot be worked on, and why.
fn letters(
    batch: &Batch,
    verdicts: &[Verdict],
    selected: &Selected,
    condemned: &BTreeMap<u64, String>,
) -> Vec<(usize, Reason)> {
    let poison = |i: usize| {
        let at = selected.poison.binary_search_by_key(&i, |(i, _)| *i).ok()?;
        Some(Reason::NoId(selected.poison[at].1.clone()))
    };
    let condemned = |i| condemned.get(&batch.offset(i)).cloned().map(Reason::Failed);
    let reason = |(i, verdict): (usize, &Verdict)| {
        let reason = match verdict {
            Verdict::New => poison(i).or_else(|| condemned(i)),
            Verdict::Late { .. } => Some(Reason::Late),
            Verdict::Mismatch { .. } => Some(Reason::Mismatch),
            _ => None,
        };
        reason.map(|reason| (i, reason))
    };
    verdicts.iter().enumerate().filter_map(reason).collect()
}

/// Claims the new messages of a batch.
fn claim(
    open: &Open,
    source: &str,
    batch: &Batch,
    selected: &Selected,
    payloads: bool,
) -> firstseen::Result<Claim> {
    let records: Vec<(u64, &[u8])> =
        (0..batch.len()).map(|i| (batch.offset(i), selected.id(i))).collect();
    let claim = open.store.claim().times(&selected.times);
    if !payloads {
        return claim.begin_from(source, &records);
    }
    let payloads: Vec<&[u8]> =
        batch.iter().map(|message| message.payload.unwrap_or_default()).collect();
    claim.payloads(&payloads).begin_from(source, &records)
}

/// Sends dead letters. They are durable when it returns.
fn send(
    partition: &TopicPartition,
    batch: &Batch,
    letters: &[&(usize, Reason)],
    dead_letters: Option<&mut Box<dyn DeadLetters>>,
) -> Result<(), Stopped> {
    let Some(&(first, reason)) = letters.first() else { return Ok(()) };
    let Some(dead_letters) = dead_letters else {
        let offset = batch.get(*first).offset;
        return Err(Stopped::Poison { offset, reason: reason.clone() });
    };
    for (i, reason) in letters {
        let sent = dead_letters.send(partition, &batch.get(*i), reason);
        sent.map_err(Stopped::DeadLetters)?;
    }
    dead_letters.flush().map_err(Stopped::DeadLetters)
}
