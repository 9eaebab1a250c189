//! Stores of every version of the format that was ever written, opened by this build.
//!
//! `tests/fixtures/v1` has stores of version 1 as they were left: files of a store with `.gz` behind their names,
//! and `answers.txt` with what the store that wrote them said just before. `mapped-closed` is of the system's
//! clock and `aes-cmac`, and was closed; `mapped-killed` is of event time and `xxh3`, its process died, was
//! opened again, and died again. `sled-closed` and `sled-killed` are the same in a database, for builds with the
//! feature `sled`; `export.fse.gz` is the export stream of `mapped-closed`. `LOCK` and `RESERVE` are left out.
//!
//! - `opening` opens copies of them, asks what they were asked, goes on with them.
//! - `versions` writes another version into each kind of file: an older build must refuse a newer store by name.
//! - `bytes` does what was done once more, and compares the bytes. Not those of sled, which are sled's choice.
//! - `forged` makes files and streams out of them that say nonsense, with their checksums right.
//!
//! They are made by `cargo test --features sled --test compat -- --ignored make`, in the folder of the version that
//! this build writes. That is for a new version, and for a version that was never released: fixtures of a
//! released one stay as they are for ever.

#[path = "../support/mod.rs"]
mod support;

mod bytes;
mod fixtures;
mod forged;
mod opening;

mod versions;
mod workload;
