//! The client on librdkafka against a real broker, which is started for it. Without Java and Maven nothing is
//! shown, and that is said aloud.

mod broker;
mod handover;
mod offsets;
mod rebalance;
mod transactions;
