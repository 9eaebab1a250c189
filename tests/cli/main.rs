//! The promises of the `firstseen` command, each shown on the binary itself.
//!
//! - [`filter`]: what `dedup` prints, byte for byte
//! - [`select`]: ids and times by field, column and JSON pointer; records without one
//! - [`memory`]: across runs; windows and late records
//! - [`kill`]: a run killed at any moment and repeated, in both orders
//! - [`care`]: the commands that look after a store
//! - [`transactions`]: what was committed beside ids, and what an operator decides by hand
//! - [`backends`]: the same promises in a database; copies from one backend into another
//! - [`stream`]: `generate`, and the example log

mod backends;
mod care;
mod filter;
mod kill;
mod memory;
mod select;
mod stream;
mod support;
mod transactions;
