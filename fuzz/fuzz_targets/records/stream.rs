//! Whole inputs, cut into records.

use std::cell::RefCell;
use std::io::{self, Read};
use std::num::NonZeroUsize;

use arbitrary::Arbitrary;

use crate::batch::{Batch, OnError, Reader};
use crate::block::Block;
use crate::record::time::Unit;
use crate::record::{csv, lines};
use crate::select::{Framing, Plan, Selection, Selectors};

/// How an input is read.
#[derive(Debug, Clone, Arbitrary)]
pub struct How {
    framing: Frames,
    id: Id,
    time: Option<u8>,
    on_error: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Frames {
    Lines,
    Null,
    Csv,
}

#[derive(Debug, Clone, Arbitrary)]
enum Id {
    Whole,
    Fields { delimiter: u8, first: u8, second: Option<u8> },
    Pointers(bool),
}

/// One record as the rest of the command sees it, with its id and its time if it has any.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    bytes: Vec<u8>,
    id: Option<Vec<u8>>,
    micros: Option<u64>,
}

/// All that is seen of an input.
#[derive(Debug, Default, PartialEq, Eq)]
struct All {
    records: Vec<Seen>,
    skipped: u64,
    /// The first of them, as they are told.
    problems: Vec<(u64, String)>,
    fatal: Option<(u64, String)>,
    lines: u64,
}

/// Gives so many bytes a read.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(self.1);
        self.0.read(&mut out[..count])
    }
}

thread_local! {
    static BLOCK: RefCell<Block> = RefCell::new(Block::new());
}

/// The same is seen however much a read gives; lines and their fields are what `split` says.
pub fn check(how: How, reads: usize, text: &[u8]) {
    let Some((plan, selectors)) = how.plan() else { return };
    let on_error = [OnError::Fail, OnError::Skip, OnError::Pass][usize::from(how.on_error % 3)];
    let reader = Reader { framing: plan.framing, selectors: &selectors, on_error };
    let all = read(&reader, Slow(text, usize::MAX), true);
    let slowly = read(&reader, Slow(text, reads.max(1)), false);
    assert_eq!(all, slowly);

    let skips = on_error == OnError::Skip || all.fatal.is_some();
    let together: Vec<u8> = all.records.iter().flat_map(|record| record.bytes.clone()).collect();
    assert!(skips || together == text);
    if let (Framing::Ended(terminator), false) = (plan.framing, skips) {
        let mut expected: Vec<&[u8]> = text.split(|byte| *byte == terminator).collect();
        expected.pop_if(|last| last.is_empty());
        assert_eq!(all.records.len(), expected.len());
        for (record, expected) in all.records.iter().zip(expected) {
            let ended = record.bytes.last() == Some(&terminator);
            let crlf = ended && terminator == b'\n' && expected.ends_with(b"\r");
            let body = if crlf { &expected[..expected.len() - 1] } else { expected };
            how.check_id(record, body);
        }
    }
}

/// Goes through an input as `dedup` does.
fn read(reader: &Reader<'_>, mut input: Slow<'_>, whole: bool) -> All {
    let (mut all, mut batch, mut line) = (All::default(), Batch::default(), 1);
    BLOCK.with_borrow_mut(|block| {
        block.restart();
        loop {
            batch.fill(block.bytes(), block.at_end(), reader, &mut line);
            all.take(&batch, &block.bytes()[..batch.consumed]);
            if all.fatal.is_some() {
                break;
            }
            block.consume(batch.consumed);
            if batch.consumed == 0 && block.at_end() {
                assert!(block.bytes().is_empty());
                break;
            }
            if batch.consumed == 0 {
                block.fill(&mut input, whole).expect("a record that is not too long");
            }
        }
    });
    all.lines = line;
    all.problems.truncate(10);
    all
}

impl All {
    fn take(&mut self, batch: &Batch, bytes: &[u8]) {
        let mut ids = batch.ids(bytes, Vec::new()).into_iter();
        let mut times = batch.times.iter();
        for record in &batch.records {
            let id = record.judged.then(|| ids.next().expect("an id of each").to_vec());
            let micros = record.judged.then(|| times.next().map(|time| time.as_micros()));
            let bytes = bytes[record.start as usize..record.end as usize].to_vec();
            self.records.push(Seen { bytes, id, micros: micros.flatten() });
        }
        assert!(ids.next().is_none() && times.next().is_none());
        self.skipped += batch.skipped;
        self.problems.extend(batch.problems.iter().map(|p| (p.line, p.why.clone())));
        self.fatal = batch.fatal.as_ref().map(|p| (p.line, p.why.clone()));
    }
}

