//! From tables to runs, from runs to fewer runs, and the window filter out of runs.
//!
//! | module | what it is |
//! |---|---|
//! | `plan` | which runs to merge: pure arithmetic |
//! | `seal` | a table, or sorted records and values, in, one durable run out |
//! | `merge` | several runs of a generation in, one run out, a step at a time |
//! | `refresh` | the window filter rebuilt from runs and tables, a step at a time |
//!
//! # What is promised
//!
//! 1. A run is complete and durable before any list names it.
//! 2. An id is behind the filter before it leaves the table, and a refresh never clears the bit of
//!    an id that is in a run, or in a table that is behind the filter.
//! 3. Merging joins runs of one generation only; expiry never rewrites anything.
//! 4. Each id is written to runs twice at the most: when sealed, and when its generation has ended.
//! 5. No step takes long, so that sealing, on which callers may wait, comes soon. What a seal makes due takes
//!    turns with the next one, so that it comes at all.

mod merge;
mod plan;
mod refresh;
mod seal;
#[cfg(test)]
mod tests;

/// Ids of a step of sealing, refreshing or merging, about: some tens of milliseconds.
pub(crate) const STEP: u64 = 1 << 19;

pub(crate) use merge::Merging;
pub(crate) use plan::{RunInfo, plan_merge};
pub(crate) use refresh::Refresh;
pub(crate) use seal::{Sealing, write_run};
