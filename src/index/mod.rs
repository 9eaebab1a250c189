//! The active index: an exact, lock-free, insert-only set of fingerprints. Its compare-and-swap is
//! the one decision about who was first.
//!
//! | module | what it is |
//! |---|---|
//! | `slot` | how a fingerprint and its tick are packed into two words |
//! | `table` | the table and its insertion protocol |
//! | `drain` | the content in ascending order, for sealing |
//!
//! **Guarantee.** Of all insertions of one fingerprint, from any threads, exactly one is told
//! `Inserted`. Nothing is ever removed or moved; a table is forgotten as a whole.
//!
//! **Cost.** One cache line for an id that is not there, at the load the store allows. 16 bytes a
//! slot, about 25 bytes an id. The bucket is chosen by the top bits of the fingerprint, so the
//! table is almost in the order of a run, and sealing sorts within a few buckets only.

mod drain;
mod slot;
mod table;

#[cfg(feature = "testing")]
pub mod harness;
#[cfg(all(test, loom))]
mod loom_tests;

/// How many ids ahead whoever looks into a table, or inserts, asks for the cache line.
pub(crate) const AHEAD: usize = 20;

pub(crate) use drain::Drain;
pub(crate) use slot::{BUCKET_BITS_MAX, BUCKET_BITS_MIN};
pub(crate) use table::{Insert, Table};
