//! What a store holds, as a plain value.

use std::collections::BTreeMap;

use firstseen::testing::Oracle;
use firstseen::{Timestamp, Verdict};

use super::setup::Setup;
use crate::case::Promise;

/// Where records come from.
pub(crate) const SOURCES: [&str; 2] = ["orders/0", "orders/1"];
/// No script presents an id between these and the records.
pub(crate) const PLAIN_IDS: u64 = 520;
/// Of no source there are more records than this.
pub(crate) const RECORDS_MAX: u64 = 2_000;

/// The number of the id of a record.
pub(crate) fn record(source: usize, position: u64) -> u64 {
    1_000_000 * (source as u64 + 1) + position
}

/// What is kept with an id.
pub(crate) fn outcome(n: u64) -> Vec<u8> {
    format!("done {n}").into_bytes()
}

/// The key of a source's sum.
pub(crate) fn key(source: usize) -> Vec<u8> {
    format!("sum/{source}").into_bytes()
}

/// A transaction that is prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) source: usize,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// What a store holds.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) oracle: Oracle,
    /// Ids that have an outcome.
    pub(crate) outcomes: BTreeMap<u64, Vec<u8>>,
    /// The next position of each source, and its sum in the state.
    pub(crate) progress: [u64; 2],
    /// What is in doubt, by token.
    pub(crate) held: BTreeMap<u64, Held>,
}

impl Model {
    pub(crate) fn new(setup: &Setup) -> Model {
        Model {
            oracle: Oracle::new(setup.window, setup.generations()),
            outcomes: BTreeMap::new(),
            progress: [0; 2],
            held: BTreeMap::new(),
        }
    }

    /// The transaction that holds an id.
    pub(crate) fn holder(&self, n: u64) -> Option<u64> {
        let holds =
            |held: &Held| (held.from..held.to).any(|position| record(held.source, position) == n);
        self.held.iter().find(|(_, held)| holds(held)).map(|(&token, _)| token)
    }

    /// Whether a transaction over this source is in doubt.
    pub(crate) fn holds(&self, source: usize) -> bool {
        self.held.values().any(|held| held.source == source)
    }

    /// The next records of a source.
    pub(crate) fn next(&self, source: usize, count: u64) -> Held {
        let from = self.progress[source];
        Held { source, from, to: from + count }
    }

    /// Holds the verdict on an id against what is known of it, and follows it.
    pub(crate) fn judge(
        &mut self,
        n: u64,
        now: Timestamp,
        verdict: Verdict,
        inserts: bool,
    ) -> Promise {
        if self.holder(n).is_some() {
            return match verdict.is_in_flight() {
                true => Ok(()),
                false => Err(format!("id {n} is in doubt, but told to be {verdict:?}")),
            };
        }
        self.oracle.judge(n, now, None, inserts, verdict)?;
        if inserts && verdict.is_new() {
            self.outcomes.remove(&n);
        }
        Ok(())
    }

    /// The records of a transaction are committed at `now`.
    pub(crate) fn commit(&mut self, Held { source, from, to }: &Held, now: Timestamp) {
        for position in *from..*to {
            let n = record(*source, position);
            // New by what the transaction was told when it began.
            let _ = self.oracle.judge(n, now, None, true, Verdict::New);
            self.outcomes.insert(n, outcome(n));
        }
        self.progress[*source] = *to;
    }

    /// What is kept with an id now, if it must be remembered.
    pub(crate) fn outcome(&self, n: u64) -> Option<&Vec<u8>> {
        self.outcomes.get(&n)
    }
}
