//! A run file as the front sees it.

use super::super::{Found, Records, Sealed, ValuesInOrder};
use crate::error::{Corruption, Result};
use crate::format::manifest::RunEntry;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::{Cursor, Record, Run};
use crate::time::Ticks;

/// How many ids' places in a run are asked for at once.
const GROUP: usize = 32;

impl Sealed for Run {
    fn entry(&self) -> RunEntry {
        RunEntry {
            number: self.spec().number,
            generation: self.spec().generation,
            records: Run::records(self),
            bytes: self.bytes(),
            values: self.values_bytes(),
        }
    }

    fn ticks(&self) -> Ticks {
        Run::ticks(self)
    }

    fn tick_range(&self) -> (u8, u8) {
        Run::tick_range(self)
    }

    fn memory(&self) -> usize {
        Run::memory(self)
    }

    fn find(&self, ids: &[Fingerprint], asked: &[u32], found: &mut Found) -> Result<()> {
        found.candidates.clear();
        for group in asked.chunks(GROUP) {
            group.iter().for_each(|&i| self.prefetch_filter(ids[i as usize]));
            for &i in group {
                if self.filter_may_contain(ids[i as usize])? {
                    found.candidates.push(i);
                }
            }
        }
        for group in found.candidates.chunks(GROUP) {
            group.iter().for_each(|&i| self.prefetch_directory(ids[i as usize]));
            let mut places = [None; GROUP];
            for (place, &i) in places.iter_mut().zip(group) {
                let at = self.locate(ids[i as usize]);
                self.prefetch_page(at, ids[i as usize]);
                *place = Some(at);
            }
            for (&i, place) in group.iter().zip(places) {
                let place = place.expect("one place for each of the group");
                let lookup = self.get_at(place, ids[i as usize])?;
                found.pages += u64::from(lookup.pages);
                found.hits.extend(lookup.tick.map(|tick| (i, tick)));
            }
        }
        Ok(())
    }

    fn may_contain(&self, id: Fingerprint) -> Result<bool> {
        self.filter_may_contain(id)
    }

    fn values(&self) -> u64 {
        Run::values(self).map_or(0, |values| values.entries())
    }

    fn value(&self, id: Fingerprint) -> Result<Option<Value>> {
        Run::values(self).map_or(Ok(None), |values| values.get(id))
    }

    fn records_from(&self, hi: u64) -> Box<dyn Records + '_> {
        Box::new(self.cursor_from(hi))
    }

    fn verify(&self, report: &mut dyn FnMut(Corruption)) -> Result<()> {
        Run::verify(self, report)?;
        Run::values(self).map_or(Ok(()), |values| values.verify(report))
    }

    fn values_after(&self, id: Option<Fingerprint>) -> ValuesInOrder<'_> {
        match Run::values(self) {
            Some(values) => Box::new(values.cursor_after(id)),
            None => Box::new(std::iter::empty()),
        }
    }
}

impl Records for Cursor<'_> {
    fn next_chunk(&mut self, out: &mut Vec<Record>) -> Result<()> {
        Cursor::next_chunk(self, out)
    }
}
