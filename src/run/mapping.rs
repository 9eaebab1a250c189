//! A run's file as memory: its pages, each checked the first time it is read, which a bit remembers.

use crate::error::Result;
use crate::format::PAGE;
use crate::format::run::Page;
use crate::mem::prefetch;
use crate::sync::{AtomicU64, Ordering};
use crate::sys::Region;

/// The mapping of a run.
#[derive(Debug)]
pub(super) struct Mapping {
    region: Region,
    /// A bit for every page of the file: it was checked and found good. Relaxed throughout: the
    /// bytes do not change, so whoever misses a bit only checks once more.
    checked: Box<[AtomicU64]>,
}

/// The pages of a mapping, for many looks. They are told by their number in the file, of which all are in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages<'a> {
    pages: &'a [Page],
    checked: &'a [AtomicU64],
}

impl Mapping {
    /// Of a file of whole pages.
    pub(super) fn new(region: Region) -> Mapping {
        let words = (region.len() / PAGE).div_ceil(64);
        Mapping { region, checked: (0..words).map(|_| AtomicU64::new(0)).collect() }
    }

    #[inline]
    pub(super) fn pages(&self) -> Pages<'_> {
        Pages { pages: self.region.as_chunks().0, checked: &self.checked }
    }

    /// Memory beside the page cache.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.checked)
    }
}

impl<'a> Pages<'a> {
    /// A page of the file, checked by `check` unless it was before.
    #[inline]
    pub(super) fn get(
        self,
        page: u64,
        check: impl FnOnce(&Page) -> Result<()>,
    ) -> Result<&'a Page> {
        let page = page as usize;
        let bytes = &self.pages[page];
        if self.checked[page / 64].load(Ordering::Relaxed) >> (page % 64) & 1 == 0 {
            self.check_first(page, check)?;
        }
        Ok(bytes)
    }

    #[cold]
    #[inline(never)]
    fn check_first(self, page: usize, check: impl FnOnce(&Page) -> Result<()>) -> Result<()> {
        check(&self.pages[page])?;
        self.checked[page / 64].fetch_or(1 << (page % 64), Ordering::Relaxed);
        Ok(())
    }

    /// A page of the file as it is there: for whoever has checked it, or will.
    #[inline]
    pub(super) fn unchecked(self, page: u64) -> &'a Page {
        &self.pages[page as usize]
    }

    /// Asks for the cache line of a page that has byte `at`.
    #[inline]
    pub(super) fn prefetch(self, page: u64, at: usize) {
        prefetch::read(&self.pages[page as usize][at]);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::error::Error;

    #[test]
    fn each_page_is_checked_until_it_was_good_once() {
        const PAGES: u64 = 130;
        let mapping = Mapping::new(Region::from(vec![7; PAGES as usize * PAGE]));
        let pages = mapping.pages();
        let asked = Cell::new(0);
        let check = |good| {
            let asked = &asked;
            move |page: &Page| {
                assert_eq!(page[9], 7);
                asked.set(asked.get() + 1);
                let bad =
                    || Error::io("read", std::path::Path::new("x"), std::io::Error::other("bad"));
                if good { Ok(()) } else { Err(bad()) }
            }
        };
        // In steps that meet every bit of a word, and words in turn.
        for page in (0..PAGES).map(|k| k * 37 % PAGES) {
            let before = asked.get();
            assert!(pages.get(page, check(false)).is_err());
            assert!(pages.get(page, check(true)).is_ok());
            assert_eq!(asked.get(), before + 2, "page {page}");
            assert!(pages.get(page, check(false)).is_ok(), "page {page} was checked");
            assert_eq!(asked.get(), before + 2);
        }
        assert_eq!(mapping.memory(), 3 * 8);
    }
}
