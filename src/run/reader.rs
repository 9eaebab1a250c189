//! Reads a run: does this fingerprint stand here, and with which tick?
//!
//! What is read is checked before it is used: a mapped page the first time after opening, a page read
//! by position every time.

use std::path::PathBuf;

use super::directory::Directory;
use super::filter::{self, Block};
use super::mapping::{Mapping, Pages};
use super::open::{read_exact, read_page};
use super::{BATCH_PAGES, Cursor, RunSpec, Values};
use crate::error::Result;
use crate::format::PAGE;
use crate::format::checksum::Salt;
use crate::format::run::page::PageView;
use crate::format::run::{Flaw, Footer, Header, PAGE_U64, Page, check};
use crate::key::Fingerprint;
use crate::sync::Arc;
use crate::sys::File;
use crate::time::Ticks;

/// How a run's pages are read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadMode {
    /// Through a memory mapping: fastest, and the page cache is the only memory. A medium that fails
    /// to deliver a page, or a file that somebody cuts while it is open, ends the process with
    /// SIGBUS.
    #[default]
    Mapped,
    /// By positioned reads, one of 4 KiB for each hit: a medium that fails is an error. Filters are
    /// held in memory.
    Positioned,
}

/// An open run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(super) file: Box<dyn File>,
    pub(super) path: PathBuf,
    pub(super) header: Header,
    pub(super) footer: Footer,
    pub(super) salt: Salt,
    pub(super) starts: Directory,
    pub(super) len: u64,
    pub(super) source: Source,
    pub(super) values: Option<Arc<Values>>,
}

#[derive(Debug)]
pub(super) enum Source {
    Mapped(Mapping),
    Positioned {
        filter: Box<[Block]>,
    },
    /// By positioned reads, for whoever wants all records: the filter is not held and rules nothing
    /// out.
    InOrder,
}

/// What a lookup found and what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// The tick in which the id was first seen; `None` if it is not in the run.
    pub(crate) tick: Option<u8>,
    /// Data pages looked at: one, or none below the first record. Where ids that share their top 64
    /// bits fill several pages, as many as it takes to halve those, and two.
    pub(crate) pages: u32,
}

impl Lookup {
    /// Of a fingerprint that lies below the first record: no page was looked at.
    pub(super) const BELOW: Lookup = Lookup { tick: None, pages: 0 };
}

/// Where a record is if it is anywhere: in a page, with its tick if it is there, or in one before.
enum Side {
    Here(Option<u8>),
    Before,
}

/// Data pages read together, 256 KiB of them, of which the first is page `first`.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    first: usize,
    bytes: Vec<u8>,
}

impl Run {
    /// The run with what is kept with its ids.
    pub(crate) fn with_values(self, values: Values) -> Run {
        Run { values: Some(Arc::new(values)), ..self }
    }

    /// What is kept with its ids, if anything is.
    pub(crate) fn values(&self) -> Option<&Arc<Values>> {
        self.values.as_ref()
    }

    /// Length of the values file; 0 if there is none.
    pub(crate) fn values_bytes(&self) -> u64 {
        self.values.as_ref().map_or(0, |values| values.bytes())
    }

    /// Whether `fingerprint` may be in the run; `false` is certain.
    #[inline]
    pub(crate) fn filter_may_contain(&self, fingerprint: Fingerprint) -> Result<bool> {
        let block = filter::block_of(fingerprint, self.header.filter_blocks);
        let bytes = match &self.source {
            Source::InOrder => return Ok(true),
            Source::Positioned { filter } => filter[block as usize].bytes(),
            Source::Mapped(mapping) => {
                let (page, at) = filter::place_of(block);
                filter::block_at(self.filter_page(mapping.pages(), page)?, at)
            }
        };
        Ok(filter::may_contain(bytes, fingerprint))
    }

