//! Rounds: every peer once, in turns, beside the line rate; the medians count.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::figures::{Figures, median};
use crate::peer::{Entry, Result};
use crate::plan::Scenario;
use crate::session;
use crate::workload::{Load, Workload};
use crate::yardstick::LineRate;

/// How long the line rate is measured at the beginning of a round.
const LINE_TIME: Duration = Duration::from_millis(200);

/// One peer at one workload of a scenario: medians.
pub(crate) struct Measurement<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) workload: Workload,
    pub(crate) figures: Figures,
}

/// What all peers did in one scenario.
pub(crate) struct Outcome<'a> {
    pub(crate) scenario: Scenario,
    /// `L`: the median of the rounds.
    pub(crate) lines_per_s: f64,
    /// By peer, then by workload. A peer that does not take the scenario's threads or batches is
    /// missing.
    pub(crate) measurements: Vec<Measurement<'a>>,
}

/// What stays the same from scenario to scenario.
pub(crate) struct Rounds<'a> {
    pub(crate) peers: &'a [Entry],
    pub(crate) rounds: usize,
    /// Where the folders of the peers are made.
    pub(crate) dir: &'a Path,
    pub(crate) line_rate: LineRate,
    pub(crate) progress: ProgressBar,
}

impl<'a> Rounds<'a> {
    pub(crate) fn run(&self, scenario: Scenario) -> Result<Outcome<'a>> {
        let loads = Load::all(scenario.window);
        let mut lines = Vec::new();
        // For each peer and each load, what the rounds gave.
        let mut samples = vec![vec![Vec::new(); loads.len()]; self.peers.len()];
        for round in 0..self.rounds {
            let line_ns = self.line_rate.grouped_ns(LINE_TIME);
            lines.push(line_ns);
            for turn in 0..self.peers.len() {
                // Each round begins with another peer, so that not all always follow the same one.
                let at = (round + turn) % self.peers.len();
                let entry = &self.peers[at];
                self.progress.set_message(entry.name);
                let figures = if entry.takes(scenario.batch) {
                    one(entry, scenario, &loads, self.dir, line_ns)?
                } else {
                    Vec::new()
                };
                self.progress.inc(1);
                for (samples, figures) in samples[at].iter_mut().zip(figures) {
                    samples.push(figures);
                }
            }
        }
        let mut measurements = Vec::new();
        for (entry, samples) in self.peers.iter().zip(&samples) {
            for (load, samples) in loads.iter().zip(samples).filter(|(_, s)| !s.is_empty()) {
                let figures = Figures::median(samples);
                measurements.push(Measurement { entry, workload: load.workload, figures });
            }
        }
        let lines_per_s = 1e9 / median(lines.into_iter());
        Ok(Outcome { scenario, lines_per_s, measurements })
    }
}

/// One peer, once: what each load gave, or nothing if it does not take the threads.
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
