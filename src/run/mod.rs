//! Runs: immutable sorted files of (fingerprint, tick), what a sealed generation becomes.
//!
//! | module | what it does |
//! |---|---|
//! | `writer` | ascending records in, one file out, in one pass |
//! | `open`, `reader` | [`Run`]: does this fingerprint stand here, and with which tick? |
//! | `mapping` | the pages of a mapped run, each checked once |
//! | `probe` | many lookups at a time |
//! | `announce` | tells the system what will be read |
//! | `cursor` | all records in order |
//! | `records` | [`Records`]: records in order, some at a time |
//! | `merge` | several sorted sources as one |
//! | `verify` | reads every byte and reports every damage |
//! | `values` | outcomes and payload fingerprints, in a file beside a run |
//! | `filter`, `directory` | the arithmetic behind the lookups |
//!
//! # Promises
//!
//! A run answers exactly: [`Run::get`] finds every record that was pushed and nothing else; the
//! filter in front of it only ever proves absence. Bytes that are not what was written become a
//! [`Corruption`](crate::Corruption) with file and offset, never a wrong answer, a panic or an
//! allocation larger than the file. No promise is made for bytes changed by somebody who computes
//! checksums, except that they do not panic.
//!
//! A run is durable when [`RunWriter::finish`] has returned *and* its folder is synced. A writer
//! that failed or was dropped leaves a file without a footer, which no reader opens; remove it.
//!
//! # Bytes per id
//!
//! With 10 filter bits an id, of 10^7 records: 14.65 record and page, 1.27 filter, 0.03 directory,
//! 15.95 in all; of 2 * 10^6 16.29, of 10^8 15.55, of 10^9 15.20. In memory, mapped: 0.03 (directory)
//! and a bit a page; by positioned reads: 1.28, the filter too.
//!
//! # Cache lines
//!
//! | step | random lines |
//! |---|---|
//! | filter | 1 (a false positive in about 100) |
//! | directory | 1 to 3, of 0.03 bytes an id |
//! | page | 1 for the counts, 1 or 2 for the four or five records of a bucket |

use crate::format::StoreId;
use crate::time::Ticks;

mod announce;
mod cursor;
mod directory;
pub(crate) mod filter;
mod mapping;
mod merge;
mod open;
mod probe;
mod reader;
mod records;
mod values;
mod verify;
mod writer;

#[cfg(feature = "testing")]
pub mod harness;
#[cfg(test)]
mod memory_file;
#[cfg(test)]
mod tests;

pub(crate) use crate::key::Record;
pub(crate) use cursor::Cursor;
pub(crate) use merge::Merge;
pub use reader::ReadMode;
pub(crate) use reader::Run;
pub(crate) use records::Records;
pub(crate) use values::{LatestValues, Values, ValuesWriter};
pub(crate) use writer::RunWriter;

/// Pages that are written or read in one go: 256 KiB.
const BATCH_PAGES: usize = 64;

/// What is known of a run before its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunSpec {
    pub(crate) store: StoreId,
    pub(crate) number: u64,
    pub(crate) generation: u64,
    pub(crate) ticks: Ticks,
    /// How many records will come; layout and filter are sized for it. More are stored too, at more
    /// false positives; with fewer, pages are closed before they are full: a tenth fewer cost up to
    /// 6 % more bytes an id, half as many cost twice the bytes.
    pub(crate) expected: u64,
    /// Filter bits for each expected record; 10 give 1.05 % false positives.
    pub(crate) filter_bits_per_id: u32,
}

/// What a finished run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunSummary {
    pub(crate) records: u64,
    /// Data pages.
    pub(crate) pages: u64,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Smallest and largest tick; 255 and 0 in an empty run.
    pub(crate) earliest: u8,
    pub(crate) latest: u8,
}
