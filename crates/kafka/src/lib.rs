//! Consumers of Apache Kafka that make each message's effects happen once.
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
