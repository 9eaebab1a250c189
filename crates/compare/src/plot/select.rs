//! Which outcomes a picture is of. A later one stands for an earlier one of the same scenario.

use std::collections::BTreeMap;

use crate::outcome::Outcome;

/// Those with the fewest threads.
fn alone(outcomes: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    let least = outcomes.iter().map(|outcome| outcome.scenario.threads).min();
    outcomes.iter().filter(move |outcome| Some(outcome.scenario.threads) == least)
}

/// Those in the largest batches of the fewest threads, by window.
pub(super) fn wide(outcomes: &[Outcome]) -> Vec<&Outcome> {
    let most = alone(outcomes).map(|outcome| outcome.scenario.batch).max();
    let wide = alone(outcomes).filter(|outcome| Some(outcome.scenario.batch) == most);
    let by_window: BTreeMap<_, _> = wide.map(|wide| (wide.scenario.window, wide)).collect();
    by_window.into_values().collect()
}

/// The one with the most peers, and of several the one with the largest window.
pub(super) fn largest_for_most<'a>(outcomes: &[&'a Outcome]) -> Option<&'a Outcome> {
    let peers = |outcome: &Outcome| outcome.rows().count();
    outcomes.iter().copied().max_by_key(|outcome| (peers(outcome), outcome.scenario.window))
}

/// One for each batch size, of the fewest threads. Small batches have one window only; where a batch
/// size has several, it is the least that is as large as theirs.
pub(super) fn by_batch(outcomes: &[Outcome]) -> Vec<&Outcome> {
    let mut batches: BTreeMap<usize, BTreeMap<usize, &Outcome>> = BTreeMap::new();
    for outcome in alone(outcomes) {
        let of = outcome.scenario;
        batches.entry(of.batch).or_default().insert(of.window, outcome);
    }
    let single = batches.values().filter(|windows| windows.len() == 1);
    let large = single.filter_map(|windows| windows.keys().next()).max().copied().unwrap_or(0);
    let of = |windows: &BTreeMap<usize, _>| {
        let fits = windows.range(large..).next().or_else(|| windows.iter().next_back());
        fits.map(|(_, outcome)| *outcome)
    };
    batches.values().filter_map(of).collect()
}
