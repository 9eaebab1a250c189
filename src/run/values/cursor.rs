//! All entries of a values file, in ascending order.
//!
//! Every block is checked as it is read, whatever was checked before: a cursor feeds merges, and
//! what has rotted must not be written anew with a good checksum. It holds the entries of one block
//! and 256 KiB read ahead, or one long block.

use super::super::open::read_exact;
use super::{BATCH, Values};
use crate::error::Result;
use crate::format::run::Flaw;
use crate::format::value::Value;
use crate::key::Fingerprint;

/// A position in a values file. After an error, and at the end, it yields nothing more.
#[derive(Debug)]
pub(crate) struct ValuesCursor<'a> {
    values: &'a Values,
    /// The block to decode next.
    block: usize,
    /// The entries up to this one are passed over.
    after: Option<Fingerprint>,
    /// The last entry that was decoded.
    last: Option<Fingerprint>,
    decoded: std::vec::IntoIter<(Fingerprint, Value)>,
    /// Bytes of the blocks from `ahead_from` up to, not including, `ahead_to`.
    ahead: Vec<u8>,
    ahead_from: usize,
    ahead_to: usize,
}

impl<'a> ValuesCursor<'a> {
    /// Begins at a block, passing over the entries up to `after`.
    pub(super) fn new(
        values: &'a Values,
        block: usize,
        after: Option<Fingerprint>,
    ) -> ValuesCursor<'a> {
        ValuesCursor {
            values,
            block,
            after,
            last: None,
            decoded: Vec::new().into_iter(),
            ahead: Vec::new(),
            ahead_from: 0,
            ahead_to: 0,
        }
    }

    /// Reads the blocks from the next one on that fit together, at least one.
    fn read_ahead(&mut self) -> Result<()> {
        let values = self.values;
        let (begin, mut end) = values.bounds(self.block);
        let mut to = self.block + 1;
        while to < values.starts.len() && values.bounds(to).1 - begin <= BATCH as u64 {
            end = values.bounds(to).1;
            to += 1;
        }
        self.ahead.resize((end - begin) as usize, 0);
        read_exact(&*values.file, &values.path, &mut self.ahead, begin)?;
        (self.ahead_from, self.ahead_to) = (self.block, to);
        Ok(())
    }

    fn decode_next(&mut self) -> Result<()> {
        let block = self.block;
        if block >= self.ahead_to {
            self.read_ahead()?;
        }
        let begin = self.values.starts[self.ahead_from].offset;
        let (from, to) = self.values.bounds(block);
        let bytes = &self.ahead[(from - begin) as usize..(to - begin) as usize];
        self.decoded = decode(self.values, bytes, block, self.last, self.after)
            .map_err(|flaw| flaw.of(&self.values.path))?
            .into_iter();
        self.last = self.decoded.as_slice().last().map(|&(id, _)| id).or(self.last);
        self.block += 1;
        Ok(())
    }
}

/// The entries of a block that are above `after`.
fn decode(
    values: &Values,
    bytes: &[u8],
    block: usize,
    last: Option<Fingerprint>,
    after: Option<Fingerprint>,
) -> Result<Vec<(Fingerprint, Value)>, Flaw> {
    let entries = values.block(bytes, block, last)?;
    let wanted = entries.filter(|entry| entry.as_ref().map_or(true, |e| Some(e.id) > after));
    wanted.map(|entry| entry.map(|entry| (entry.id, entry.value()))).collect()
}

impl Iterator for ValuesCursor<'_> {
    type Item = Result<(Fingerprint, Value)>;

    fn next(&mut self) -> Option<Result<(Fingerprint, Value)>> {
        loop {
            if let Some(entry) = self.decoded.next() {
                return Some(Ok(entry));
            }
            if self.block >= self.values.starts.len() {
                return None;
            }
            if let Err(error) = self.decode_next() {
                self.block = self.values.starts.len();
                return Some(Err(error));
            }
        }
    }
}
