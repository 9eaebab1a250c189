//! Rounds: every peer once, in turns, beside the line rate; the medians count.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::figures::{Figures, median};
use crate::outcome::{Measurement, Outcome};
use crate::peer::{Entry, Result};
use crate::plan::Scenario;
use crate::session;
use crate::workload::Load;
use crate::yardstick::LineRate;

/// How long the line rate is measured at the beginning of a round.
const LINE_TIME: Duration = Duration::from_millis(200);

/// What stays the same from scenario to scenario.
pub(crate) struct Rounds<'a> {
    /// Where the folders of the peers are made.
    pub(crate) dir: &'a Path,
    pub(crate) line_rate: LineRate,
    pub(crate) progress: ProgressBar,
}

impl Rounds<'_> {
    /// All peers, who are measured in such a scenario, so many times.
    pub(crate) fn run(
        &self,
        scenario: Scenario,
        peers: &[&Entry],
        rounds: usize,
    ) -> Result<Outcome> {
        let loads = Load::all(scenario.course, scenario.window);
        let mut lines = Vec::new();
        // For each peer and each load, what the rounds gave.
        let mut samples = vec![vec![Vec::new(); loads.len()]; peers.len()];
        for round in 0..rounds {
            let line_ns = self.line_rate.grouped_ns(LINE_TIME);
            lines.push(line_ns);
            for turn in 0..peers.len() {
                // Each round begins with another peer, so that not all always follow the same one.
                let at = (round + turn) % peers.len();
                let entry = peers[at];
                self.progress.set_message(entry.name);
                let figures = one(entry, scenario, &loads, self.dir, line_ns)?;
                self.progress.inc(1);
                for (samples, figures) in samples[at].iter_mut().zip(figures) {
                    samples.push(figures);
                }
            }
        }
        let mut measurements = Vec::new();
        for (entry, samples) in peers.iter().zip(&samples) {
            for (load, samples) in loads.iter().zip(samples).filter(|(_, s)| !s.is_empty()) {
                measurements.push(Measurement {
                    peer: entry.name.to_owned(),
                    durability: entry.durability,
                    workload: load.workload,
                    figures: Figures::median(samples),
                });
            }
        }
        let lines_per_s = (1e9 / median(lines.into_iter())).round();
        Ok(Outcome { scenario, rounds, lines_per_s, measurements })
    }
}

/// One peer, once: what each load gave, or nothing if it takes no part.
fn one(
    entry: &Entry,
    scenario: Scenario,
    loads: &[Load],
    dir: &Path,
    line_ns: f64,
) -> Result<Vec<Figures>> {
    let timings = session::run(entry, scenario, loads, dir)
        .map_err(|error| format!("{}: {error}", entry.name))?;
    let timings = timings.into_iter().flatten().zip(loads);
    Ok(timings.map(|(timing, load)| Figures::new(&timing, load.ids.len(), line_ns)).collect())
}

/// On standard error, and only where that is a terminal.
pub(crate) fn progress(sessions: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}");
    let progress = ProgressBar::new(sessions as u64);
    progress.with_style(style.expect("the template is well-formed"))
}
