//! Any history of transactions, reopens, deaths and power cuts, against a plain model: the one of
//! `tests/model_transactions.rs`.
#![no_main]

#[allow(dead_code, unreachable_pub)] // It can also shrink and tell, which the fuzzer does itself.
#[path = "../../tests/support/transactions/mod.rs"]
mod transactions;

use libfuzzer_sys::fuzz_target;

/// More than this tells no more, and slowly.
const OPERATIONS_MAX: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    if let Some((settings, history)) = bytes.split_first_chunk() {
        let mut history = transactions::ops(transactions::IN_MEMORY, history);
        history.truncate(OPERATIONS_MAX);
        transactions::go(*settings, &history);
    }
});