impl How {
    /// `None`: the command line would not have it.
    fn plan(&self) -> Option<(Plan, Selectors)> {
        let number = |n: u8| NonZeroUsize::new(usize::from(n % 4) + 1).expect("not zero");
        let (mut field, mut pointers, mut between) = (Vec::new(), Vec::new(), b'\t');
        match self.id {
            Id::Whole => {}
            Id::Fields { delimiter, first, second } => {
                field = [Some(first), second].into_iter().flatten().map(number).collect();
                between = delimited(delimiter);
            }
            Id::Pointers(both) => {
                let both = ["/id", "/a/0"].iter().take(1 + usize::from(both));
                pointers = both.map(|text| text.parse().expect("a pointer")).collect();
            }
        }
        let time = self.time.map(|n| match pointers[..] {
            [] => number(n).to_string(),
            _ => "/t".to_owned(),
        });
        let csv = self.framing == Frames::Csv;
        let selection = Selection {
            field,
            delimiter: matches!(self.id, Id::Fields { .. }).then_some(between),
            csv,
            column: Vec::new(),
            no_header: csv,
            null: self.framing == Frames::Null,
        };
        let plan = Plan::new(&selection, &pointers, time.as_deref(), Unit::Auto).ok()?;
        let selectors = plan.resolve(&[], between).expect("no column is named");
        Some((plan, selectors))
    }

    /// The id is what it must be by `split`, one value or several with their lengths.
    fn check_id(&self, record: &Seen, body: &[u8]) {
        let Some(id) = &record.id else { return };
        match self.id {
            Id::Whole => assert_eq!(id, body),
            Id::Fields { delimiter, first, second } => {
                let fields: Vec<_> = body.split(|byte| *byte == delimited(delimiter)).collect();
                let value = |n: u8| fields[usize::from(n % 4)].to_vec();
                let long = |n| [&(value(n).len() as u64).to_le_bytes()[..], &value(n)].concat();
                match second {
                    None => assert_eq!(*id, value(first)),
                    Some(second) => assert_eq!(*id, [long(first), long(second)].concat()),
                }
            }
            Id::Pointers(_) => {}
        }
    }
}

/// A byte that may stand between fields: mostly one that the bytes around it are likely to be.
fn delimited(byte: u8) -> u8 {
    match byte {
        b'\n' | b'\r' | b'"' | 128.. => b',',
        byte => byte,
    }
}

/// The same records and fields as the `csv` crate reads, which takes `\r` for content.
pub fn csv(delimiter: u8, text: &[u8]) {
    // The crate drops this at the head of an input; here it belongs to the header.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let delimiter = delimited(delimiter);
    let mut oracle = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .terminator(::csv::Terminator::Any(b'\n'))
        .from_reader(text);
    let mut expected = oracle.byte_records().map(|record| record.expect("no I/O"));
    let mut rest = text;
    while let Some(cut) = csv::cut(rest, delimiter, true) {
        let (record, ended) = (&rest[..cut.body], &rest[cut.body..cut.end]);
        let newlines = rest[..cut.end].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(cut.lines, newlines + u64::from(ended.is_empty()));
        if !(ended == b"\n" && record.is_empty()) {
            let expected = expected.next().expect("a record");
            let mut expected: Vec<_> = expected.iter().map(<[u8]>::to_vec).collect();
            match ended {
                b"" => assert_eq!(cut.end, rest.len()),
                b"\n" => assert!(!record.ends_with(b"\r")),
                _ => {
                    assert_eq!(ended, b"\r\n");
                    assert_eq!(expected.last_mut().and_then(Vec::pop), Some(b'\r'));
                }
            }
            let found: Vec<_> = csv::fields(record, delimiter).collect();
            assert_eq!(found, expected);
            for (index, field) in found.iter().enumerate() {
                assert_eq!(csv::pick(record, delimiter, index).as_ref(), Some(field));
            }
            assert_eq!(csv::pick(record, delimiter, found.len()), None);
            if !record.contains(&b'"') {
                assert_eq!(lines::cut(rest, b'\n', true), Some(cut));
            }
        }
        rest = &rest[cut.end..];
    }
    assert!(rest.is_empty() && expected.next().is_none());
}
