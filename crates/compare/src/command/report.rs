//! What was measured, as lines of JSON and back, or as a table.

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::outcome::{Measurement, Outcome};
use crate::peer::Result;
use crate::records::{self, Record};

pub(super) const COMMAND: &str = "command";

pub(super) fn json_lines(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    for of in &outcome.measurements {
        let line = json!({
            "what": COMMAND,
            "peer": of.peer,
            "workload": format!("{} % duplicates", outcome.duplicates),
            "n": outcome.lines,
            "distinct": outcome.distinct,
            "duplicates_percent": outcome.duplicates,
            "durability": of.durability,
            "lines_per_s": (1e9 / of.ns_per_line).round() as u64,
            "ns_per_line": of.ns_per_line,
            "user_s": of.user_s,
            "system_s": of.system_s,
            "peak_bytes": of.peak_bytes,
        });
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// The outcomes of a file; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<Outcome>>> {
    records::read(path)?.map(|records| outcomes(&records)).transpose()
}

/// Tools that follow each other with the same lines are one outcome.
pub(super) fn outcomes(records: &[Record]) -> Result<Vec<Outcome>> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for record in records {
        if record.text("what")? != COMMAND {
            return Err(record.wrong("no measurement of a command").into());
        }
        let measurement = Measurement {
            peer: record.text("peer")?.to_owned(),
            durability: record.text("durability")?.to_owned(),
            ns_per_line: record.number("ns_per_line")?,
            user_s: record.number("user_s")?,
            system_s: record.number("system_s")?,
            peak_bytes: record.count("peak_bytes")?,
        };
        let (lines, distinct) = (record.count("n")?, record.count("distinct")?);
        let duplicates = record.count("duplicates_percent")?;
        match outcomes.last_mut() {
            Some(last) if (last.lines, last.distinct) == (lines, distinct) => {
                last.measurements.push(measurement);
            }
            _ => {
                let measurements = vec![measurement];
                outcomes.push(Outcome { lines, distinct, duplicates, measurements });
            }
        }
    }
    Ok(outcomes)
}

pub(crate) fn table(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let Outcome { lines, distinct, measurements, .. } = outcome;
    writeln!(out, "{lines} lines, {distinct} different ones:\n")?;
    writeln!(
        out,
        "| command | M lines/s | s | user | system | peak MB |\n|---|---|---|---|---|---|"
    )?;
    let Some(first) = measurements.first() else { return out.flush() };
    for of in measurements {
        let times = if of.peer == first.peer {
            String::new()
        } else {
            format!(" ({:.2}x)", of.ns_per_line / first.ns_per_line)
        };
        writeln!(
            out,
            "| {} | {:.2}{times} | {:.2} | {:.2} | {:.2} | {:.0} |",
            of.peer,
            1e3 / of.ns_per_line,
            of.ns_per_line * *lines as f64 / 1e9,
            of.user_s,
            of.system_s,
            of.peak_bytes as f64 / 1e6,
        )?;
    }
    writeln!(out)?;
    out.flush()
}
