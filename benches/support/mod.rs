//! What several benches share: what they are told from outside, fingerprints, the yardstick, and the candidates for
//! the filter.
#![allow(dead_code)] // each bench takes a part

pub(crate) mod ahead;
pub(crate) mod feed;
pub(crate) mod filters;
pub(crate) mod ids;
pub(crate) mod keys;
pub(crate) mod line_rate;
pub(crate) mod machine;
pub(crate) mod setting;
pub(crate) mod tagged;
pub(crate) mod window;

pub(crate) use ahead::{AHEAD, BATCH, rolling};
