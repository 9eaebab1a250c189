//! Looks many fingerprints up in one run, so that their cache misses overlap.
//!
//! A record stands behind three cache lines, each of which tells where the next is: one of the directory, the
//! first of its page, and the one or two with the records of its bucket. So a group of fingerprints goes through
//! them together, a stage at a time, and the lines of a stage are on their way before the first is read. By
//! positioned reads there is nothing to ask for.
//!
//! What a branch would have to guess is computed instead: whether a filter lets an id through is as good as chance
//! to the processor, and a wrong guess costs as much as the look. And what a stage knows stays in registers until it is
//! stored as plain numbers: what is returned by way of memory, stored in pieces and loaded whole, is waited for. So
//! the stages are always inlined, which makes them faster by a quarter.

use super::filter;
use super::mapping::Pages;
use super::reader::{Lookup, Run, Source};
use crate::error::Result;
use crate::format::run::page::{PageView, Spot};
use crate::key::Fingerprint;
use crate::mem::prefetch;

/// Bytes of a cache line.
const LINE: usize = 64;
/// How many fingerprints go through the stages together.
const GROUP: usize = 32;
/// In place of a data page: the fingerprint lies below the first record.
const NO_PAGE: usize = usize::MAX;
/// How many fingerprints ahead the line of the filter is asked for.
const AHEAD: usize = 32;

impl Run {
    /// Adds to `out` those of the indices `asked` whose fingerprints may be in the run. After an error what it has
    /// added is of no use.
    pub(crate) fn filter_each(
        &self,
        ids: &[Fingerprint],
        asked: &[u32],
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let blocks = self.header.filter_blocks;
        match &self.source {
            Source::Mapped(mapping) => {
                let pages = mapping.pages();
                let ask = |id| {
                    let (page, at) = filter::place_of(filter::block_of(id, blocks));
                    pages.prefetch(page, at);
                    (page, at)
                };
                sift(ids, asked, out, ask, |(page, at), id| {
                    let bytes = self.filter_page(pages, page)?;
                    Ok(filter::may_contain(filter::block_at(bytes, at), id))
                })
            }
            Source::Positioned { filter } => {
                let ask = |id| {
                    let block = &filter[filter::block_of(id, blocks) as usize];
                    prefetch::read(block);
                    block.bytes()
                };
                sift(ids, asked, out, ask, |block, id| Ok(filter::may_contain(block, id)))
            }
            Source::InOrder => {
                out.extend_from_slice(asked);
                Ok(())
            }
        }
    }

    /// Looks the fingerprints at the indices `asked` up, and hands each lookup over with its index.
    pub(crate) fn get_each(
        &self,
        ids: &[Fingerprint],
        asked: &[u32],
        mut found: impl FnMut(u32, Lookup),
    ) -> Result<()> {
        let Source::Mapped(mapping) = &self.source else {
            for &i in asked {
                found(i, self.get(ids[i as usize])?);
            }
            return Ok(());
        };
        let pages = mapping.pages();
        for group in asked.chunks(GROUP) {
            let (mut numbers, mut spots) = ([NO_PAGE; GROUP], [Spot::NOWHERE; GROUP]);
            group.iter().for_each(|&i| self.starts.prefetch(ids[i as usize].hi));
            for (number, &i) in numbers.iter_mut().zip(group) {
                if let Some(page) = self.starts.last_at_most(ids[i as usize].hi) {
                    pages.prefetch(self.number_of(page), 0);
                    *number = page;
                }
            }
            for ((spot, &page), &i) in spots.iter_mut().zip(&numbers).zip(group) {
                if page != NO_PAGE {
                    *spot = self.approach(pages, page, ids[i as usize])?;
                }
            }
            for ((&spot, &page), &i) in spots.iter().zip(&numbers).zip(group) {
                let lookup = match page {
                    NO_PAGE => Lookup::BELOW,
                    page => self.arrive(pages, page, spot, ids[i as usize])?,
                };
                found(i, lookup);
            }
        }
        Ok(())
    }

    /// Reads the first line of the page, and asks for those with the records.
    #[inline(always)]
    fn approach(&self, pages: Pages<'_>, page: usize, fingerprint: Fingerprint) -> Result<Spot> {
        let view = self.mapped_view(pages, page)?;
        let spot = view.spot(fingerprint);
        let (begin, end) = view.bytes_of(spot);
        pages.prefetch(self.number_of(page), begin);
        if begin / LINE != end / LINE {
            pages.prefetch(self.number_of(page), end);
        }
        Ok(spot)
    }

    /// Reads the records. The page has been approached, and so checked.
    #[inline(always)]
    fn arrive(
        &self,
        pages: Pages<'_>,
        page: usize,
        spot: Spot,
        fingerprint: Fingerprint,
    ) -> Result<Lookup> {
        let bytes = pages.unchecked(self.number_of(page));
        let view = PageView::trusted(bytes, self.header.shape);
        match view.find_at(spot, fingerprint.lo) {
            // The page begins with its top 64 bits: it may stand in an earlier one.
            None if view.base_hi() == fingerprint.hi => self.get_in(page, fingerprint),
            tick => Ok(Lookup { tick, pages: 1 }),
        }
    }
}

/// Adds to `out` those of `asked` that `may_contain` lets through, by what `ask` has found and asked for ahead.
#[inline]
fn sift<P: Copy>(
    ids: &[Fingerprint],
    asked: &[u32],
    out: &mut Vec<u32>,
    ask: impl Fn(Fingerprint) -> P,
    may_contain: impl Fn(P, Fingerprint) -> Result<bool>,
) -> Result<()> {
    let Some(&first) = asked.first() else { return Ok(()) };
    let begin = out.len();
    out.resize(begin + asked.len(), 0);
    let (kept, mut count) = (&mut out[begin..], 0);
    let mut found = [ask(ids[first as usize]); AHEAD];
    for (found, &i) in found.iter_mut().zip(asked).skip(1) {
        *found = ask(ids[i as usize]);
    }
    for (k, &i) in asked.iter().enumerate() {
        let place = found[k % AHEAD];
        if let Some(&ahead) = asked.get(k + AHEAD) {
            found[k % AHEAD] = ask(ids[ahead as usize]);
        }
        kept[count] = i;
        count += usize::from(may_contain(place, ids[i as usize])?);
    }
    out.truncate(begin + count);
    Ok(())
}
