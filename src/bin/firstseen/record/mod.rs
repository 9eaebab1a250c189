//! Records as bytes: where one ends, and where in it the id and the time stand.
//!
//! Plain functions on slices, without I/O and without the rest of the command, so that each can be
//! tested and fuzzed alone. Nothing here allocates for a record in the common case: what is found
//! is a slice of the record itself, and only text that must be unescaped is copied.
//!
//! - [`lines`]: records ended by a byte
//! - [`fields`]: fields between a delimiter, without quoting, as `cut` sees them
//! - [`csv`]: RFC 4180 records, which may span lines
//! - [`json`]: one value of a JSON text, by a JSON pointer
//! - [`join`]: one id of several values
//! - [`time`]: a point in time, as RFC 3339 or as a number of units since 1970

pub(crate) mod csv;
pub(crate) mod fields;
pub(crate) mod join;
pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod time;

/// Where a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Offset after the last byte of the record, its terminator included.
    pub(crate) end: usize,
    /// Offset after the last byte of the record's content, its terminator excluded.
    pub(crate) body: usize,
    /// Lines that the record takes up.
    pub(crate) lines: u64,
}
