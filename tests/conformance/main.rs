//! One suite for every backend: what a store promises, asked of each backend under each durability and
//! each identity, on real files. What may differ between backends is named in `differences`.
//!
//! | theme | what it asks |
//! |---|---|
//! | `contract` | verdicts, batches, ids of any length, one winner |
//! | `windows` | remembered for the window, forgotten after it |
//! | `reopening` | closing, opening, locks, what is missing |
//! | `claims`, `commits` | transactions: who holds an id, and what is kept with it |
//! | `crash` | a child under load is killed, and so is the one that recovers |
//! | `copies`, `moving` | checkpoints, exports, another backend |
//! | `caps` | the cap on disk space, measured on the disk |
//!
//! A test that fails says in which [`Setting`](setting::Setting).

mod caps;
mod claims;
mod commits;
mod contract;
mod copies;
mod crash;
mod differences;
mod load;
mod moving;
mod reopening;
mod setting;
#[path = "../support/mod.rs"]
mod support;
mod windows;
