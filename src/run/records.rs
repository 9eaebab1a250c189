//! Records in order, some at a time: what merges, refreshes, copies and exports read.
//!
//! A chunk is what its source has at hand, a decoded page of a run: the price of a call through a trait
//! object is paid once a chunk and not once a record, and what is done with records is done on slices.

use super::Record;
use crate::error::Result;

/// How many records a list in memory gives at a time.
const CHUNK: usize = 1024;

/// Records in strictly ascending order.
pub(crate) trait Records {
    /// Appends the next records to `out`: at least one, but for the end. On an error it appends nothing, and
    /// has ended.
    fn next_chunk(&mut self, out: &mut Vec<Record>) -> Result<()>;

    /// Hands all records to `each`, a chunk at a time, up to the first error.
    fn each_chunk(mut self, mut each: impl FnMut(&[Record]) -> Result<()>) -> Result<()>
    where
        Self: Sized,
    {
        let mut chunk = Vec::new();
        loop {
            self.next_chunk(&mut chunk)?;
            if chunk.is_empty() {
                return Ok(());
            }
            each(&chunk)?;
            chunk.clear();
        }
    }

    /// All records, up to the first error.
    #[cfg(any(test, feature = "testing"))]
    fn read_all(self) -> (Vec<Record>, Result<()>)
    where
        Self: Sized,
    {
        let mut records = Vec::new();
        let read = self.each_chunk(|chunk| {
            records.extend_from_slice(chunk);
            Ok(())
        });
        (records, read)
    }
}

impl<R: Records + ?Sized> Records for Box<R> {
    fn next_chunk(&mut self, out: &mut Vec<Record>) -> Result<()> {
        (**self).next_chunk(out)
    }
}

/// A list in memory.
impl Records for std::vec::IntoIter<Record> {
    fn next_chunk(&mut self, out: &mut Vec<Record>) -> Result<()> {
        out.extend(self.by_ref().take(CHUNK));
        Ok(())
    }
}
