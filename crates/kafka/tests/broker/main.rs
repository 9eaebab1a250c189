//! The client on librdkafka against a real broker, which is started for it. Without Java and Maven nothing is
//! shown, and that is said aloud.

mod broker;
mod handover;
mod offsets;
/// The broker's process, as the examples have it.
#[path = "../../examples/support/broker.rs"]
#[allow(dead_code)]
mod process;
mod rebalance;
#[path = "../../examples/support/topics.rs"]
mod topics;
mod transactions;
