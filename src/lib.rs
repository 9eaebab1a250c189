//! firstseen: has this id been seen inside the time window?
#![allow(dead_code, unused_imports)]

mod error;
mod format;
mod key;
mod run;
mod sync;
mod sys;
mod time;

pub use error::{Corruption, Error, Result};
pub use key::Fingerprint;
pub use run::ReadMode;
pub use time::{Clock, SystemClock, Timestamp};

/// What the benches need beside the public face. No part of the interface.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod internals {
    pub use crate::run::harness as run;
    pub use crate::sys::{File, Region};
}
