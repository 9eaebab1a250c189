//! Seams for tests and benches: no part of the crate's promise, and free to change.
//!
//! | module | what it is |
//! |---|---|
//! | `clock` | a clock that a test moves |
//! | `decode` | every decoder of bytes from disk |
//! | `internals` | doors to what the benches measure apart |
//! | `memory` | a disk that forgets, tears and fails on request |

mod clock;
pub mod decode;
mod internals;
mod memory;

pub use crate::sys::{File, Lock, Region, Storage};
pub use clock::ManualClock;
pub use internals::Fingerprinter;
pub use memory::{MemoryDisk, Op};
