//! Stores in processes of their own, on disks that are real: what the classes share that kill, cut and fill.
//!
//! A child works on a store from several threads, and says of every call what it begins before it is made,
//! and what came of it after it returned. The parent ends it somehow, and holds what it finds then against all
//! that was said.
//!
//! | module | what it is |
//! |---|---|
//! | `setting` | how a life of a store is led, drawn from the case |
//! | `number` | ids by number |
//! | `line` | what a child says |
//! | `worker`, `transactions` | what a child does |
//! | `life` | a child, as its parent sees it |
//! | `truth` | what must hold of the store, by all that was said |
//! | `verify` | the store that is left, held against that |
//! | `host` | disks, cuts and limits that this machine makes for us |

#[cfg(target_os = "linux")]
pub(crate) mod host;
pub(crate) mod life;
mod line;
mod number;
pub(crate) mod setting;
mod transactions;
pub(crate) mod truth;
pub(crate) mod verify;
pub(crate) mod worker;

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment in microseconds by the system clock, which parent and child share.
pub(crate) type Micros = u64;

pub(crate) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros().try_into().unwrap_or(Micros::MAX)
}
