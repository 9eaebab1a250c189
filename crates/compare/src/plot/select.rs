//! Which outcomes a picture is of. A later one stands for an earlier one of the same scenario.

use std::collections::BTreeMap;

use crate::course::Course;
use crate::outcome::Outcome;

/// Those of a full window with the fewest threads.
fn alone(outcomes: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    let windows = || outcomes.iter().filter(|outcome| outcome.scenario.course == Course::Window);
    let least = windows().map(|outcome| outcome.scenario.threads).min();
    windows().filter(move |outcome| Some(outcome.scenario.threads) == least)
}

/// The one of the largest window that forgot.
pub(super) fn sustained(outcomes: &[Outcome]) -> Option<&Outcome> {
    let sustained = outcomes.iter().filter(|of| of.scenario.course == Course::Sustained);
    sustained.max_by_key(|outcome| outcome.scenario.window)
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

/// One for each batch size, of the fewest threads: the one with the most peers.
pub(super) fn by_batch(outcomes: &[Outcome]) -> Vec<&Outcome> {
    let mut batches: BTreeMap<usize, BTreeMap<usize, &Outcome>> = BTreeMap::new();
    for outcome in alone(outcomes) {
        let of = outcome.scenario;
        batches.entry(of.batch).or_default().insert(of.window, outcome);
    }
    let windows = batches.into_values().map(|windows| windows.into_values().collect::<Vec<_>>());
    windows.filter_map(|windows| largest_for_most(&windows)).collect()
}
