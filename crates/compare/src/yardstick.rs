//! `L`, random words and memory, by the code that the benches of the store use.

#[path = "../../../benches/support/ahead.rs"]
mod ahead;
#[path = "../../../benches/support/keys.rs"]
#[allow(dead_code)] // the benches take more of it
mod keys;
#[path = "../../../benches/support/line_rate.rs"]
#[allow(dead_code)]
mod line_rate;

use ahead::{AHEAD, BATCH, rolling};
pub(crate) use keys::Random;
pub(crate) use line_rate::LineRate;

/// Writes so much memory and gives it back, so that the system has it at hand. A hypervisor may have
/// taken free memory away; whoever is measured next would pay 40 times the usual price for it.
pub(crate) fn touch_memory(bytes: u64) {
    drop(LineRate::new(bytes));
}
