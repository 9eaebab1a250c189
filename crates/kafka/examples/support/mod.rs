//! What the examples share: a broker of their own, and topics on it.

pub mod broker;
#[path = "../../../../examples/support/random.rs"]
pub mod random;
pub mod topics;
