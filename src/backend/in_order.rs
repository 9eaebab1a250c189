//! The records of a run, one after the other: what merges, refreshes and exports read.
//!
//! Records come over the seam in chunks, so that the price of a call through a trait object is paid once
//! a page and not once a record.

use super::Records;
use crate::error::Result;
use crate::run::{Record, Sorted};

/// A position in a run. After an error, and at the end, it yields nothing more.
#[derive(Debug)]
pub(crate) struct InOrder<'a> {
    records: Box<dyn Records + 'a>,
    chunk: Vec<Record>,
    next: usize,
}

impl<'a> InOrder<'a> {
    /// Begins with the first of `records`.
    pub(crate) fn new(records: Box<dyn Records + 'a>) -> InOrder<'a> {
        InOrder { records, chunk: Vec::new(), next: 0 }
    }

    #[cold]
    fn refill(&mut self) -> Result<Option<Record>> {
        self.chunk.clear();
        self.next = 0;
        self.records.next_chunk(&mut self.chunk)?;
        self.next = self.chunk.len().min(1);
        Ok(self.chunk.first().copied())
    }
}

impl Sorted for InOrder<'_> {
    #[inline]
    fn next_record(&mut self) -> Result<Option<Record>> {
        match self.chunk.get(self.next) {
            Some(&record) => {
                self.next += 1;
                Ok(Some(record))
            }
            None => self.refill(),
        }
    }
}

impl Iterator for InOrder<'_> {
    type Item = Result<Record>;

    #[inline]
    fn next(&mut self) -> Option<Result<Record>> {
        self.next_record().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::key::Fingerprint;

    #[derive(Debug)]
    struct Given(std::vec::IntoIter<Result<Vec<Record>>>);

    impl Records for Given {
        fn next_chunk(&mut self, out: &mut Vec<Record>) -> Result<()> {
            self.0.next().transpose().map(|chunk| out.extend(chunk.unwrap_or_default()))
        }
    }

    fn record(n: u128) -> Record {
        (Fingerprint::from_u128(n), n as u8)
    }

    fn in_order(chunks: Vec<Result<Vec<Record>>>) -> InOrder<'static> {
        InOrder::new(Box::new(Given(chunks.into_iter())))
    }

    #[test]
    fn records_come_across_chunks() {
        let chunks = vec![Ok(vec![record(1), record(2)]), Ok(vec![record(3)])];
        let records: Vec<_> = in_order(chunks).map(Result::unwrap).collect();
        assert_eq!(records, [record(1), record(2), record(3)]);
    }

    #[test]
    fn an_error_ends_them() {
        let mut records = in_order(vec![Ok(vec![record(1)]), Err(Error::Closed)]);
        assert_eq!(records.next().unwrap().unwrap(), record(1));
        assert!(records.next().unwrap().is_err());
        assert!(records.next().is_none() && records.next().is_none());
    }
}
