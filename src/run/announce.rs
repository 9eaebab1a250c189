//! Tells the system which pages of a run will be read, so that reads of many places, and of many runs, overlap.
//!
//! Both the filter and the pages are laid out by fingerprint. So ids that ascend ask for pages that ascend, and
//! what lies together is told together.

use super::Run;
use super::filter;
use super::reader::Source;
use crate::format::run::PAGE_U64;
use crate::key::Fingerprint;

/// The most pages told together: systems cut what is longer, to as little as this.
const TOGETHER: u64 = 32;
/// So few filter pages that nobody asked for are told of rather than spoken around: the next call wants them.
const FILTER_GAP: u64 = 3;

impl Run {
    /// Tells of the filter pages of the fingerprints at the indices `asked`. Returns how many reads that are.
    pub(crate) fn announce_filter(&self, ids: &[Fingerprint], asked: &[u32]) -> usize {
        let Source::Mapped(_) = &self.source else { return 0 };
        let blocks = self.header.filter_blocks;
        let page = |&i: &u32| filter::place_of(filter::block_of(ids[i as usize], blocks)).0;
        self.announce(asked.iter().map(page), FILTER_GAP)
    }

    /// Tells of the data pages of the fingerprints at the indices `asked`. Returns how many reads that are.
    pub(crate) fn announce_pages(&self, ids: &[Fingerprint], asked: &[u32]) -> usize {
        let page = |&i: &u32| {
            self.starts.last_at_most(ids[i as usize].hi).map(|page| self.number_of(page))
        };
        self.announce(asked.iter().filter_map(page), 0)
    }

    /// Tells of pages of the file. Those with no more than `gap` others between them are told together.
    fn announce(&self, mut pages: impl Iterator<Item = u64>, gap: u64) -> usize {
        let Some(page) = pages.next() else { return 0 };
        let (mut first, mut last, mut told) = (page, page, 0);
        let mut tell = |first: u64, last: u64| {
            self.file.will_read(first * PAGE_U64, (last - first + 1) * PAGE_U64);
            told += 1;
        };
        for page in pages {
            let near = (first..=last + 1 + gap).contains(&page);
            if near && (page <= last || page < first + TOGETHER) {
                last = last.max(page);
            } else {
                tell(first, last);
                (first, last) = (page, page);
            }
        }
        tell(first, last);
        told
    }
}
