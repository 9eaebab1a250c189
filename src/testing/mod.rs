//! Seams for tests and benches: no part of the crate's promise, and free to change.
//!
//! | module | what it is |
//! |---|---|
//! | `bugs` | the planted bugs of this build |
//! | `clock` | a clock that a test moves |
//! | `decode` | every decoder of bytes from disk |
//! | `internals` | doors to what the benches measure apart |
//! | `memory` | a disk that forgets, tears and fails on request |
//! | `oracle` | the contract as a plain map with time |
//! | `values` | values for the runs of a store that has none |

mod bugs;
mod clock;
pub mod decode;
mod internals;
mod memory;
mod oracle;
#[cfg(test)]
pub(crate) mod values;

pub use crate::sys::{File, Lock, Region, Storage};
pub use bugs::planted;
pub use clock::ManualClock;
pub use internals::Fingerprinter;
pub use memory::{MemoryDisk, Op};
pub use oracle::{Expected, Oracle};
