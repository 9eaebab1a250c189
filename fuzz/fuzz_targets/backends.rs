//! Any history on a store in each backend, on real files: the two say the same at every step, and what
//! the plain model of transactions allows. `tests/differential.rs` does the same by seeds.
#![no_main]

#[allow(dead_code, unreachable_pub)] // The test has them in common with others.
#[path = "../../tests/support/differential/mod.rs"]
mod differential;
#[allow(dead_code, unreachable_pub)] // It can also shrink and tell, which the fuzzer does itself.
#[path = "../../tests/support/transactions/mod.rs"]
mod transactions;

use libfuzzer_sys::fuzz_target;

/// More than this tells no more, and slowly.
const OPERATIONS_MAX: usize = 40;

fuzz_target!(|bytes: &[u8]| {
    if let Some((settings, history)) = bytes.split_first_chunk() {
        let mut history = transactions::ops(differential::ON_FILES, history);
        history.truncate(OPERATIONS_MAX);
        differential::go(*settings, &history);
    }
});
