//! What was measured, as lines of JSON or as tables.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::figures::Figure;
use crate::rounds::{Measurement, Outcome};
use crate::workload::Workload;

/// A line for each measurement, and one more for it with postponed work done.
pub(crate) fn json_lines(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    for measurement in &outcome.measurements {
        let figures = &measurement.figures;
        for (what, figure) in
            [("acknowledged", figures.acknowledged), ("finished", figures.finished)]
        {
            writeln!(out, "{}", line(outcome, measurement, what, figure))?;
        }
    }
    out.flush()
}

fn line(outcome: &Outcome, measurement: &Measurement, what: &str, figure: Figure) -> Value {
    let rounded = |value: f64, digits: i32| {
        let scale = 10_f64.powi(digits);
        (value * scale).round() / scale
    };
    let bytes = measurement.figures.bytes_per_id;
    json!({
        "what": what,
        "peer": measurement.entry.name,
        "workload": measurement.workload.name(),
        "n": outcome.scenario.window,
        "batch": outcome.scenario.batch,
        "threads": outcome.scenario.threads,
        "durability": measurement.entry.durability.name(),
        "ids_per_s": (1e9 / figure.ns_per_id).round(),
        "ns_per_id": rounded(figure.ns_per_id, 1),
        "cpu_ns_per_id": rounded(figure.cpu_ns_per_id, 1),
        "bytes_per_id": (bytes > 0.0).then(|| rounded(bytes, 1)),
        "ratio_to_l": rounded(figure.ratio_to_l, 5),
    })
}

/// One table for the scenario, a row for each peer.
pub(crate) fn table(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let scenario = outcome.scenario;
    let (threads, lines) = (scenario.threads, outcome.lines_per_s / 1e6);
    let plural = if threads == 1 { "" } else { "s" };
    writeln!(
        out,
        "Batch {}, {threads} thread{plural}, {} ids in the window, L = {lines:.0} M lines/s:\n",
        scenario.batch, scenario.window
    )?;
    writeln!(
        out,
        "| peer | new | finished | cpu | duplicate | cpu | half | finished | cpu | bytes |\n\
         |---|---|---|---|---|---|---|---|---|---|"
    )?;
    let by_peer = |a: &Measurement, b: &Measurement| a.entry.name == b.entry.name;
    let mut rows = outcome.measurements.chunk_by(by_peer);
    let first = rows.clone().next();
    rows.try_for_each(|row| write_row(row, first.unwrap_or(row), out))?;
    writeln!(out)?;
    out.flush()
}

fn write_row(row: &[Measurement], first: &[Measurement], out: &mut impl Write) -> io::Result<()> {
    write!(out, "| {} |", row[0].entry.name)?;
    for (of, base) in row.iter().zip(first) {
        let (figures, base) = (of.figures, base.figures);
        write!(out, " {} |", rate(figures.acknowledged, base.acknowledged))?;
        if of.workload != Workload::Duplicate {
            write!(out, " {} |", rate(figures.finished, base.finished))?;
        }
        write!(out, " {} |", cpu(figures.finished, base.finished))?;
    }
    let bytes = row[row.len() - 1].figures.bytes_per_id;
    writeln!(out, " {} |", if bytes > 0.0 { format!("{bytes:.1}") } else { "-".to_owned() })
}

/// M ids/s, and how many times as many the base does.
fn rate(figure: Figure, base: Figure) -> String {
    let rate = 1e3 / figure.ns_per_id;
    let digits = if rate < 9.95 { 2 } else { 1 };
    format!("{rate:.digits$}{}", times(figure.ns_per_id / base.ns_per_id))
}

/// Nanoseconds of the processors, and how many times as many as for the base.
fn cpu(figure: Figure, base: Figure) -> String {
    if figure.cpu_ns_per_id.is_nan() {
        return "-".to_owned();
    }
    format!("{:.0}{}", figure.cpu_ns_per_id, times(figure.cpu_ns_per_id / base.cpu_ns_per_id))
}

fn times(times: f64) -> String {
    match times {
        1.0 => String::new(),
        ..0.995 => format!(" ({times:.2}x)"),
        ..9.95 => format!(" ({times:.1}x)"),
        _ if times.is_nan() => String::new(),
        _ => format!(" ({times:.0}x)"),
    }
}
