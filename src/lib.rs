//! firstseen: has this id been seen inside the time window?
#![allow(dead_code, unused_imports)]

mod compaction;
mod config;
mod error;
mod filter;
mod format;
mod identity;
mod index;
mod key;
mod log;
mod mem;
pub mod offline;
mod run;
mod store;
mod sync;
mod sys;
mod time;
mod verdict;
mod window;

#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;

pub use config::{Builder, Durability, TimeSource};
pub use error::{Corruption, Error, Result};
pub use identity::IdentityKind;
pub use key::Fingerprint;
pub use run::ReadMode;
pub use store::{ClockCheck, Recovery, Stats, Store};
pub use time::{Clock, SystemClock, Timestamp};
pub use verdict::Verdict;

/// Parts that the crate's own benches and tests reach into. No part of the interface.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod internals {
    pub use crate::filter::{Image, RangeBuilder, Reader, WindowFilter, params as filter_params};
    pub use crate::mem::{Words, prefetch};
    pub use crate::run::harness as run;
    pub use crate::sys::{File, Region};
}
