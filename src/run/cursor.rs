//! All records of a run, in ascending order.
//!
//! A cursor checks every page it reads, whatever was checked before: it feeds merges, and a page
//! that has rotted since must not be written anew with a good checksum. It yields no more records than
//! the run says it has. It holds, by positioned reads, 256 KiB read ahead.

use super::reader::ReadAhead;
use super::{Record, Records, Run};
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
    ahead: ReadAhead,
}

impl<'a> Cursor<'a> {
    /// Begins at data page `page`, passing over the records below `from`.
    pub(super) fn new(run: &'a Run, page: usize, from: Fingerprint) -> Cursor<'a> {
        Cursor { run, page, from, last: None, read: 0, ahead: ReadAhead::default() }
    }

    /// Appends the records of the next page to `out`, but for those that are passed over.
    fn decode_page(&mut self, out: &mut Vec<Record>) -> Result<()> {
        let (run, begin) = (self.run, out.len());
        let offset = run.page_offset(self.page);
        let bytes = run.page_in_order(self.page, &mut self.ahead)?;
        run.view(bytes, self.page)
            .and_then(|view| view.decode(offset, out))
            .and_then(|()| follows(self.last, &out[begin..], offset))
            .map_err(|flaw| flaw.of(&run.path))?;
        self.page += 1;
        self.read += (out.len() - begin) as u64;
        run.footer.holds(self.read, run.len).map_err(|flaw| flaw.of(&run.path))?;
        self.last = out.last().map(|&(fingerprint, _)| fingerprint);
        let below = out[begin..].partition_point(|&(fingerprint, _)| fingerprint < self.from);
        out.drain(begin..begin + below);
        Ok(())
    }
}

/// A chunk is a page.
impl Records for Cursor<'_> {
    fn next_chunk(&mut self, out: &mut Vec<Record>) -> Result<()> {
        let begin = out.len();
        while out.len() == begin && self.page < self.run.starts.len() {
            if let Err(error) = self.decode_page(out) {
                out.truncate(begin);
                self.page = self.run.starts.len();
                return Err(error);
            }
        }
        Ok(())
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
