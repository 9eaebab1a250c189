//! Random histories of transactions, each step held against a plain model: claims, leases, commits,
//! aborts, prepares, progress, state, outcomes, with reopening, kills and power cuts in between.
//!
//! Beside the two environment variables that `support` names, `FIRSTSEEN_TEST_HISTORY=HEX` replays
//! one history, as a failure prints it.

mod support;

use support::transactions::{IN_MEMORY, go};
use support::with_histories;

#[test]
fn random_histories_keep_the_promises() {
    with_histories(200, 320, go, IN_MEMORY);
}
