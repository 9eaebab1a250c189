//! What the loop needs of a client of Kafka: a consumer of a group, and a transactional producer.
//!
//! Nothing here names a library: [`rdkafka`](crate::rdkafka) is one client, the cluster in memory that the
//! tests use another, and a Python or a Java client can be a third. A client only does what it is told.
//! Which offset to read from, what is committed and when, is decided by the loop alone.

use std::fmt;
use std::time::Duration;

use crate::message::{Message, TopicPartition};

/// A consumer that is a member of a group, or has partitions by hand.
pub trait Client {
    /// Who the member is in its group now; goes into transactions, where the broker checks it.
    type Group;

    /// Waits up to `timeout` for messages or a change of the assignment. Messages go to `inbox`; a change is
    /// returned as soon as it is known, and the client does nothing about it by itself.
    ///
    /// # Errors
    ///
    /// [`FaultKind::Transient`]: to be called again. [`FaultKind::Fatal`]: this client is of no more use.
    fn poll(
        &mut self,
        timeout: Duration,
        inbox: &mut dyn Inbox,
    ) -> Result<Option<Rebalance>, Fault>;

    /// Takes over partitions that were [assigned](Rebalance::Assigned), without reading them yet.
    ///
    /// # Errors
    ///
    /// As [`Client::poll`].
    fn accept(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault>;

    /// Gives up partitions that were [revoked](Rebalance::Revoked) or [lost](Rebalance::Lost). No message
    /// of them comes after that.
    ///
    /// # Errors
    ///
    /// As [`Client::poll`].
    fn give_up(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault>;

    /// Reads an accepted partition from this offset on: what was fetched of it before is dropped.
    ///
    /// # Errors
    ///
    /// As [`Client::poll`].
    fn read_from(&mut self, partition: &TopicPartition, next: u64) -> Result<(), Fault>;

    /// Stops giving messages of a partition, until it is [read](Client::read_from) again.
    ///
    /// # Errors
    ///
    /// As [`Client::poll`].
    fn hold(&mut self, partition: &TopicPartition) -> Result<(), Fault>;

    /// What the group has committed of a partition; `None` if nothing. Waits for transactions that are open
    /// over it to end, so that the answer is final.
    ///
    /// # Errors
    ///
    /// As [`Client::poll`].
    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<Committed>, Fault>;

    /// Commits the group's offset of a partition, and waits for it to be done if `wait`.
    ///
    /// # Errors
    ///
    /// As [`Client::poll`]; [`FaultKind::Fenced`]: the partition is not this member's any more.
    fn commit(
        &mut self,
        partition: &TopicPartition,
        committed: &Committed,
        wait: bool,
    ) -> Result<(), Fault>;

    /// The first offset of a partition that is kept, and the one that its next message will have.
    ///
    /// # Errors
    ///
    /// As [`Client::poll`].
    fn bounds(&mut self, partition: &TopicPartition) -> Result<Bounds, Fault>;

    /// See [`Client::Group`].
    ///
    /// # Errors
    ///
    /// [`FaultKind::Fenced`] if it is a member of none.
    fn group(&mut self) -> Result<Self::Group, Fault>;

    /// Begins to leave the group: a last revocation follows, by [`Client::poll`].
    ///
    /// # Errors
    ///
    /// As [`Client::poll`].
    fn leave(&mut self) -> Result<(), Fault>;
}

/// Where a client puts messages.
pub trait Inbox {
    /// Takes a message of a partition.
    fn take(&mut self, topic: &str, partition: i32, message: &Message<'_>);
}

/// A change of what a member has been assigned. Whatever the protocol, it names only what changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebalance {
    /// These are the member's from now on. To be [accepted](Client::accept).
    Assigned(Vec<TopicPartition>),
    /// These are somebody else's once they are [given up](Client::give_up).
    Revoked(Vec<TopicPartition>),
    /// These may be somebody else's already. To be given up.
    Lost(Vec<TopicPartition>),
}

/// What a group has committed of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub next: u64,
    /// What was said with it.
    pub metadata: String,
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that is kept.
    pub first: u64,
    /// The offset that the next message will have.
    pub end: u64,
}

/// A producer of transactions that has a name of its own.
pub trait Producer {
    /// Who the consumer is in its group: see [`Client::Group`].
    type Group;

    /// Makes this the only producer of its name: what an earlier one left open is ended, committed or
    /// aborted for good, and an earlier one that still lives is refused from now on.
    ///
    /// # Errors
    ///
    /// By kind: see [`FaultKind`].
    fn init(&mut self) -> Result<(), Fault>;

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// By kind: see [`FaultKind`].
    fn begin(&mut self) -> Result<(), Fault>;

    /// Puts a record into the transaction. It may be sent later, at the latest by the commit.
    ///
    /// # Errors
    ///
    /// By kind: see [`FaultKind`].
    fn send(&mut self, record: &OutputRecord<'_>) -> Result<(), Fault>;

    /// Puts the group's offset of a partition into the transaction.
    ///
    /// # Errors
    ///
    /// By kind: see [`FaultKind`].
    fn send_offset(
        &mut self,
        partition: &TopicPartition,
        committed: &Committed,
        group: &Self::Group,
    ) -> Result<(), Fault>;

    /// Commits the transaction: all of it is read by `read_committed` readers, or nothing.
    ///
    /// # Errors
    ///
    /// By kind: see [`FaultKind`]. Transient: whether it is committed is not known; to be called again.
    fn commit(&mut self) -> Result<(), Fault>;

    /// Aborts the transaction.
    ///
    /// # Errors
    ///
    /// By kind: see [`FaultKind`].
    fn abort(&mut self) -> Result<(), Fault>;
}

/// A record to be written to a topic.
#[derive(Debug, Clone, Copy)]
pub struct OutputRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None`: by the key.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its payload.
    pub payload: Option<&'a [u8]>,
    /// Its headers.
    pub headers: crate::message::Headers<'a>,
    /// Its timestamp; `None`: now.
    pub time: Option<firstseen::Timestamp>,
}

/// What a client could not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What can be done about it.
    pub kind: FaultKind,
    /// What was attempted, as a verb with its object: "commit offsets".
    pub doing: &'static str,
    /// What the client said.
    pub said: String,
}

/// What can be done about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It may pass: the same call can be made again.
    Transient,
    /// The transaction cannot be committed any more, only aborted.
    Abortable,
    /// Somebody else has taken over.
    Fenced,
    /// The client is of no more use.
    Fatal,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { kind, doing, said } = self;
        let then = match kind {
            FaultKind::Transient => "it is tried again",
            FaultKind::Abortable => "the transaction is aborted and tried again",
            FaultKind::Fenced => "another has taken over; the partition is given up",
            FaultKind::Fatal => "the client is of no more use; start anew",
        };
        write!(f, "cannot {doing}: {said}; {then}")
    }
}

impl std::error::Error for Fault {}
