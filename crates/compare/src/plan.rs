//! How much is measured: which windows, in which batches, from how many threads.

use std::num::NonZeroUsize;

/// A size of the whole comparison.
#[derive(Clone, Copy)]
pub(crate) enum Level {
    Quick,
    Full,
}

impl Level {
    /// How many ids the largest window holds.
    pub(crate) fn ids(self) -> usize {
        match self {
            Level::Quick => 200_000,
            Level::Full => 5_000_000,
        }
    }
}

/// One setting in which all peers are measured.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// Ids in the window.
    pub(crate) window: usize,
    pub(crate) batch: usize,
    pub(crate) threads: usize,
}

/// Every batch size from every number of threads.
pub(crate) fn scenarios(
    ids: usize,
    batches: &[NonZeroUsize],
    threads: &[NonZeroUsize],
) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for threads in threads.iter().map(|threads| threads.get()) {
        for batch in batches.iter().map(|batch| batch.get()) {
            scenarios.push(Scenario { window: window(ids, batch), batch, threads });
        }
    }
    scenarios
}

/// Small batches are slow, and their rates depend less on the window: they get a smaller one.
fn window(ids: usize, batch: usize) -> usize {
    let part = match batch {
        1 => 8,
        2..256 => 2,
        _ => 1,
    };
    (ids / part).max(2)
}
