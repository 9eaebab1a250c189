//! Transactions of which it is known how far they got.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firstseen::{Error, Store, Verdict};

use crate::case::{Promise, ensure};
use crate::support::Rng;

const SOURCE: &str = "soak/0";
const SUM: &str = "sum";
const PAUSE: Duration = Duration::from_millis(2);

/// A source whose records are committed one after the other.
pub(super) struct Account {
    random: Rng,
    committed: u64,
    commits: u64,
}

impl Account {
    pub(super) fn new(seed: u64) -> Account {
        Account { random: Rng::new(seed), committed: 0, commits: 0 }
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    /// Whether the store stands where it was left.
    pub(super) fn agrees(&self, store: &Store) -> Promise {
        let text = |error: Error| error.to_string();
        let progress = store.progress(SOURCE).map_err(text)?.unwrap_or(0);
        let sum = store.state(SUM).map_err(text)?;
        let sum = sum.map_or(0, |bytes| bytes.try_into().map_or(u64::MAX, u64::from_le_bytes));
        ensure((progress, sum) == (self.committed, self.committed), || {
            format!("progress {progress}, sum {sum}, but {} were committed", self.committed)
        })
    }

    /// Commits, aborts, prepares and settles until it is over.
    pub(super) fn flow(&mut self, store: &Store, over: &AtomicBool) -> Promise {
        while !over.load(Ordering::Relaxed) {
            self.step(store)?;
            std::thread::sleep(PAUSE);
        }
        self.agrees(store)
    }

    fn step(&mut self, store: &Store) -> Promise {
        let text = |error: Error| error.to_string();
        let (from, to) = (self.committed, self.committed + 1 + self.random.below(20));
        let records: Vec<_> = (from..to).map(|at| (at, format!("record {at}"))).collect();
        let mut claim = store.begin_from(SOURCE, &records).map_err(text)?;
        ensure(claim.verdicts().iter().all(Verdict::is_new), || {
            format!("records from {from} on are {:?}", claim.verdicts())
        })?;
        claim.fresh().for_each(|i| claim.set_outcome(i, "done"));
        claim.put_state(SUM, to.to_le_bytes());
        match self.random.below(8) {
            0 => claim.abort(),
            1 => {
                let prepared = claim.prepare(from.to_be_bytes()).map_err(text)?;
                if self.random.one_in(3) {
                    prepared.abort().map_err(text)?;
                } else {
                    prepared.commit().map_err(text)?;
                    (self.committed, self.commits) = (to, self.commits + 1);
                }
            }
            _ => {
                claim.commit().map_err(text)?;
                (self.committed, self.commits) = (to, self.commits + 1);
            }
        }
        Ok(())
    }
}
