//! A batch: the records of a stretch of input that are judged by one call, and their ids.

use std::borrow::Cow;

use firstseen::Timestamp;

use crate::record::{Cut, csv, join, lines, time};
use crate::select::{Framing, Selectors};

/// Records of one call to the store at most.
pub(crate) const RECORDS_MAX: usize = 8192;

/// What to do with a record that has no id, or no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnError {
    /// Stop with an error; what came before is printed and remembered
    Fail,
    /// Leave the record out and say so, of the first ten with their lines
    Skip,
    /// Print the record without judging it and say so, likewise
    Pass,
}

/// A slice of the block or of the batch's scratch bytes. A block is far below 4 GiB.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    scratch: bool,
}

/// One record of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Whether it has an id, the next one of [`Batch::ids`]; if not, it is passed through.
    pub(crate) judged: bool,
}

/// A record that could not be read, by its line.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) line: u64,
    pub(crate) why: String,
}

/// The records cut off the front of a block. Kept and refilled, so that it allocates only to grow.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    spans: Vec<Span>,
    pub(crate) times: Vec<Timestamp>,
    scratch: Vec<u8>,
    /// Bytes of the block that the batch takes up, left-out records included.
    pub(crate) consumed: usize,
    /// Records left out.
    pub(crate) skipped: u64,
    /// Records passed through.
    pub(crate) passed: u64,
    /// Whether the last record has no terminator.
    pub(crate) open_ended: bool,
    /// What is wrong with left-out and passed records, the first of them.
    pub(crate) problems: Vec<Problem>,
    /// What stopped the batch, with `OnError::Fail`.
    pub(crate) fatal: Option<Problem>,
}

/// Records without an id that a run describes one by one; the rest is only counted.
pub(crate) const WARNINGS_MAX: u64 = 10;

/// Problems of a batch that are described: one more, so that a run knows that there is a rest.
const PROBLEMS_MAX: usize = WARNINGS_MAX as usize + 1;

impl Batch {
    /// Cuts records off the front of `bytes` until the batch is full or no record is complete.
    /// `line` counts on; it is the line at which the next record starts.
    pub(crate) fn fill(&mut self, bytes: &[u8], at_end: bool, reader: &Reader<'_>, line: &mut u64) {
        self.clear();
        while self.records.len() < RECORDS_MAX && self.skipped < RECORDS_MAX as u64 {
            let rest = &bytes[self.consumed..];
            let Some(cut) = reader.cut(rest, at_end) else {
                break;
            };
            let start = self.consumed;
            let judged = match self.find(bytes, start, cut.body, reader) {
                Ok(()) => true,
                Err(why) => {
                    let problem = Problem { line: *line, why };
                    if !self.set_aside(problem, reader.on_error) {
                        break;
                    }
                    false
                }
            };
            self.consumed += cut.end;
            *line += cut.lines;
            self.open_ended = cut.end == cut.body;
            if judged || reader.on_error == OnError::Pass {
                let (start, end) = (start as u32, self.consumed as u32);
                self.records.push(Record { start, end, judged });
            }
        }
    }

    /// The ids, one for each judged record, in order. `room` is an empty vector to put them in.
    pub(crate) fn ids<'a>(&'a self, bytes: &'a [u8], mut room: Vec<&'a [u8]>) -> Vec<&'a [u8]> {
        room.extend(self.spans.iter().map(|span| {
            let source = if span.scratch { &self.scratch[..] } else { bytes };
            &source[span.start as usize..span.end as usize]
        }));
        room
    }

    fn clear(&mut self) {
        self.records.clear();
        self.spans.clear();
        self.times.clear();
        self.scratch.clear();
        self.problems.clear();
        (self.consumed, self.skipped, self.passed, self.fatal) = (0, 0, 0, None);
    }

    /// Notes a record without an id; false if the batch ends before it.
    fn set_aside(&mut self, problem: Problem, on_error: OnError) -> bool {
        match on_error {
            OnError::Fail => {
                self.fatal = Some(problem);
                return false;
            }
            OnError::Skip => self.skipped += 1,
            OnError::Pass => self.passed += 1,
        }
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
        true
    }

    /// Finds the id and the time of the record at `start`.
    fn find(
        &mut self,
        bytes: &[u8],
        start: usize,
        len: usize,
        reader: &Reader<'_>,
    ) -> Result<(), String> {
        let body = &bytes[start..start + len];
        let selectors = reader.selectors;
        if let Some((selector, unit)) = &selectors.time {
            let text = selector.pick(body).map_err(|why| format!("{why} for the time"))?;
            let time = time::parse(&text, *unit)
                .map_err(|why| format!("'{}' {why}", String::from_utf8_lossy(&text)))?;
            self.times.push(time);
        }
        let span = match &selectors.ids[..] {
            [crate::select::Selector::Whole] => Ok(Span::of(start, start + len, false)),
            [only] => only.pick(body).and_then(|id| self.hold(bytes, id)),
            several => self.join(body, several),
        };
        if selectors.time.is_some() && span.is_err() {
            self.times.pop();
        }
        self.spans.push(span?);
        Ok(())
    }

    /// Keeps one value as the id.
    fn hold(&mut self, bytes: &[u8], id: Cow<'_, [u8]>) -> Result<Span, String> {
        if id.is_empty() {
            return Err("the id is empty".to_owned());
        }
        match id {
            Cow::Borrowed(id) => {
                let start = id.as_ptr().addr() - bytes.as_ptr().addr();
                Ok(Span::of(start, start + id.len(), false))
            }
            Cow::Owned(id) => {
                let start = self.scratch.len();
                self.scratch.extend_from_slice(&id);
                Ok(Span::of(start, self.scratch.len(), true))
            }
        }
    }

    /// Keeps several values as one id.
    fn join(&mut self, body: &[u8], several: &[crate::select::Selector]) -> Result<Span, String> {
        let start = self.scratch.len();
        let mut empty = true;
        for selector in several {
            let value = selector.pick(body)?;
            empty &= value.is_empty();
            join::push(&mut self.scratch, &value);
        }
        if empty {
            return Err("every part of the id is empty".to_owned());
        }
        Ok(Span::of(start, self.scratch.len(), true))
    }
}

impl Span {
    fn of(start: usize, end: usize, scratch: bool) -> Span {
        let narrow = |offset| u32::try_from(offset).expect("a batch is below 4 GiB");
        Span { start: narrow(start), end: narrow(end), scratch }
    }
}

/// How records of one input are read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) framing: Framing,
    pub(crate) selectors: &'a Selectors,
    pub(crate) on_error: OnError,
}

impl Reader<'_> {
    fn cut(&self, bytes: &[u8], at_end: bool) -> Option<Cut> {
        match self.framing {
            Framing::Ended(terminator) => lines::cut(bytes, terminator, at_end),
            Framing::Csv(delimiter) => csv::cut(bytes, delimiter, at_end),
        }
    }
}
