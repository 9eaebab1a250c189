//! What the tests share: seeds, random choices, ids.
//!
//! Two environment variables: `FIRSTSEEN_TEST_SEED=N` runs a random test with that seed alone, and
//! `FIRSTSEEN_TEST_SCALE=N` makes every test N times as long.
#![allow(dead_code, unreachable_pub)] // Each test file uses a part of it.

use std::env::var;

use transactions::{Go, Shares, ops, run};

#[allow(unused_imports)] // Likewise.
pub use seeds::{Rng, scale, with_seeds};

pub mod child;
pub mod differential;
pub mod disk;
pub mod files;
pub mod found;
pub mod history;
pub mod machine;
pub mod seeds;
pub mod transactions;
pub mod world;

/// Goes through histories of so many bytes by `count` seeds, or through the one that
/// `FIRSTSEEN_TEST_HISTORY=HEX` asks for, as a failure prints it.
pub fn with_histories(count: u64, len: u64, go: Go, shares: Shares) {
    if let Ok(hex) = var("FIRSTSEEN_TEST_HISTORY") {
        let digits = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).expect("bytes in hex");
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digits).collect();
        let (settings, history) = bytes.split_first_chunk().expect("four bytes of settings");
        return go(*settings, &ops(shares, history));
    }
    with_seeds(count, |rng| {
        let bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| rng.next().to_le_bytes()).collect();
        run(go, shares, &bytes);
    });
}

/// The bytes of id `n`. Their length differs from id to id: identities treat lengths differently.
pub fn id(n: u64) -> Vec<u8> {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize([8, 16, 16, 16, 17, 33][(n % 6) as usize], 0x5a);
    bytes
}

pub fn ids(numbers: &[u64]) -> Vec<Vec<u8>> {
    numbers.iter().map(|&n| id(n)).collect()
}
