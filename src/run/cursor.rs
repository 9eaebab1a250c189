//! All records of a run, in ascending order.
//!
//! A cursor checks every page it reads, whatever was checked before: it feeds merges, and a page
//! that has rotted since must not be written anew with a good checksum. It yields no more records than
//! the run says it has: whoever merges counts on that. It holds one decoded page and, by positioned
//! reads, 256 KiB read ahead.

use super::merge::Sorted;
use super::reader::ReadAhead;
use super::{Record, Run};
use crate::error::Result;
use crate::format::run::Flaw;
use crate::key::Fingerprint;

/// A position in a run. After an error, and at the end, it yields nothing more.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    run: &'a Run,
    /// The data page to decode next.
    page: usize,
    /// Records below it are passed over.
    from: Fingerprint,
    last: Option<Fingerprint>,
    /// How many records the pages so far held.
    read: u64,
    /// The page under way, and how far it has been handed out.
    decoded: Vec<Record>,
    at: usize,
    ahead: ReadAhead,
}

impl<'a> Cursor<'a> {
    /// Begins at data page `page`, passing over the records below `from`.
    pub(super) fn new(run: &'a Run, page: usize, from: Fingerprint) -> Cursor<'a> {
        Cursor {
            run,
            page,
            from,
            last: None,
            read: 0,
            decoded: Vec::with_capacity(run.header.shape.capacity()),
            at: 0,
            ahead: ReadAhead::default(),
        }
    }

    /// The next record from the next page on.
    #[cold]
    fn refill(&mut self) -> Result<Option<Record>> {
        while self.page < self.run.starts.len() {
            self.decoded.clear();
            if let Err(error) = self.decode_page() {
                self.decoded.clear();
                self.at = 0;
                self.page = self.run.starts.len();
                return Err(error);
            }
            self.page += 1;
            self.at = self.decoded.partition_point(|&(fingerprint, _)| fingerprint < self.from);
            if let Some(&record) = self.decoded.get(self.at) {
                self.at += 1;
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Appends the next records to `out`: what is left of the page under way, or the next page. Nothing
    /// at the end.
    pub(crate) fn next_chunk(&mut self, out: &mut Vec<Record>) -> Result<()> {
        if self.at == self.decoded.len() {
            out.extend(self.refill()?);
        }
        out.extend_from_slice(&self.decoded[self.at..]);
        self.at = self.decoded.len();
        Ok(())
    }

    fn decode_page(&mut self) -> Result<()> {
        let run = self.run;
        let offset = run.page_offset(self.page);
        let bytes = run.page_in_order(self.page, &mut self.ahead)?;
        run.view(bytes, self.page)
            .and_then(|view| view.decode(offset, &mut self.decoded))
            .and_then(|()| follows(self.last, &self.decoded, offset))
            .map_err(|flaw| flaw.of(&run.path))?;
        self.read += self.decoded.len() as u64;
        run.footer.holds(self.read, run.len).map_err(|flaw| flaw.of(&run.path))?;
        self.last = self.decoded.last().map(|&(fingerprint, _)| fingerprint);
        Ok(())
    }
}

impl Sorted for Cursor<'_> {
    #[inline]
    fn next_record(&mut self) -> Result<Option<Record>> {
        match self.decoded.get(self.at) {
            Some(&record) => {
                self.at += 1;
                Ok(Some(record))
            }
            None => self.refill(),
        }
    }
}

impl Iterator for Cursor<'_> {
    type Item = Result<Record>;

    #[inline]
    fn next(&mut self) -> Option<Result<Record>> {
        self.next_record().transpose()
    }
}

/// Checks that the records of the page at `offset` come after `last`, of the page before.
pub(super) fn follows(
    last: Option<Fingerprint>,
    records: &[Record],
    offset: u64,
) -> Result<(), Flaw> {
    match (last, records.first()) {
        (Some(last), Some(&(first, _))) if first <= last => {
            let expected = format!("records above {last}");
            Err(Flaw::new(offset, "order of run pages", expected, first))
        }
        _ => Ok(()),
    }
}
