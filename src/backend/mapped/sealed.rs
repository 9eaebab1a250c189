//! A run file as the front sees it.

use super::super::{Found, Sealed, Step, ValuesInOrder};
use crate::error::{Corruption, Result};
use crate::format::manifest::RunEntry;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::{Records, Run};
use crate::time::Ticks;

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

    fn sift(&self, ids: &[Fingerprint], asked: &[u32], out: &mut Vec<u32>) -> Result<()> {
        self.filter_each(ids, asked, out)
    }

    fn find(&self, ids: &[Fingerprint], asked: &[u32], found: &mut Found) -> Result<()> {
        let Found { hits, pages } = found;
        self.get_each(ids, asked, |i, lookup| {
            *pages += u64::from(lookup.pages);
            hits.extend(lookup.tick.map(|tick| (i, tick)));
        })
    }

    fn announce(&self, ids: &[Fingerprint], asked: &[u32], step: Step) -> usize {
        match step {
            Step::Sift => self.announce_filter(ids, asked),
            Step::Find => self.announce_pages(ids, asked),
        }
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
