//! What a run counted, and how it says so.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

/// What a run counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Records read, those without an id included.
    pub(crate) records: u64,
    /// Records whose id was seen for the first time.
    pub(crate) unique: u64,
    /// Records whose id was seen before, inside the window.
    pub(crate) duplicates: u64,
    /// Records whose time lies before the window.
    pub(crate) late: u64,
    /// Records without an id or time, left out.
    pub(crate) skipped: u64,
    /// Records without an id or time, printed without being judged.
    pub(crate) passed: u64,
    /// Bytes of all records, decompressed.
    pub(crate) bytes: u64,
}

impl Counts {
    /// As one JSON object.
    pub(crate) fn json(&self, elapsed: Duration) -> Value {
        json!({
            "records": self.records,
            "unique": self.unique,
            "duplicates": self.duplicates,
            "late": self.late,
            "skipped": self.skipped,
            "passed": self.passed,
            "bytes": self.bytes,
            "seconds": elapsed.as_secs_f64(),
        })
    }

    /// As one line for a reader.
    pub(crate) fn text(&self, elapsed: Duration) -> String {
        let mut text = format!(
            "{} records, {} unique, {} duplicates",
            self.records, self.unique, self.duplicates
        );
        for (count, name) in
            [(self.late, "late"), (self.skipped, "skipped"), (self.passed, "passed")]
        {
            if count > 0 {
                text.push_str(&format!(", {count} {name}"));
            }
        }
        let seconds = elapsed.as_secs_f64();
        let rate = self.records as f64 / seconds.max(1e-6);
        text.push_str(&format!(" in {seconds:.1} s ({} a second)", rounded(rate)));
        text
    }

    /// As lines of a number and a name, for `--count`.
    pub(crate) fn write_lines(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{}\trecords", self.records)?;
        writeln!(out, "{}\tunique", self.unique)?;
        writeln!(out, "{}\tduplicates", self.duplicates)?;
        for (count, name) in
            [(self.late, "late"), (self.skipped, "skipped"), (self.passed, "passed")]
        {
            if count > 0 {
                writeln!(out, "{count}\t{name}")?;
            }
        }
        Ok(())
    }
}

/// A rate to two digits: `2.4 M`, `37 k`.
fn rounded(rate: f64) -> String {
    match rate {
        rate if rate >= 1e7 => format!("{:.0} M", rate / 1e6),
        rate if rate >= 1e6 => format!("{:.1} M", rate / 1e6),
        rate if rate >= 1e4 => format!("{:.0} k", rate / 1e3),
        rate if rate >= 1e3 => format!("{:.1} k", rate / 1e3),
        rate => format!("{rate:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_said_in_a_line() {
        let counts =
            Counts { records: 5, unique: 3, duplicates: 1, skipped: 1, ..Counts::default() };
        let text = counts.text(Duration::from_secs(1));
        assert_eq!(text, "5 records, 3 unique, 1 duplicates, 1 skipped in 1.0 s (5 a second)");
        assert_eq!(rounded(2_440_000.0), "2.4 M");
    }
}