    /// A page of the filter, mapped, checked.
    #[inline]
    pub(super) fn filter_page<'a>(&self, pages: Pages<'a>, page: u64) -> Result<&'a Page> {
        pages.get(page, |bytes| {
            let offset = page * PAGE_U64;
            Ok(check(bytes, self.salt, offset, "run filter").map_err(|flaw| flaw.of(&self.path))?)
        })
    }

    /// Looks `fingerprint` up.
    #[inline]
    pub(crate) fn get(&self, fingerprint: Fingerprint) -> Result<Lookup> {
        match self.starts.last_at_most(fingerprint.hi) {
            Some(page) => self.get_in(page, fingerprint),
            None => Ok(Lookup::BELOW),
        }
    }

    /// Looks `fingerprint` up in the last page that begins at or below it, and where it must in those before.
    pub(super) fn get_in(&self, page: usize, fingerprint: Fingerprint) -> Result<Lookup> {
        match self.look_in(page, fingerprint)? {
            Side::Here(tick) => Ok(Lookup { tick, pages: 1 }),
            Side::Before => self.look_before(page, fingerprint),
        }
    }

    /// Looks `fingerprint` up in the pages before `page`, which begins above it with the same top 64 bits.
    /// Such ids fill pages only if somebody made them, so the pages are halved, not walked through.
    #[cold]
    fn look_before(&self, page: usize, fingerprint: Fingerprint) -> Result<Lookup> {
        let (mut low, mut high) = (self.starts.first_reaching(fingerprint.hi), page);
        let mut pages = 1;
        while low < high {
            let middle = low + (high - low) / 2;
            pages += 1;
            match self.look_in(middle, fingerprint)? {
                Side::Here(None) => low = middle + 1,
                Side::Here(tick) => return Ok(Lookup { tick, pages }),
                Side::Before => high = middle,
            }
        }
        Ok(Lookup { tick: None, pages })
    }

    #[inline]
    fn look_in(&self, page: usize, fingerprint: Fingerprint) -> Result<Side> {
        self.with_page(page, |view| match view.find(fingerprint) {
            None if view.base_hi() == fingerprint.hi && view.first() > fingerprint => Side::Before,
            tick => Side::Here(tick),
        })
    }

    /// All records, ascending.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        self.cursor_from(0)
    }

    /// The records whose top 64 bits are `hi` or more, ascending.
    pub(crate) fn cursor_from(&self, hi: u64) -> Cursor<'_> {
        Cursor::new(self, self.starts.first_reaching(hi), Fingerprint { hi, lo: 0 })
    }

    pub(crate) fn records(&self) -> u64 {
        self.footer.records
    }

    /// Length of the run's own file, without the values beside it.
    pub(crate) fn bytes(&self) -> u64 {
        self.len
    }

    /// Memory beside the page cache.
    pub(crate) fn memory(&self) -> usize {
        let source = match &self.source {
            Source::Mapped(mapping) => mapping.memory(),
            Source::Positioned { filter } => size_of_val(&**filter),
            Source::InOrder => 0,
        };
        let values = self.values.as_ref().map_or(0, |values| values.memory_bytes());
        self.starts.bytes() + source + values
    }

    pub(crate) fn ticks(&self) -> Ticks {
        self.header.ticks
    }

    /// Smallest and largest tick; 255 and 0 in an empty run.
    pub(crate) fn tick_range(&self) -> (u8, u8) {
        (self.footer.earliest, self.footer.latest)
    }

    /// What the run was created with.
    pub(crate) fn spec(&self) -> RunSpec {
        RunSpec {
            store: self.header.store,
            number: self.header.number,
            generation: self.header.generation,
            ticks: self.header.ticks,
            expected: self.header.expected,
            filter_bits_per_id: self.header.filter_bits_per_id,
        }
    }

    /// Where data page `page` stands in the file.
    #[inline]
    pub(super) fn page_offset(&self, page: usize) -> u64 {
        self.header.data_offset() + page as u64 * PAGE_U64
    }

    /// Which page of the file data page `page` is.
    #[inline]
    pub(super) fn number_of(&self, page: usize) -> u64 {
        self.page_offset(page) / PAGE_U64
    }

    /// Checks a data page and that it is the one the directory knows.
    pub(super) fn view<'a>(&self, bytes: &'a Page, page: usize) -> Result<PageView<'a>, Flaw> {
        let offset = self.page_offset(page);
        let view = PageView::check(bytes, self.header.shape, self.salt, offset)?;
        match view.base_hi() == self.starts[page] {
            true => Ok(view),
            false => Err(Flaw::new(
                offset,
                "start of a run page",
                format!("{:016x}", self.starts[page]),
                format!("{:016x}", view.base_hi()),
            )),
        }
    }

    /// The bytes of a data page, unchecked: mapped, or by way of `ahead`.
    pub(super) fn page_in_order<'a>(
        &'a self,
        page: usize,
        ahead: &'a mut ReadAhead,
    ) -> Result<&'a Page> {
        match &self.source {
            Source::Mapped(mapping) => Ok(mapping.pages().unchecked(self.number_of(page))),
            Source::Positioned { .. } | Source::InOrder => {
                if !(ahead.first..ahead.first + ahead.bytes.len() / PAGE).contains(&page) {
                    let count = (self.starts.len() - page).min(BATCH_PAGES);
                    ahead.first = page;
                    ahead.bytes.resize(count * PAGE, 0);
                    let offset = self.page_offset(page);
                    read_exact(&*self.file, &self.path, &mut ahead.bytes, offset)?;
                }
                Ok(&ahead.bytes.as_chunks().0[page - ahead.first])
            }
        }
    }

    #[inline]
    fn with_page<T>(&self, page: usize, read: impl FnOnce(PageView<'_>) -> T) -> Result<T> {
        match &self.source {
            Source::Mapped(mapping) => Ok(read(self.mapped_view(mapping.pages(), page)?)),
            Source::Positioned { .. } | Source::InOrder => self.with_page_read(page, read),
        }
    }

    /// A data page of the mapping, checked.
    #[inline]
    pub(super) fn mapped_view<'a>(&self, pages: Pages<'a>, page: usize) -> Result<PageView<'a>> {
        let bytes = pages.get(self.number_of(page), |bytes| {
            self.view(bytes, page).map_err(|flaw| flaw.of(&self.path))?;
            Ok(())
        })?;
        Ok(PageView::trusted(bytes, self.header.shape))
    }

    /// Apart, so that mapped lookups do not pay for the buffer.
    #[inline(never)]
    fn with_page_read<T>(&self, page: usize, read: impl FnOnce(PageView<'_>) -> T) -> Result<T> {
        let bytes = read_page(&*self.file, &self.path, self.page_offset(page))?;
        let view = self.view(&bytes, page).map_err(|flaw| flaw.of(&self.path))?;
        Ok(read(view))
    }
}
