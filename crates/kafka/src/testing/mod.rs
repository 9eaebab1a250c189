//! A Kafka cluster in memory, and processes that can die at any step: for tests of this crate, and of
//! other clients that want to hold themselves against it.
//!
//! | module | what it is |
//! |---|---|
//! | `cluster` | [`Cluster`]: topics, groups and transactional producers, behind one lock |
//! | `log` | a partition: offsets, control markers, the last stable offset, retention |
//! | `group` | a group: members, generations, rebalances, committed offsets |
//! | `assign` | who gets which partition |
//! | `transactions` | transactional ids, their epochs, what is open |
//! | `process` | [`Process`]: every call is a numbered step; a plan says what goes wrong at which |
//! | `member` | [`Member`]: a [`Client`](crate::Client) of the cluster |
//! | `producer` | [`FakeProducer`], [`FakeProducers`]: transactional producers |
//!
//! Nothing here waits and nothing is random: the same calls give the same answers. A poll that has nothing
//! returns at once. Time does not pass by itself: a session times out by [`Cluster::expel`], a transaction
//! by [`Cluster::time_out`].
//!
//! It is as strict as Kafka and not stricter: the broker refuses a commit of whoever is not a member of
//! the current generation, but it does not know who has which partition. A commit of a partition that its
//! member has not is let through, and noted among the [violations](Cluster::violations).
//!
//! ```
//! use firstseen_kafka::testing::{Cluster, Isolation, Process, Protocol, Produce};
//! use firstseen_kafka::{Consumer, InStore, Settings};
//!
//! # let dir = tempfile::tempdir()?;
//! let cluster = Cluster::new();
//! cluster.create_topic("orders", 1);
//! for key in ["a", "b", "a"] {
//!     cluster.produce("orders", 0, Produce::new(key, "1"));
//! }
//! cluster.create_group("shop", &["orders"], Protocol::Cooperative);
//! let member = cluster.join("shop", &Process::new(), Isolation::ReadCommitted);
//! let mut seen = Vec::new();
//! let work = InStore::new(|message, _| Ok(seen.push(message.offset)));
//! let mut consumer = Consumer::new(member, work, Settings::new(dir.path()))?;
//! while cluster.committed("shop", "orders", 0).is_none_or(|committed| committed.next < 3) {
//!     consumer.step()?;
//! }
//! drop(consumer);
//! assert_eq!(seen, [0, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assign;
mod cluster;
mod group;
mod log;
mod member;
mod process;
mod producer;
mod transactions;

pub use cluster::Cluster;
pub use group::Protocol;
pub use log::{Isolation, Produce, Record};
pub use member::{Group, Member};
pub use process::{Harm, Process, When};
pub use producer::{FakeProducer, FakeProducers};
