//! Random histories of transactions, each step held against a plain model: claims, leases, commits,
//! aborts, prepares, progress, state, outcomes, with reopening, kills and power cuts in between.
//!
//! Beside the two environment variables that `support` names, `FIRSTSEEN_TEST_HISTORY=HEX` replays
//! one history, as a failure prints it.

mod support;

use support::transactions::{go, ops, run};
use support::with_seeds;

#[test]
fn random_histories_keep_the_promises() {
    if let Ok(hex) = std::env::var("FIRSTSEEN_TEST_HISTORY") {
        let digits = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).expect("bytes in hex");
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digits).collect();
        let (settings, history) = bytes.split_first_chunk().expect("four bytes of settings");
        return go(*settings, &ops(history));
    }
    with_seeds(200, |rng| {
        let bytes: Vec<u8> = (0..80).flat_map(|_| rng.next().to_le_bytes()).collect();
        let (settings, history) = bytes.split_first_chunk().expect("they are many");
        run(*settings, ops(history));
    });
}
