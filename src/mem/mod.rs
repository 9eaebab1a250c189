//! Large tables in memory: where they come from, and how their misses are made to overlap.
//!
//! | module | what it is |
//! |---|---|
//! | `words` | a zeroed array of atomic words in huge pages |
//! | `prefetch` | hints for cache lines that are needed soon |

pub mod prefetch;
mod words;

pub use words::Words;
