//! Looking ids up in the runs, youngest first.
//!
//! Where memory holds the runs they are asked one after the other, each for the ids that no younger one has. Where
//! it does not, such a look would wait for one read at a time, since a run has few of a call's ids. So the system is
//! told ahead what will be read of the runs behind: their filters, then their pages, as much at a time as a disk
//! does together. An id that is found meanwhile is not looked up again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::core::Core;
use super::super::counters::Tally;
use super::coldness::Work;
use super::{Call, Scratch};
use crate::backend::{Found, Sealed, Step};
use crate::error::Result;
use crate::planted::{Bug, planted};
use crate::verdict::Verdict;
use crate::window::{Sighting, View};

/// How many reads are under way, about: enough to keep a disk busy, and few enough that memory keeps what they
/// bring until it is looked at.
const READS: usize = 128;

/// Memory of a look, used again.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Indices of ids that the runs' filters cannot rule out, run after run.
    candidates: Vec<u32>,
    /// Those of one run that were not found meanwhile.
    asked: Vec<u32>,
    found: Found,
}

/// What a look is about.
struct Look<'a> {
    core: &'a Core,
    call: Call<'a>,
    runs: &'a [Arc<dyn Sealed>],
    verdicts: &'a mut [Verdict],
    tally: &'a mut Tally,
    questions: u64,
}

impl Core {
    /// Looks the ids that the window filter cannot rule out up in the runs.
    pub(super) fn look_in_runs(
        &self,
        view: &View,
        call: Call<'_>,
        scratch: &mut Scratch,
        verdicts: &mut [Verdict],
        tally: &mut Tally,
    ) -> Result<()> {
        let Scratch { maybe, looked, .. } = scratch;
        retain_new(maybe, verdicts);
        let asked = maybe.len() as u64;
        if planted(Bug::FilterDecides) {
            for &i in &*maybe {
                let first_seen = call.moments.at(i as usize).now;
                verdicts[i as usize] = Verdict::Duplicate { first_seen };
            }
            maybe.clear();
        }
        if !maybe.is_empty() {
            let runs = &*view.runs;
            Look { core: self, call, runs, verdicts, tally, questions: 0 }.take(maybe, looked)?;
        }
        tally.filter_false_positives += asked.saturating_sub(tally.found);
        Ok(())
    }
}

impl Look<'_> {
    /// Asks the runs, in the way that suits what memory holds of them.
    fn take(&mut self, maybe: &mut Vec<u32>, looked: &mut Looked) -> Result<()> {
        let core = self.core;
        if core.coldness.tells() {
            return self.ahead(maybe, looked);
        }
        let begun = core.monotonic();
        self.one_after_the_other(maybe, looked)?;
        let work = Work { questions: self.questions, pages: self.tally.page_reads };
        core.coldness.took(core.monotonic().since(begun), work);
        Ok(())
    }

    /// Asks each run, once the younger ones have answered.
    fn one_after_the_other(&mut self, maybe: &mut Vec<u32>, looked: &mut Looked) -> Result<()> {
        let Looked { candidates, found, .. } = looked;
        for run in self.runs {
            if maybe.is_empty() {
                break;
            }
            candidates.clear();
            self.sift(run, maybe, candidates)?;
            if self.find(run, candidates, found)? {
                retain_new(maybe, self.verdicts);
            }
        }
        Ok(())
    }

    /// Asks each run, with the reads of those behind it under way.
    fn ahead(&mut self, maybe: &mut Vec<u32>, looked: &mut Looked) -> Result<()> {
        let (runs, ids) = (self.runs, self.call.ids);
        let Looked { candidates, asked, found } = looked;
        candidates.clear();
        maybe.sort_unstable_by_key(|&i| ids[i as usize]);
        let (mut filters, mut pages) = (Line::default(), Line::default());
        let mut ends = VecDeque::new();
        let mut from = 0;
        for (at, run) in runs.iter().enumerate() {
            if maybe.is_empty() {
                break;
            }
            while pages.takes_more(at, runs.len()) {
                let next = pages.told;
                while filters.takes_more(next, runs.len()) {
                    filters.push(runs[filters.told].announce(ids, maybe, Step::Sift));
                }
                let begin = candidates.len();
                self.sift(&runs[next], maybe, candidates)?;
                filters.pop();
                pages.push(runs[next].announce(ids, &candidates[begin..], Step::Find));
                ends.push_back(candidates.len());
            }
            pages.pop();
            let end = ends.pop_front().expect("a run is sifted before it is looked into");
            asked.clear();
            asked.extend_from_slice(&candidates[from..end]);
            retain_new(asked, self.verdicts);
            from = end;
            if self.find(run, asked, found)? {
                retain_new(maybe, self.verdicts);
            }
        }
        Ok(())
    }

    fn sift(&mut self, run: &Arc<dyn Sealed>, maybe: &[u32], out: &mut Vec<u32>) -> Result<()> {
        self.questions += maybe.len() as u64;
        run.sift(self.call.ids, maybe, out)
    }

    /// Looks ids up in one run. Returns whether that settled any.
    fn find(&mut self, run: &Arc<dyn Sealed>, asked: &[u32], found: &mut Found) -> Result<bool> {
        found.clear();
        run.find(self.call.ids, asked, found)?;
        self.tally.page_reads += found.pages;
        let (before, ticks) = (self.tally.found, run.ticks());
        for &(i, tick) in &found.hits {
            let (i, found) = (i as usize, Sighting::new(ticks, tick));
            if self.core.counts_for(found, self.call.moments.at(i)) {
                self.tally.found += 1;
                self.verdicts[i] = Verdict::Duplicate { first_seen: found.first_seen() };
            }
        }
        Ok(self.tally.found > before)
    }
}

/// Keeps the indices of ids that are new so far. Without a branch on a verdict, which no processor foretells.
fn retain_new(indices: &mut Vec<u32>, verdicts: &[Verdict]) {
    let mut count = 0;
    for k in 0..indices.len() {
        let i = indices[k];
        indices[count] = i;
        count += usize::from(verdicts[i as usize].is_new());
    }
    indices.truncate(count);
}

/// The runs that the system was told of for one step, and their reads that are under way.
#[derive(Debug, Default)]
struct Line {
    /// How many runs it was told of.
    told: usize,
    reads: VecDeque<usize>,
    sum: usize,
}

impl Line {
    /// Whether to tell of a run more, of so many, before run `at` is asked.
    fn takes_more(&self, at: usize, runs: usize) -> bool {
        self.told < runs && (self.told == at || self.sum < READS)
    }

    fn push(&mut self, reads: usize) {
        self.told += 1;
        self.sum += reads;
        self.reads.push_back(reads);
    }

    /// The oldest of them is asked now.
    fn pop(&mut self) {
        self.sum -= self.reads.pop_front().unwrap_or_default();
    }
}
