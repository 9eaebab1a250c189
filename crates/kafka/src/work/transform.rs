//! Consume, transform, produce: effects are records of other topics, in Kafka's own transactions.
//!
//! A transaction of Kafka holds the outputs of a batch and the group's offset, and with the offset, as its
//! metadata, the token under which the store has prepared the batch. So whether a batch in doubt was committed
//! can be read from the group. Each partition has a producer with a name of its own: whoever takes the
//! partition over makes it anew, which ends the last transaction of the one before for good.

use std::collections::HashMap;
use std::fmt;

use firstseen::Step;

use super::in_store::attempt_each;
use super::{Claimed, Owned, Work, WorkError};
use crate::client::{Client, Committed, Fault, FaultKind, Producer};
use crate::error::BoxError;
use crate::message::{Message, TopicPartition};
use crate::outputs::{OutputBuffer, Outputs};
use crate::tenure::Tenure;

/// Makes the producer of a partition.
pub trait Producers {
    /// A producer.
    type Producer: Producer;

    /// Makes one that nobody else names as this one: by the group and the partition.
    ///
    /// # Errors
    ///
    /// By kind.
    fn open(&mut self, partition: &TopicPartition) -> Result<Self::Producer, Fault>;
}

/// How often a commit is asked for whose outcome is not known, before the partition is acquired anew.
const COMMIT_TRIES: u32 = 10;

/// Calls a function for each new message, in order, which makes records for other topics and may change the
/// store's state; commits both, the ids and the offset with them.
///
/// What a `read_committed` reader of the outputs sees happens **once**, and the store's state agrees with it. Each
/// batch waits for a sync of the store and for a transaction of Kafka: large batches are cheaper.
///
/// Not promised: what `read_uncommitted` readers see; effects elsewhere; state, where a lost store was rebuilt from the
/// outputs, which know ids alone.
pub struct Transform<P: Producers, F> {
    producers: P,
    open: HashMap<TopicPartition, P::Producer>,
    outputs: OutputBuffer,
    history: bool,
    work: F,
}

