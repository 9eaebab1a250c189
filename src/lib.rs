//! firstseen: has this id been seen inside the time window?
#![allow(dead_code, unused_imports)]

mod error;
mod filter;
mod format;
mod index;
mod key;
mod log;
mod mem;
mod sync;
mod sys;
mod time;

pub use error::{Corruption, Error, Result};
pub use key::Fingerprint;
pub use time::{Clock, SystemClock, Timestamp};

/// Parts that the crate's own benches and tests reach into. No part of the interface.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod internals {
    pub use crate::{
        filter::{Image, RangeBuilder, Reader, WindowFilter, params as filter_params},
        mem::{Words, prefetch},
    };
}
