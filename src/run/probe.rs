//! Looks many fingerprints up in one run, so that their cache misses overlap.
//!
//! A record stands behind three cache lines, each of which tells where the next is: one of the directory, the
//! first of its page, and the one or two with the records of its bucket. So a group of fingerprints goes through
//! them together, a stage at a time, and the lines of a stage are on their way before the first is read. By
//! positioned reads there is nothing to ask for.

use super::reader::{Lookup, Run, Source};
use crate::error::Result;
use crate::format::run::page::Spot;
use crate::key::Fingerprint;
use crate::mem::prefetch;

/// Bytes of a cache line.
const LINE: usize = 64;
/// How many fingerprints go through the stages together.
const GROUP: usize = 32;
/// How many fingerprints ahead the line of the filter is asked for.
const AHEAD: usize = 32;

/// How far the lookup of one fingerprint has come.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The page that it belongs to; none if it lies below the first record.
    Located(Option<usize>),
    /// Where in that page it stands, if anywhere.
    Near(usize, Spot),
    Done(Lookup),
}

impl Run {
    /// Adds to `out` those of the indices `asked` whose fingerprints may be in the run.
    pub(crate) fn filter_each(
        &self,
        ids: &[Fingerprint],
        asked: &[u32],
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let ask = |&i: &u32| self.prefetch_filter(ids[i as usize]);
        asked.iter().take(AHEAD).for_each(ask);
        for (k, &i) in asked.iter().enumerate() {
            asked.get(k + AHEAD).into_iter().for_each(ask);
            if self.filter_may_contain(ids[i as usize])? {
                out.push(i);
            }
        }
        Ok(())
    }

    /// Looks the fingerprints at the indices `asked` up, and hands each lookup over with its index.
    pub(crate) fn get_each(
        &self,
        ids: &[Fingerprint],
        asked: &[u32],
        mut found: impl FnMut(u32, Lookup),
    ) -> Result<()> {
        for group in asked.chunks(GROUP) {
            let mut stages = [Stage::Located(None); GROUP];
            group.iter().for_each(|&i| self.prefetch_directory(ids[i as usize]));
            for (stage, &i) in stages.iter_mut().zip(group) {
                *stage = self.locate_ahead(ids[i as usize]);
            }
            for (stage, &i) in stages.iter_mut().zip(group) {
                *stage = self.approach(*stage, ids[i as usize])?;
            }
            for (stage, &i) in stages.iter().zip(group) {
                found(i, self.arrive(*stage, ids[i as usize])?);
            }
        }
        Ok(())
    }

    /// The page of a fingerprint, whose first line is asked for.
    #[inline]
    fn locate_ahead(&self, fingerprint: Fingerprint) -> Stage {
        let page = self.starts.last_at_most(fingerprint.hi);
        if let (Source::Mapped { region, .. }, Some(page)) = (&self.source, page) {
            prefetch::read(&region[self.page_offset(page) as usize]);
        }
        Stage::Located(page)
    }

    /// Reads the first line of the page, and asks for those with the records.
    #[inline]
    fn approach(&self, stage: Stage, fingerprint: Fingerprint) -> Result<Stage> {
        let Stage::Located(Some(page)) = stage else {
            return Ok(Stage::Done(Lookup::BELOW));
        };
        let Source::Mapped { region, checked } = &self.source else {
            return self.get_in(page, fingerprint).map(Stage::Done);
        };
        let view = self.mapped_view(region, checked, page)?;
        match view.spot(fingerprint) {
            Some(spot) => {
                let start = self.page_offset(page) as usize;
                let (begin, end) = view.bytes_of(spot);
                prefetch::read(&region[start + begin]);
                if begin / LINE != end / LINE {
                    prefetch::read(&region[start + end]);
                }
                Ok(Stage::Near(page, spot))
            }
            None => self.get_in(page, fingerprint).map(Stage::Done),
        }
    }

    /// Reads the records.
    #[inline]
    fn arrive(&self, stage: Stage, fingerprint: Fingerprint) -> Result<Lookup> {
        match (stage, &self.source) {
            (Stage::Near(page, spot), Source::Mapped { region, checked }) => {
                let view = self.mapped_view(region, checked, page)?;
                match view.find_at(spot) {
                    // The page begins with its top 64 bits: it may stand in an earlier one.
                    None if view.base_hi() == fingerprint.hi => self.get_in(page, fingerprint),
                    tick => Ok(Lookup { tick, pages: 1 }),
                }
            }
            (Stage::Done(lookup), _) => Ok(lookup),
            (Stage::Located(_) | Stage::Near(..), _) => unreachable!("each has been approached"),
        }
    }
}
