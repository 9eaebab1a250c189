//! Pictures of the peers.

use super::Plot;
use super::axis::Axis;
use super::bars::{Bar, Bars, Group};
use super::canvas::Heading;
use super::curves::{Curve, Curves};
use super::words::{count, plain, whole};
use super::{select, style};
use crate::files::PEERS;
use crate::outcome::{Measurement, Outcome};
use crate::peer::{Durability, Result};
use crate::plan::Scenario;
use crate::workload::Workload;

const RATE: &str = "M ids/s (logarithmic)";
const WINDOW: &str = "ids in the window (logarithmic)";
const BATCH: &str = "ids a call (logarithmic)";
const PALE: &str = "; pale: calls returned, full: postponed work done too";

/// What a picture tells of a measurement.
type Value = fn(&Measurement) -> f64;

/// All that the outcomes have enough for.
pub(super) fn plots(outcomes: &[Outcome], machine: &str) -> Result<Vec<Plot>> {
    let mut plots = windows(outcomes, machine)?;
    if let Some(outcome) = select::sustained(outcomes) {
        plots.push(sustained(outcome, machine)?);
    }
    Ok(plots)
}

/// Windows that are filled and asked.
fn windows(outcomes: &[Outcome], machine: &str) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    let wide = select::wide(outcomes);
    let Some(main) = select::largest_for_most(&wide) else { return Ok(plots) };
    if wide.len() > 1 {
        let by_window = |title, workload, value| {
            let below = format!("{machine}, {}", calls(main.scenario));
            let curves = curves(&wide, |of| of.window, workload, value);
            let x = Axis::log(WINDOW, values(&curves, |(x, _)| x), count);
            drawn(title, below, x, curves, machine)
        };
        let svg = by_window("New ids by window, postponed work done", Workload::New, finished)?;
        plots.push(Plot { name: "window-new.svg", svg });
        let svg = by_window("Duplicates by window", Workload::Duplicate, acknowledged)?;
        plots.push(Plot { name: "window-duplicate.svg", svg });
    }
    let batches = select::by_batch(outcomes);
    if batches.len() > 1 {
        let windows: Vec<_> = batches.iter().map(|of| count(of.scenario.window as f64)).collect();
        let below = format!(
            "{machine}, {}, windows of {} ids",
            main.scenario.callers(),
            windows.join(", ")
        );
        let curves = curves(&batches, |of| of.batch, Workload::New, finished);
        let sizes = batches.iter().map(|of| of.scenario.batch as f64).collect();
        let x = Axis::log(BATCH, values(&curves, |(x, _)| x), whole).marked_at(sizes);
        let title = "New ids by batch size, postponed work done";
        plots.push(Plot { name: "batch-new.svg", svg: drawn(title, below, x, curves, machine)? });
    }
    plots.extend(side_by_side(main, machine)?);
    Ok(plots)
}

/// The peers that can forget, side by side.
fn sustained(outcome: &Outcome, machine: &str) -> Result<Plot> {
    let value = |of: &Measurement| Some(vec![acknowledged(of), finished(of)]);
    let groups = groups(outcome, Workload::Sustained, value);
    let title = "Ids through a window that forgets, one of ten a duplicate";
    let heading = in_scenario(outcome.scenario, title, PALE, machine);
    Ok(Plot { name: "peers-sustained.svg", svg: chart(heading, groups, rates)? })
}

/// The peers in one scenario.
fn side_by_side(main: &Outcome, machine: &str) -> Result<Vec<Plot>> {
    let heading = |title: &str, more: &str| in_scenario(main.scenario, title, more, machine);
    let bytes = |values: Vec<f64>| Axis::linear("bytes on disk for an id", values.into_iter());
    let new = groups(main, Workload::New, |of| Some(vec![acknowledged(of), finished(of)]));
    let duplicate = groups(main, Workload::Duplicate, |of| Some(vec![acknowledged(of)]));
    let mut taken = groups(main, Workload::Half, |of| of.figures.bytes_per_id.map(|n| vec![n]));
    // Here less is better.
    taken.iter_mut().for_each(|group| group.bars.reverse());
    let mut plots = vec![
        Plot { name: "peers-new.svg", svg: chart(heading("New ids", PALE), new, rates)? },
        Plot {
            name: "peers-duplicate.svg",
            svg: chart(heading("Duplicates", ""), duplicate, rates)?,
        },
    ];
    if !taken.is_empty() {
        let heading = heading("Bytes on disk for an id, everything sealed and merged", "");
        plots.push(Plot { name: "peers-bytes.svg", svg: chart(heading, taken, bytes)? });
    }
    Ok(plots)
}

