//! Reads every byte of a run and reports every damage.

use super::cursor::follows;
use super::open::{for_each_page, read_page};
use super::{Record, Run, filter};
use crate::error::{Corruption, Error, Result};
use crate::format::run::{
    FILTER_PAGE, Flaw, Footer, Header, PAGE_U64, Page, STARTS_PER_PAGE, check,
};
use crate::format::u64_at;
use crate::key::Fingerprint;

impl Run {
    /// Reads the whole file, by positioned reads, and reports what is not as it was written; more
    /// than checksums: the order of all records, that directory and counts are those of the pages,
    /// and that the filter lets every record through. Returns how many bytes were read.
    ///
    /// # Errors
    ///
    /// Only of the medium. Damage goes to `report`, and does not stop the reading.
    pub(crate) fn verify(&self, report: &mut dyn FnMut(Corruption)) -> Result<u64> {
        let len = self.file.len().map_err(|e| Error::io("measure", &self.path, e))?;
        if len != self.bytes() {
            report(Flaw::new(len, "length of a run", self.bytes(), len).of(&self.path));
        }
        let mut tell = |flaw: Flaw| report(flaw.of(&self.path));
        self.verify_ends(&mut tell)?;
        self.verify_filter(&mut tell)?;
        self.verify_records(&mut tell)?;
        self.verify_directory(&mut tell)?;
        Ok(self.bytes())
    }

    /// Header and footer.
    fn verify_ends(&self, tell: &mut dyn FnMut(Flaw)) -> Result<()> {
        let spec = self.spec();
        let (page, last) = (self.page_at(0)?, self.page_at(self.bytes() - PAGE_U64)?);
        let header = Header::check(&page, &spec.store, spec.number)
            .and_then(|_| Header::decode(&page, self.bytes()))
            .and_then(|found| same(0, "run header", &self.header, &found));
        let footer = Footer::decode(&last, &self.header, self.bytes())
            .and_then(|found| same(self.bytes() - PAGE_U64, "run footer", &self.footer, &found));
        [header, footer].into_iter().filter_map(Result::err).for_each(tell);
        Ok(())
    }

    fn verify_filter(&self, tell: &mut dyn FnMut(Flaw)) -> Result<()> {
        let (begin, pages) = (FILTER_PAGE * PAGE_U64, self.header.filter_pages());
        for_each_page(&*self.file, &self.path, begin, pages, |page, offset| {
            check(page, self.salt, offset, "run filter").unwrap_or_else(&mut *tell);
            Ok(())
        })
    }

    fn verify_records(&self, tell: &mut dyn FnMut(Flaw)) -> Result<()> {
        let mut totals = Totals::new();
        let mut filter = FilterPages::default();
        let mut records = Vec::new();
        let begin = self.page_offset(0);
        let mut failed = Ok(());
        for_each_page(&*self.file, &self.path, begin, self.footer.pages, |page, offset| {
            records.clear();
            let read = self
                .view(page, ((offset - begin) / PAGE_U64) as usize)
                .and_then(|view| view.decode(offset, &mut records))
                .and_then(|()| follows(totals.last, &records, offset));
            match read {
                Ok(()) => totals.add(&records),
                Err(flaw) => {
                    totals.whole = false;
                    tell(flaw);
                }
            }
            for &(fingerprint, _) in &records {
                match filter.lets_through(self, fingerprint) {
                    Ok(true) => {}
                    Ok(false) => tell(Flaw::new(offset, "run filter", "every record", fingerprint)),
                    Err(error) => failed = Err(error),
                }
            }
            Ok(())
        })?;
        if totals.whole {
            let (at, found) = (self.bytes() - PAGE_U64, totals.footer(self.footer.pages));
            same(at, "totals of a run", &found, &self.footer).unwrap_or_else(tell);
        }
        failed
    }

    fn verify_directory(&self, tell: &mut dyn FnMut(Flaw)) -> Result<()> {
        let begin = self.page_offset(self.starts.len());
        let pages = self.footer.directory_pages();
        for_each_page(&*self.file, &self.path, begin, pages, |page, offset| {
            let first = ((offset - begin) / PAGE_U64 * STARTS_PER_PAGE) as usize;
            let here = (self.starts.len() - first).min(STARTS_PER_PAGE as usize);
            let stale = (0..here).find(|&i| u64_at(page, i * 8) != self.starts[first + i]);
            let checked = check(page, self.salt, offset, "run directory");
            if let Err(flaw) = checked {
                tell(flaw);
            } else if let Some(i) = stale {
                let (expected, found) = (self.starts[first + i], u64_at(page, i * 8));
                tell(Flaw::new(offset + i as u64 * 8, "run directory", expected, found));
            }
            Ok(())
        })
    }

    fn page_at(&self, offset: u64) -> Result<Page> {
        read_page(&*self.file, &self.path, offset)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    offset: u64,
    what: &'static str,
    expected: &T,
    found: &T,
) -> Result<(), Flaw> {
    match expected == found {
        true => Ok(()),
        false => Err(Flaw::new(offset, what, format!("{expected:?}"), format!("{found:?}"))),
    }
}

/// What the footer should say, by the records.
struct Totals {
    records: u64,
    first: Option<Fingerprint>,
    last: Option<Fingerprint>,
    earliest: u8,
    latest: u8,
    /// No page was left out.
    whole: bool,
}

impl Totals {
    fn new() -> Totals {
        Totals { records: 0, first: None, last: None, earliest: u8::MAX, latest: 0, whole: true }
    }

    fn add(&mut self, records: &[Record]) {
        self.records += records.len() as u64;
        for &(fingerprint, tick) in records {
            self.first.get_or_insert(fingerprint);
            self.last = Some(fingerprint);
            self.earliest = self.earliest.min(tick);
            self.latest = self.latest.max(tick);
        }
    }

    fn footer(&self, pages: u64) -> Footer {
        Footer {
            records: self.records,
            pages,
            first: self.first.unwrap_or_default(),
            last: self.last.unwrap_or_default(),
            earliest: self.earliest,
            latest: self.latest,
        }
    }
}

/// The filter page that ascending fingerprints are in; `None` while it is damaged, which has been
/// reported.
#[derive(Default)]
struct FilterPages {
    held: Option<(u64, Option<Page>)>,
}

impl FilterPages {
    fn lets_through(&mut self, run: &Run, fingerprint: Fingerprint) -> Result<bool> {
        let block = filter::block_of(fingerprint, run.header.filter_blocks);
        let (number, at) = filter::place_of(block);
        if self.held.as_ref().is_none_or(|&(held, _)| held != number) {
            let offset = number * PAGE_U64;
            let page = run.page_at(offset)?;
            let intact = check(&page, run.salt, offset, "run filter").is_ok();
            self.held = Some((number, intact.then_some(page)));
        }
        let page = self.held.as_ref().and_then(|(_, page)| page.as_ref());
        Ok(page.is_none_or(|page| filter::may_contain(filter::block_at(page, at), fingerprint)))
    }
}
