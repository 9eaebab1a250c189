//! The way of the records: blocks of input, batches of a block, verdicts, outputs.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use firstseen::{Store, Verdict};

use super::args::DedupArgs;
use super::order::{self, Order};
use super::outputs::Outputs;
use super::progress::Progress;
use super::report::Counts;
use crate::batch::{Batch, OnError, Problem, Reader, WARNINGS_MAX};
use crate::block::Block;
use crate::fail::{Failure, Result};
use crate::header::Header;
use crate::input::{self, Input};
use crate::select::{Framing, Plan, Selectors};

/// One run of the command.
pub(crate) struct Run<'a> {
    plan: &'a Plan,
    delimiter: u8,
    on_error: OnError,
    order: Order,
    store: &'a Store,
    outputs: Outputs,
    counts: Counts,
    header: Option<Header>,
    warnings: u64,
    block: Block,
    batch: Batch,
    verdicts: Vec<Verdict>,
    /// Kept empty between batches, for its memory.
    ids: Vec<&'static [u8]>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        args: &DedupArgs,
        plan: &'a Plan,
        store: &'a Store,
        outputs: Outputs,
    ) -> Run<'a> {
        Run {
            plan,
            delimiter: args.selection.delimiter.unwrap_or(b'\t'),
            on_error: args.on_error,
            order: args.order,
            store,
            outputs,
            counts: Counts::default(),
            header: None,
            warnings: 0,
            block: Block::new(),
            batch: Batch::default(),
            verdicts: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// Reads all files and gives what was counted.
    pub(crate) fn all(mut self, files: &[PathBuf]) -> Result<Counts> {
        let files = input::or_stdin(files);
        let read = Rc::new(Cell::new(0));
        let total = input::total_size(&files);
        let progress = Progress::new(total, Rc::clone(&read), self.outputs.prints());
        let result = files.iter().try_for_each(|path| self.one(path, &read, &progress));
        progress.finish();
        result?;
        self.outputs.flush()?;
        Ok(self.counts)
    }

    fn one(&mut self, path: &Path, read: &Rc<Cell<u64>>, progress: &Progress) -> Result<()> {
        let mut input = input::open(path, read)?;
        self.block.restart();
        let mut line = 1;
        let Some(selectors) = self.selectors(&mut input, &mut line)? else {
            return Ok(());
        };
        loop {
            while self.batch(&input, &selectors, &mut line, progress)? {}
            if self.block.at_end() {
                return Ok(());
            }
            input.fill(&mut self.block, line)?;
        }
    }

    /// The selectors for this input, its header read and printed; `None` if it is empty.
    fn selectors(&mut self, input: &mut Input, line: &mut u64) -> Result<Option<Selectors>> {
        let Framing::Csv(delimiter) = self.plan.framing else {
            return self.plan.resolve(&[], self.delimiter).map(Some);
        };
        if !self.plan.header {
            return self.plan.resolve(&[], delimiter).map(Some);
        }
        let Some((header, cut)) = Header::read(&mut self.block, input, delimiter)? else {
            return Ok(None);
        };
        match &self.header {
            None => self.outputs.put_header(&self.block.bytes()[..cut.end]),
            Some(first) if *first != header => {
                let text =
                    format!("the header of {} differs from that of the first file", input.name);
                return Err(Failure::Run(text));
            }
            Some(_) => {}
        }
        let selectors = self.plan.resolve(&header.names, delimiter);
        self.header = Some(header);
        self.block.consume(cut.end);
        *line += cut.lines;
        selectors.map(Some)
    }

    /// Takes one batch off the block; false if there is no complete record left in it.
    fn batch(
        &mut self,
        input: &Input,
        selectors: &Selectors,
        line: &mut u64,
        progress: &Progress,
    ) -> Result<bool> {
        let Run { plan, batch, block, counts, .. } = self;
        let reader = Reader { framing: plan.framing, selectors, on_error: self.on_error };
        batch.fill(block.bytes(), block.at_end(), &reader, line);
        if batch.consumed == 0 && batch.fatal.is_none() {
            return Ok(false);
        }
        let bytes = &block.bytes()[..batch.consumed];
        counts.records += batch.records.len() as u64 + batch.skipped;
        counts.skipped += batch.skipped;
        counts.passed += batch.passed;
        counts.bytes += bytes.len() as u64;

        let mut ids = batch.ids(bytes, recycle(std::mem::take(&mut self.ids)));
        let times = plan.is_timed().then_some(&batch.times[..]);
        let outputs = &mut self.outputs;
        let mut emit = |verdicts: &[Verdict]| outputs.emit(bytes, batch, verdicts, counts);
        order::settle(self.order, self.store, &mut ids, times, &mut self.verdicts, &mut emit)?;
        self.ids = recycle(ids);

        progress.update(&self.counts);
        self.warn(input, progress);
        if let Some(Problem { line, why }) = &self.batch.fatal {
            let place = input.at_line(self.plan.framing.terminator(), *line);
            return Err(Failure::Run(format!("{place}: {why}")));
        }
        self.block.consume(self.batch.consumed);
        Ok(true)
    }

    /// Says what is wrong with the records that were set aside, the first of them.
    fn warn(&mut self, input: &Input, progress: &Progress) {
        let fate = if self.on_error == OnError::Pass { "passed through" } else { "skipped" };
        for Problem { line, why } in &self.batch.problems {
            self.warnings += 1;
            if self.warnings <= WARNINGS_MAX {
                let place = input.at_line(self.plan.framing.terminator(), *line);
                progress.say(&format!("{place}: {why}; {fate}"));
            } else if self.warnings == WARNINGS_MAX + 1 {
                progress.say("more such records are only counted");
            }
        }
    }
}

/// The same vector, emptied, for slices of another life. The standard library does this in place.
fn recycle<'to>(mut ids: Vec<&[u8]>) -> Vec<&'to [u8]> {
    ids.clear();
    ids.into_iter().map(|_| unreachable!("it is empty")).collect()
}