fn chart(heading: Heading, groups: Vec<Group>, axis: fn(Vec<f64>) -> Axis) -> Result<String> {
    let bars = groups.iter().flat_map(|group| &group.bars);
    let axis = axis(bars.flat_map(|bar| bar.values.clone()).collect());
    Bars { heading, axis, groups }.svg()
}

fn rates(values: Vec<f64>) -> Axis {
    Axis::log_bars(RATE, values.into_iter(), plain)
}

fn in_scenario(scenario: Scenario, title: &str, more: &str, machine: &str) -> Heading {
    let window = count(scenario.window as f64);
    let below = format!("{machine}, {}, {window} ids in the window{more}", calls(scenario));
    heading(title, below, machine)
}

/// A bar for each peer that has values of the workload, the highest first.
fn groups(
    outcome: &Outcome,
    workload: Workload,
    values: impl Fn(&Measurement) -> Option<Vec<f64>>,
) -> Vec<Group> {
    let bars = |title, belongs: fn(Durability) -> bool| {
        let of = outcome.measurements.iter().filter(|of| of.workload == workload);
        let bar = |of: &Measurement| Some(Bar { name: of.peer.clone(), values: values(of)? });
        let mut bars: Vec<_> = of.filter(|of| belongs(of.durability)).filter_map(bar).collect();
        bars.sort_by(|a, b| b.values.last().partial_cmp(&a.values.last()).expect("numbers"));
        Group { title, bars }
    };
    let groups = [
        bars("on disk", |of| !matches!(of, Durability::Sync | Durability::MemoryOnly)),
        bars("on disk, synced in every call", |of| of == Durability::Sync),
        bars("in memory only", |of| of == Durability::MemoryOnly),
    ];
    groups.into_iter().filter(|group| !group.bars.is_empty()).collect()
}

/// A line for each peer, but for those that sync every call.
fn curves(
    outcomes: &[&Outcome],
    x: fn(Scenario) -> usize,
    workload: Workload,
    value: Value,
) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for outcome in outcomes {
        let of = outcome.measurements.iter().filter(|of| of.workload == workload);
        for of in of.filter(|of| of.durability != Durability::Sync) {
            let point = (x(outcome.scenario) as f64, value(of));
            let at = curves.iter().position(|curve| curve.name == of.peer).unwrap_or_else(|| {
                curves.push(Curve {
                    name: of.peer.clone(),
                    points: Vec::new(),
                    marks: Vec::new(),
                    color: style::color(&of.peer, of.durability),
                    main: of.peer == "firstseen",
                    dashed: of.durability == Durability::MemoryOnly,
                    told: false,
                });
                curves.len() - 1
            });
            curves[at].points.push(point);
            curves[at].marks.push(point);
        }
    }
    curves
}

fn drawn(title: &str, below: String, x: Axis, curves: Vec<Curve>, machine: &str) -> Result<String> {
    let below = format!("{below}; dashed: in memory only");
    let y = Axis::log(RATE, values(&curves, |(_, y)| y), plain);
    Curves { heading: heading(title, below, machine), x, y, curves }.svg()
}

fn values(curves: &[Curve], of: fn((f64, f64)) -> f64) -> impl Iterator<Item = f64> {
    curves.iter().flat_map(|curve| &curve.points).map(move |point| of(*point))
}

fn heading(title: &str, below: String, machine: &str) -> Heading {
    let source = format!("Drawn by firstseen-compare from {machine}/{PEERS}.");
    Heading { title: title.to_owned(), below, source }
}

fn calls(scenario: Scenario) -> String {
    format!("batch {}, {}", scenario.batch, scenario.callers())
}

fn acknowledged(of: &Measurement) -> f64 {
    of.figures.acknowledged.ids_per_s() / 1e6
}

fn finished(of: &Measurement) -> f64 {
    of.figures.finished.ids_per_s() / 1e6
}
