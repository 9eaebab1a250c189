//! What was measured of the peers, as tables.

use std::io::{self, Write};

use crate::course::Course;
use crate::figures::Figure;
use crate::outcome::{Measurement, Outcome};
use crate::peer::Durability;
use crate::workload::Workload;

const WINDOW_HEAD: &str =
    "| peer | new | finished | cpu | duplicate | cpu | half | finished | cpu | bytes |
|---|---|---|---|---|---|---|---|---|---|";
const SUSTAINED_HEAD: &str = "| peer | sustained | finished | cpu | bytes |
|---|---|---|---|---|";

/// One table for the scenario, a row for each peer, and a second one for those that sync every call.
/// Each compares with its first row.
pub(crate) fn write(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let (scenario, lines) = (outcome.scenario, outcome.lines_per_s / 1e6);
    let rounds = if outcome.rounds == 1 { "round" } else { "rounds" };
    writeln!(
        out,
        "Batch {}, {}, {}{} ids in the window, {} {rounds}, `L` {lines:.0} M lines/s:\n",
        scenario.batch,
        scenario.callers(),
        if scenario.course == Course::Sustained { "sustained, " } else { "" },
        grouped(scenario.window),
        outcome.rounds
    )?;
    let synced = |row: &&[Measurement]| row[0].durability == Durability::Sync;
    let rows: Vec<_> = outcome.rows().filter(|row| !synced(row)).collect();
    if !rows.is_empty() {
        write_rows(&rows, scenario.course, out)?;
    }
    let rows: Vec<_> = outcome.rows().filter(synced).collect();
    if !rows.is_empty() {
        writeln!(out, "The same, synced in every call:\n")?;
        write_rows(&rows, scenario.course, out)?;
    }
    out.flush()
}

fn write_rows(rows: &[&[Measurement]], course: Course, out: &mut impl Write) -> io::Result<()> {
    let head = match course {
        Course::Window => WINDOW_HEAD,
        Course::Sustained => SUSTAINED_HEAD,
    };
    writeln!(out, "{head}")?;
    rows.iter().try_for_each(|row| write_row(row, rows[0], out))?;
    writeln!(out)
}

fn write_row(row: &[Measurement], first: &[Measurement], out: &mut impl Write) -> io::Result<()> {
    write!(out, "| {} |", row[0].peer)?;
    for (of, base) in row.iter().zip(first) {
        let (figures, base) = (of.figures, base.figures);
        write!(out, " {} |", rate(figures.acknowledged, base.acknowledged))?;
        if of.workload != Workload::Duplicate {
            write!(out, " {} |", rate(figures.finished, base.finished))?;
        }
        let spent = figures.finished.cpu_ns_per_id;
        write!(out, " {} |", spent.map_or_else(missing, |spent| format!("{spent:.0}")))?;
    }
    let bytes = row[row.len() - 1].figures.bytes_per_id;
    writeln!(out, " {} |", bytes.map_or_else(missing, |bytes| format!("{bytes:.1}")))
}

fn missing() -> String {
    "-".to_owned()
}

/// M ids/s, and how many times as many the base does.
fn rate(figure: Figure, base: Figure) -> String {
    let rate = figure.ids_per_s() / 1e6;
    let digits = if rate < 9.95 { 2 } else { 1 };
    format!("{rate:.digits$}{}", times(figure.ns_per_id / base.ns_per_id))
}

fn times(times: f64) -> String {
    match times {
        1.0 => String::new(),
        ..0.995 => format!(" ({times:.2}x)"),
        ..9.95 => format!(" ({times:.1}x)"),
        _ => format!(" ({times:.0}x)"),
    }
}

/// With a comma after each thousand.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
