//! Values files: outcomes and payload fingerprints of the ids of a run, in a file beside it.
//!
//! | module | what it does |
//! |---|---|
//! | `writer` | ascending entries in, one file out, in one pass |
//! | `reader` | [`Values`]: what is kept with this id? |
//! | `cursor` | all entries in order |
//! | `merge` | several files as one |
//! | `verify` | reads every byte and reports every damage |
//!
//! # Promises
//!
//! [`Values::get`] finds every entry that was pushed and nothing else. It costs one positioned read
//! and one checksum, of 16 KiB or of one long entry. Bytes that are not what was written become a
//! [`Corruption`](crate::Corruption), never a wrong answer, a panic or an allocation larger than
//! the longest entry or the file's directory.
//!
//! A file is durable when [`ValuesWriter::finish`] has returned *and* its folder is synced. One whose
//! writer failed or was dropped has no footer and is not opened.
//!
//! # Bytes
//!
//! On disk 29 an entry, 16 more with a payload's fingerprint, and the outcome; 0.2 % around them. In
//! memory 24 a block.

mod cursor;
mod merge;
mod reader;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use cursor::ValuesCursor;
pub(crate) use merge::LatestValues;
pub(crate) use reader::Values;
pub(crate) use writer::ValuesWriter;

/// Bytes that are written or read in one go, unless one block is longer.
const BATCH: usize = 256 << 10;
