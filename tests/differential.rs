//! Random histories on a store in each backend: the two say the same at every step, and what the plain
//! model of transactions allows. `fuzz/fuzz_targets/backends.rs` does the same with a fuzzer's choices.
//!
//! Beside the two environment variables that `support` names, `FIRSTSEEN_TEST_HISTORY=HEX` replays
//! one history, as a failure prints it.

mod support;

use support::differential::{ON_FILES, go};
use support::with_histories;

#[test]
fn the_two_backends_say_the_same() {
    with_histories(300, 4 + 40 * 4, go, ON_FILES);
}
