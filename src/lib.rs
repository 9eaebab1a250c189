//! firstseen: has this id been seen inside the time window?
#![allow(dead_code, unused_imports)]

mod error;
mod format;
mod identity;
mod key;
mod mem;
mod sync;
mod sys;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
mod time;

pub use error::{Corruption, Error, Result};
pub use identity::IdentityKind;
pub use key::Fingerprint;
pub use time::{Clock, SystemClock, Timestamp};