impl<P, F> Transform<P, F>
where
    P: Producers,
    F: FnMut(&Message<'_>, &mut Step<'_>, &mut Outputs<'_>) -> Result<(), BoxError>,
{
    /// Works by `work`, with one of `producers` for each partition.
    pub fn new(producers: P, work: F) -> Transform<P, F> {
        let (open, outputs) = (HashMap::new(), OutputBuffer::default());
        Transform { producers, open, outputs, history: true, work }
    }

    /// Whether outputs carry, in four headers, the id, time and position of the message they were made from, so that a
    /// lost store can be rebuilt from the output topic. Default: yes; it costs about 100 bytes a record.
    #[must_use]
    pub fn history(mut self, history: bool) -> Transform<P, F> {
        self.history = history;
        self
    }
}

impl<C, P, F> Work<C> for Transform<P, F>
where
    C: Client,
    P: Producers,
    P::Producer: Producer<Group = C::Group>,
    F: FnMut(&Message<'_>, &mut Step<'_>, &mut Outputs<'_>) -> Result<(), BoxError>,
{
    fn take_over(&mut self, partition: &TopicPartition) -> Result<(), WorkError> {
        self.open.remove(partition);
        let mut producer = self.producers.open(partition)?;
        producer.init()?;
        self.open.insert(partition.clone(), producer);
        Ok(())
    }

    fn settle(&mut self, owned: &mut Owned<'_, C>) -> Result<(), WorkError> {
        if !self.open.contains_key(owned.partition) {
            Work::<C>::take_over(self, owned.partition)?;
        }
        // Nothing of an earlier producer can be committed any more: what the group says is final.
        let committed = owned.client.committed(owned.partition)?;
        let committed = committed.as_ref().and_then(|found| Tenure::parse(&found.metadata));
        let last = committed.and_then(|(_, token)| token);
        owned.settle(|token| Ok(last == Some(token)))
    }

    fn work(
        &mut self,
        owned: &mut Owned<'_, C>,
        mut claimed: Claimed<'_>,
    ) -> Result<(), WorkError> {
        self.outputs.clear();
        let (outputs, work, history) = (&mut self.outputs, &mut self.work, self.history);
        let (partition, ids) = (owned.partition, claimed.ids());
        let failed = attempt_each(&mut claimed, |i, message, step| {
            let before = outputs.len();
            let history = history.then(|| (ids.id(i), ids.time(i)));
            let worked = work(message, step, &mut outputs.of(partition, message, history));
            worked.inspect_err(|_| outputs.truncate(before))
        });
        self.commit(owned, claimed)?;
        failed
    }

    fn let_go(&mut self, partition: &TopicPartition) {
        self.open.remove(partition);
    }

    fn commit_offset(
        &mut self,
        owned: &mut Owned<'_, C>,
        committed: &Committed,
        _wait: bool,
    ) -> Result<(), WorkError> {
        let Some(producer) = self.open.get_mut(owned.partition) else {
            return Err(not_settled().into());
        };
        // It takes the place of the last batch's token, which would tell that that was done if a power cut took the
        // store's own word of it.
        owned.store.sync()?;
        let done = transact(producer, owned, &OutputBuffer::default(), committed);
        done.map_err(|(fault, _)| fault.into())
    }
}

impl<P: Producers, F> Transform<P, F> {
    /// Prepares the batch in the store, commits it in Kafka, commits it in the store.
    fn commit<C>(&mut self, owned: &mut Owned<'_, C>, claimed: Claimed<'_>) -> Result<(), WorkError>
    where
        C: Client,
        P::Producer: Producer<Group = C::Group>,
    {
        let next = claimed.next_offset();
        let claim = claimed.into_claim();
        if self.outputs.is_empty() {
            // Nothing that others could see twice. The group's offset follows.
            return Ok(claim.commit()?);
        }
        let Some(producer) = self.open.get_mut(owned.partition) else {
            return Err(not_settled().into());
        };
        let token = format!("{}:{}", owned.tenure, claim.token());
        let committed = Committed { next, metadata: owned.tenure.metadata(Some(&token)) };
        let prepared = claim.prepare(&token)?;
        match transact(producer, owned, &self.outputs, &committed) {
            Ok(()) => Ok(prepared.commit()?),
            Err((fault, Outcome::Nothing)) => {
                prepared.abort()?;
                Err(fault.into())
            }
            // It stays in doubt; to acquire the partition anew settles it.
            Err((fault, Outcome::Unknown)) => {
                self.open.remove(owned.partition);
                Err(Fault { kind: FaultKind::Fenced, ..fault }.into())
            }
        }
    }
}

/// What is known of a transaction that was not seen to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It never will be.
    Nothing,
    /// It may have been.
    Unknown,
}

/// Commits records and the group's offset in one transaction.
fn transact<C, P>(
    producer: &mut P,
    owned: &mut Owned<'_, C>,
    outputs: &OutputBuffer,
    committed: &Committed,
) -> Result<(), (Fault, Outcome)>
where
    C: Client,
    P: Producer<Group = C::Group>,
{
    let nothing = |fault| (fault, Outcome::Nothing);
    let group = owned.client.group().map_err(nothing)?;
    producer.begin().map_err(nothing)?;
    let mut sent = outputs.iter().try_for_each(|record| producer.send(&record));
    if sent.is_ok() {
        sent = producer.send_offset(owned.partition, committed, &group);
    }
    if let Err(fault) = sent {
        return Err(nothing(abort(producer, fault)));
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match producer.commit() {
            Ok(()) => break,
            Err(fault) if fault.kind == FaultKind::Transient && tries < COMMIT_TRIES => {}
            Err(fault) if fault.kind == FaultKind::Abortable => {
                // Only what was aborted was certainly not committed.
                return Err(match producer.abort() {
                    Ok(()) => (fault, Outcome::Nothing),
                    Err(worse) => (worse, Outcome::Unknown),
                });
            }
            Err(fault) => return Err((fault, Outcome::Unknown)),
        }
    }
    *owned.group_next = Some(committed.next);
    Ok(())
}

/// Aborts a transaction that failed. A producer that cannot is to be made anew.
fn abort<P: Producer>(producer: &mut P, fault: Fault) -> Fault {
    match producer.abort() {
        Ok(()) => fault,
        Err(worse) => Fault { kind: FaultKind::Fenced, ..worse },
    }
}

fn not_settled() -> Fault {
    let said = "the partition has no producer; it is acquired anew".to_owned();
    Fault { kind: FaultKind::Fenced, doing: "begin a transaction", said }
}

impl<P: Producers, F> fmt::Debug for Transform<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transform")
    }
}
