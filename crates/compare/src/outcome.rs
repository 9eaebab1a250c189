//! What was measured.

use crate::figures::Figures;
use crate::peer::Durability;
use crate::plan::Scenario;
use crate::workload::Workload;

/// One peer at one workload of a scenario: medians.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measurement {
    pub(crate) peer: String,
    pub(crate) durability: Durability,
    pub(crate) workload: Workload,
    pub(crate) figures: Figures,
}

/// What all peers did in one scenario.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    /// How often each peer was measured.
    pub(crate) rounds: usize,
    /// `L`: the median of the rounds.
    pub(crate) lines_per_s: f64,
    /// By peer, then by workload. A peer that does not take the scenario's threads or batches is
    /// missing.
    pub(crate) measurements: Vec<Measurement>,
}

impl Outcome {
    /// What each peer did, all workloads together.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[Measurement]> + Clone {
        self.measurements.chunk_by(|a, b| a.peer == b.peer)
    }
}
