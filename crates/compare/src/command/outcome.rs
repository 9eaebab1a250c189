//! What was measured of the tools.

/// What one tool took: the medians of the rounds, to as many digits as are written down.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measurement {
    pub(super) peer: String,
    pub(super) durability: String,
    pub(super) ns_per_line: f64,
    pub(super) user_s: f64,
    pub(super) system_s: f64,
    /// The most memory that was resident at once.
    pub(super) peak_bytes: usize,
}

/// What all tools took for the same lines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(super) lines: usize,
    /// How many of them differ.
    pub(super) distinct: usize,
    /// How many of 100 lines repeat an earlier one.
    pub(super) duplicates: usize,
    pub(super) measurements: Vec<Measurement>,
}
