//! What the tests share: a world of a cluster, machines and stores; the ways of working; seeds.
//!
//! Two environment variables: `FIRSTSEEN_TEST_SEED=N` runs a random test with that seed alone, and
//! `FIRSTSEEN_TEST_SCALE=N` makes every test N times as long.
#![allow(dead_code, unreachable_pub)] // Each test file uses a part of it.

pub mod history;
pub mod machine;
pub mod orders;
/// Those of the crate's own tests.
#[path = "../../../../tests/support/seeds.rs"]
pub mod seeds;
pub mod sink;
pub mod ways;
pub mod world;
