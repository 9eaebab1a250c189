//! The one line at the end.

use std::fmt;

use serde_json::{Map, Value};

use super::Options;
use super::supervise::Tally;

/// What was done, and what is wrong with the result.
#[derive(Debug)]
pub struct Report {
    line: Map<String, Value>,
    exact: bool,
}

impl Report {
    /// A report of an example that worked on so many records.
    pub fn new(example: &str, options: &Options, tally: &Tally, records: u64) -> Report {
        let mut report = Report { line: Map::new(), exact: tally.kills == options.kills };
        report.line.insert("example".into(), example.into());
        let report = report
            .note("seed", options.seed)
            .note("kills", tally.kills)
            .note("kills_before_open", tally.kills_before_open)
            .note("records", records);
        tally.words.iter().fold(report, |report, (word, n)| report.note(word, *n))
    }

    /// A number that tells more of the run.
    pub fn note(mut self, name: &str, n: u64) -> Report {
        self.line.insert(name.into(), n.into());
        self
    }

    /// A number that is zero if the truth is exact.
    pub fn fault(mut self, name: &str, n: u64) -> Report {
        self.exact &= n == 0;
        self.note(name, n)
    }

    /// Whether every kill was done and nothing is wrong.
    pub fn is_exact(&self) -> bool {
        self.exact
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = serde_json::to_string(&self.line).map_err(|_| fmt::Error)?;
        f.write_str(&line)
    }
}
