//! What was measured of the peers, as lines of JSON, and back.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::course::Course;
use crate::figures::{Figure, Figures};
use crate::outcome::{Measurement, Outcome};
use crate::peer::{Durability, Result};
use crate::plan::Scenario;
use crate::records::{self, Record};
use crate::workload::{self, Workload};

const ACKNOWLEDGED: &str = "acknowledged";
const FINISHED: &str = "finished";

/// A line for each measurement, and one more for it with postponed work done.
pub(crate) fn write(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    for measurement in &outcome.measurements {
        let Figures { acknowledged, finished, .. } = measurement.figures;
        writeln!(out, "{}", line(outcome, measurement, ACKNOWLEDGED, acknowledged))?;
        writeln!(out, "{}", line(outcome, measurement, FINISHED, finished))?;
    }
    out.flush()
}

fn line(outcome: &Outcome, measurement: &Measurement, what: &str, figure: Figure) -> Value {
    json!({
        "what": what,
        "peer": measurement.peer,
        "workload": measurement.workload.name(),
        "n": outcome.scenario.window,
        "batch": outcome.scenario.batch,
        "threads": outcome.scenario.threads,
        "durability": measurement.durability.name(),
        "rounds": outcome.rounds,
        "ids_per_s": figure.ids_per_s().round() as u64,
        "ns_per_id": figure.ns_per_id,
        "cpu_ns_per_id": figure.cpu_ns_per_id,
        "bytes_per_id": measurement.figures.bytes_per_id,
        "ratio_to_l": figure.ratio_to_l,
        "lines_per_s": outcome.lines_per_s as u64,
    })
}

/// The outcomes of a file; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<Outcome>>> {
    records::read(path)?.map(|records| outcomes(&records)).transpose()
}

/// Lines of one scenario and one `L` that follow each other are one outcome.
pub(crate) fn outcomes(records: &[Record]) -> Result<Vec<Outcome>> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for pair in records.chunks(2) {
        let mut outcome = outcome(pair)?;
        match outcomes.last_mut() {
            Some(last) if same_turn(last, &outcome) => {
                last.measurements.append(&mut outcome.measurements);
            }
            _ => outcomes.push(outcome),
        }
    }
    Ok(outcomes)
}

fn same_turn(a: &Outcome, b: &Outcome) -> bool {
    (a.scenario, a.rounds, a.lines_per_s) == (b.scenario, b.rounds, b.lines_per_s)
}

/// The one measurement that two lines tell.
fn outcome(pair: &[Record]) -> Result<Outcome> {
    let first = &pair[0];
    expect(first, ACKNOWLEDGED)?;
    let second = pair.get(1).ok_or_else(|| first.wrong("the last line, without its `finished`"))?;
    expect(second, FINISHED)?;
    let workload = named(first, "workload", &workload::ALL, Workload::name)?;
    let scenario = Scenario {
        course: Course::of(workload),
        window: first.count("n")?,
        batch: first.count("batch")?,
        threads: first.count("threads")?,
    };
    let measurement = Measurement {
        peer: first.text("peer")?.to_owned(),
        durability: named(first, "durability", &Durability::ALL, Durability::name)?,
        workload,
        figures: Figures {
            acknowledged: figure(first)?,
            finished: figure(second)?,
            bytes_per_id: first.optional("bytes_per_id")?,
        },
    };
    let about = |record: &Record| -> Result<[String; 2]> {
        Ok([record.text("peer")?.to_owned(), record.text("workload")?.to_owned()])
    };
    if about(first)? != about(second)? {
        return Err(second.wrong("of another peer or workload than the line before").into());
    }
    Ok(Outcome {
        scenario,
        rounds: first.count("rounds")?,
        lines_per_s: first.number("lines_per_s")?,
        measurements: vec![measurement],
    })
}

fn expect(record: &Record, what: &str) -> Result<()> {
    match record.text("what")? {
        found if found == what => Ok(()),
        found => Err(record.wrong(&format!("`{found}` where `{what}` belongs")).into()),
    }
}

fn figure(record: &Record) -> Result<Figure> {
    Ok(Figure {
        ns_per_id: record.number("ns_per_id")?,
        cpu_ns_per_id: record.optional("cpu_ns_per_id")?,
        ratio_to_l: record.number("ratio_to_l")?,
    })
}

/// The one of `all` that the record names.
fn named<T: Copy>(record: &Record, key: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T> {
    let found = record.text(key)?;
    let one = all.iter().find(|one| name(**one) == found);
    one.copied().ok_or_else(|| record.wrong(&format!("`{key}` {found:?} is unknown")).into())
}
