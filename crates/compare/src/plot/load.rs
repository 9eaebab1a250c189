//! Pictures of what the load driver measured.

use std::collections::BTreeMap;

use super::Plot;
use super::axis::Axis;
use super::canvas::Heading;
use super::curves::{Curve, Curves};
use super::style::{FAINT, OURS, SECOND};
use super::words::{count, time};
use crate::figures::median;
use crate::files::{RECOVERY, SUSTAINED};
use crate::peer::Result;
use crate::records::Record;

/// The percentiles of a call, and what they are called.
const PERCENTILES: [(&str, &str); 6] = [
    ("p50_us", "50 %"),
    ("p90_us", "90 %"),
    ("p99_us", "99 %"),
    ("p999_us", "99.9 %"),
    ("p9999_us", "99.99 %"),
    ("max_us", "all"),
];

/// The latency of calls, and the rate over time.
pub(super) fn sustained(records: &[Record], machine: &str) -> Result<Vec<Plot>> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let (mut latency, mut rate, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for (at, record) in records.iter().enumerate() {
        let [ids, window] = [record.number("n")?, record.number("window")?].map(count);
        let (batch, duplicates) = (record.count("batch")?, record.count("duplicates_percent")?);
        runs.push(format!("batches of {batch} through a window of {window} ids"));
        let known = match duplicates {
            0 => " new ids".to_owned(),
            duplicates => format!(", {duplicates} % known"),
        };
        let curve = |points: Vec<(f64, f64)>| Curve {
            name: format!("{ids}{known}"),
            marks: points.clone(),
            points,
            color: [OURS, SECOND, FAINT][at.min(2)],
            main: at == 0,
            dashed: false,
            told: true,
        };
        let call = |(key, _): &(&str, _)| record.number_in(&["call", key]);
        latency.push(curve(by_place(PERCENTILES.iter().map(call).collect::<Result<_>>()?)));
        rate.push(curve(by_place(record.numbers("tenths")?.iter().map(|n| n / 1e6).collect())));
    }
    runs.dedup();
    let below = format!("{machine}, {}", runs.join("; "));
    let heading = |title| heading(title, &below, machine, SUSTAINED);
    let names = PERCENTILES.iter().map(|(_, name)| (*name).to_owned()).collect();
    let latency = Curves {
        heading: heading("Latency of calls while ids are sealed, merged and expired"),
        x: Axis::named("share of the calls that took no longer", names),
        y: Axis::log("time of a call (logarithmic)", values(&latency), time),
        curves: latency,
    };
    let parts = rate.iter().map(|curve| curve.points.len()).max().unwrap_or(0);
    let numbers = (1..=parts).map(|part| part.to_string()).collect();
    let rate = Curves {
        heading: heading("Rate while ids are sealed, merged and expired"),
        x: Axis::named("tenth of all ids", numbers),
        y: Axis::linear("M ids/s", values(&rate)),
        curves: rate,
    };
    Ok(vec![
        Plot { name: "sustained-latency.svg", svg: latency.svg()? },
        Plot { name: "sustained-rate.svg", svg: rate.svg()? },
    ])
}

/// Values at 0, 1, 2 and so on.
fn by_place(values: Vec<f64>) -> Vec<(f64, f64)> {
    values.into_iter().enumerate().map(|(at, value)| (at as f64, value)).collect()
}

/// The time from an opening after a SIGKILL, by ids.
pub(super) fn recovery(records: &[Record], machine: &str) -> Result<Vec<Plot>> {
    let first = times(records, "first_verdict_ms", "first verdict", true)?;
    let ready = times(records, "filter_ready_ms", "filter rebuilt", false)?;
    if first.points.len() < 2 {
        return Ok(Vec::new());
    }
    let ids = first.points.iter().map(|(ids, _)| *ids);
    let below =
        format!("{machine}, files in the page cache; each run a mark, lines through the medians");
    let curves = Curves {
        heading: heading("Opening after a SIGKILL", &below, machine, RECOVERY),
        x: Axis::log("ids in the store (logarithmic)", ids, count),
        y: Axis::log("time from the opening (logarithmic)", marks([&first, &ready]), time),
        curves: vec![first, ready],
    };
    Ok(vec![Plot { name: "recovery.svg", svg: curves.svg()? }])
}

/// Microseconds by ids. Of several runs with as many ids the median counts.
fn times(records: &[Record], key: &str, name: &str, main: bool) -> Result<Curve> {
    let mut runs: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for record in records {
        runs.entry(record.count("n")?).or_default().push(record.number(key)? * 1e3);
    }
    let of = runs.iter().map(|(ids, runs)| (*ids as f64, runs));
    Ok(Curve {
        name: name.to_owned(),
        points: of.clone().map(|(ids, runs)| (ids, median(runs.iter().copied()))).collect(),
        marks: of.flat_map(|(ids, runs)| runs.iter().map(move |run| (ids, *run))).collect(),
        color: if main { OURS } else { SECOND },
        main,
        dashed: false,
        told: true,
    })
}

fn values(curves: &[Curve]) -> impl Iterator<Item = f64> {
    curves.iter().flat_map(|curve| &curve.points).map(|(_, y)| *y)
}

fn marks(curves: [&Curve; 2]) -> impl Iterator<Item = f64> {
    curves.into_iter().flat_map(|curve| &curve.marks).map(|(_, y)| *y)
}

fn heading(title: &str, below: &str, machine: &str, file: &str) -> Heading {
    let source = format!("Drawn by firstseen-compare from {machine}/{file}.");
    Heading { title: title.to_owned(), below: below.to_owned(), source }
}
