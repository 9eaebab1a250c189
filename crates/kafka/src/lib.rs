//! Consumers of Apache Kafka that make each message's effects happen once.
//!
//! A producer sends a message twice, a consumer dies between its work and its offset, a partition moves: Kafka
//! then delivers a message again, and it is the consumer's to notice. The usual consumer keeps a set of ids in memory and
//! commits offsets before or after the work; it loses messages or doubles them. This one keeps, for each partition, a
//! [`firstseen::Store`]: which ids were seen, how far the partition was read and what came of it change in one
//! commit.
//!
//! - [A first consumer](#a-first-consumer)
//! - [Ways of working](#ways-of-working)
//! - [What is promised of a partition](#what-is-promised-of-a-partition)
//! - [When a partition moves](#when-a-partition-moves)
//! - [What goes wrong, and what then](#what-goes-wrong-and-what-then)
//! - [Other clients](#other-clients)
//! - [What it does not do](#what-it-does-not-do)
//!
//! # A first consumer
//!
//! ```no_run
//! # #[cfg(feature = "rdkafka")] {
//! use firstseen_kafka::rdkafka::KafkaSettings;
//! use firstseen_kafka::{Consumer, IdFrom, InStore, Settings};
//!
//! let client = KafkaSettings::new("127.0.0.1:9092", "totals").subscribe(&["orders"])?;
//! let totals = InStore::new(|message, step| {
//!     let total = step.state("orders")?.map_or(0, |n| u64::from_le_bytes(n.try_into().unwrap()));
//!     step.put_state("orders", (total + 1).to_le_bytes()); // once for each id, whatever happens
//!     Ok(())
//! });
//! let settings = Settings::new("stores").id_from(IdFrom::Header("order-id".into()));
//! let mut consumer = Consumer::new(client, totals, settings)?;
//! let stop = consumer.stop_handle(); // for a signal's handler
//! consumer.run()?;
//! # }
//! # Ok::<(), firstseen_kafka::BoxError>(())
//! ```
//!
//! # Ways of working
//!
//! Where the effects of a message are decides what makes them happen once.
//!
//! | effects | way | promise | cost of a batch, beside the work |
//! |---|---|---|---|
//! | in the store's own state | [`InStore`] | once | one write of the log |
//! | in another system with transactions | [`InSink`] | once, if the [`Sink`] keeps its word | a sync, a transaction there |
//! | records of other topics | [`Transform`] | once, for `read_committed` readers | a sync, a transaction of Kafka |
//! | anywhere; or you only thin out a stream | [`Filter`] | at least once: again only after a crash between work and commit | one write of the log |
//!
//! "Once" is once for each id inside the store's window. Give the window the longest time in which a copy of a
//! message can come, and a margin.
//!
//! # What is promised of a partition
//!
//! - **Its store knows where it was read to.** The consumer starts at the store's progress, not at the group's offset. The
//!   group's offset is brought in step with it ([`Settings::commit_every`]) for whoever watches the lag; nothing rests on it.
//! - **An id counts for its partition.** Producers must send every copy of a message to the same partition, as they do
//!   when its key decides. A partition's store knows the ids of that partition alone.
//! - **Messages are worked on in their order**, in batches of one partition ([`Settings::batch_messages`],
//!   [`Settings::linger`]). A message whose work fails is not passed: the partition waits and tries again, others go on.
//! - **A message that was read before is no duplicate of itself**: offsets below the progress are replays, and told
//!   apart in [`Metrics`].
//!
//! # When a partition moves
//!
//! On assignment the store is opened, on revocation it is closed. Whose store has all that was done is told by a [`Tenure`]: each owner
//! writes a new one into its store and commits it to the group with the partition's offset, where the broker refuses whoever
//! is not the owner. A store that does not know the group's tenure is stale, and is not used. So:
//!
//! - The **old owner is fenced**: its store is closed when the partition is revoked, and where it went on without noticing, its
//!   offsets and transactions are refused by the broker, sinks refuse its lower [tenure](Token::tenure), and what it did to its own store
//!   is thrown away.
//! - The **new owner** opens the store in place (consumers of one machine), fetches it from an [archive](handover::Archive), or rebuilds
//!   it from a [history](handover::History): [`handover`].
//! - Where none has all, the **window is incomplete**. The partition waits and says so, or goes on and may work on a message again:
//!   [`OnIncomplete`](handover::OnIncomplete). It never passes for complete.
//!
//! [`InStore`] needs none of that: its effects are in the store, so a store from before does again what it lacks, if the topic still
//! keeps the messages.
//!
//! # What goes wrong, and what then
//!
//! | what | then |
//! |---|---|
//! | the process dies, anywhere | the next owner settles what is in doubt, and reads on from the store's progress |
//! | the broker is away | calls are tried again, partitions wait; nothing is passed |
//! | the member is taken for dead | the partition is lost, its store closed; see above |
//! | the work fails | [`Settings::on_error`] says: again after a while (default), dead letter, stop |
//! | a message has no id, or is late | it goes to the [dead letters](Settings::dead_letters) with its position; without any, the consumer stops |
//! | messages were deleted before they were read | the window is incomplete, see above |
//! | the disk is full | the partition waits until there is room |
//! | a store is damaged | the consumer stops and says which file |
//!
//! # Other clients
//!
//! The loop knows Kafka by the traits [`Client`] and [`Producer`] alone. Without the feature `rdkafka` the crate is the loop, in pure Rust;
//! with `testing` there is a cluster in memory whose every step can be the last of a process.
//!
//! # What it does not do
//!
//! It does not make deliveries exactly once: a message may come any number of times. It does not find copies of a message in other
//! partitions, nor later than a window. Effects of [`Filter`], and what any work does elsewhere than its way says, happen again after a crash.

mod batch;
mod client;
mod consumer;
mod dead;
mod error;
mod gathered;
pub mod handover;
mod history;
mod message;
mod metrics;
mod outputs;
mod partition;
#[cfg(feature = "rdkafka")]
pub mod rdkafka;
mod select;
mod settings;
mod tenure;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod work;

pub use batch::Batch;
pub use client::{
    Bounds, Client, Committed, Fault, FaultKind, Inbox, OutputRecord, Producer, Rebalance,
};
pub use consumer::{Consumer, Stop};
pub use dead::{DeadLetters, Reason};
pub use error::{BoxError, Error, Result};
pub use history::Done;
pub use message::{Header, Headers, Message, TopicPartition};
pub use metrics::{Metrics, PartitionMetrics, PartitionState};
pub use outputs::Outputs;
pub use select::{IdFrom, IdFunction, TimeFrom};
pub use settings::{BackOff, Failure, OnError, Settings, Start};
pub use tenure::Tenure;
pub use work::{
    Claimed, Filter, Ids, InSink, InStore, Owned, Producers, Sink, Token, Transform, Work,
    WorkError,
};

/// The code of the README is compiled with the doc-tests.
#[cfg(all(doctest, feature = "rdkafka"))]
#[doc = include_str!("../README.md")]
struct Readme;
