//! Reads every key of a run and reports every damage.

use super::super::Sealed;
use super::sealed::SledRun;
use crate::error::{Corruption, Error, Result};
use crate::format::run::Flaw;
use crate::run::Records;

/// Reads a run: checksums, order and count of records, that no block is missing, that the filter hides
/// none of them; the same of what is kept with ids. What follows on a damage is not read.
pub(super) fn verify(run: &SledRun, report: &mut dyn FnMut(Corruption)) -> Result<()> {
    let header = run.header;
    let sealed: &dyn Sealed = run;
    let mut tally = Tally { report, run, broken: false };
    let (mut records, mut ticks) = (0, (u8::MAX, 0));
    let read = sealed.records_from(0).each_chunk(|chunk| {
        records += chunk.len() as u64;
        for &(id, tick) in chunk {
            ticks = (tick.min(ticks.0), tick.max(ticks.1));
            if !run.filter.may_contain(id) {
                tally.tell(Flaw::new(0, "filter of a run in sled", format!("{id} in it"), "none"));
            }
        }
        Ok(())
    });
    tally.note(read)?;
    tally.compare("records of a run in sled", header.records, records);
    tally.compare("first tick of a run in sled", header.tick_range.0, ticks.0);
    tally.compare("last tick of a run in sled", header.tick_range.1, ticks.1);
    let mut values = 0;
    tally.broken = false;
    for entry in sealed.values_after(None) {
        if tally.note(entry)?.is_none() {
            break;
        }
        values += 1;
    }
    tally.compare("values of a run in sled", header.values, values);
    Ok(())
}

struct Tally<'a> {
    report: &'a mut dyn FnMut(Corruption),
    run: &'a SledRun,
    /// Whether something was not read for a damage before it, so that counts mean nothing.
    broken: bool,
}

impl Tally<'_> {
    fn tell(&mut self, flaw: Flaw) {
        (self.report)(flaw.of(self.run.database.path()));
    }

    fn note<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Err(Error::Corrupt(damage)) => {
                self.broken = true;
                (self.report)(damage);
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    fn compare<T: PartialEq + ToString>(&mut self, what: &'static str, expected: T, found: T) {
        if !self.broken && expected != found {
            self.tell(Flaw::new(0, what, expected, found));
        }
    }
}
