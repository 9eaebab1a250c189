//! Ids of which it is known when each was first presented: numbers, ascending.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use firstseen::{Store, Verdict};

use super::WINDOW;
use crate::case::{Promise, ensure};
use crate::support::Rng;

const BATCH: u64 = 1_000;
/// An id may be remembered for so much longer than its window before it must be forgotten.
const SLACK: Duration = Duration::from_secs(2);
/// Pauses between calls, so that the window holds what the disk does.
const PAUSE: Duration = Duration::from_millis(1);

/// A stream of ids.
pub(super) struct Stream {
    number: u64,
    random: Rng,
    next: u64,
    /// The first id of each batch, and between which two moments it was presented.
    batches: VecDeque<(u64, Instant, Instant)>,
    checked: u64,
}

impl Stream {
    pub(super) fn new(number: u64, seed: u64) -> Stream {
        let (random, batches) = (Rng::new(seed), VecDeque::new());
        Stream { number, random, next: 0, batches, checked: 0 }
    }

    /// Answers that were held against what is known.
    pub(super) fn checked(&self) -> u64 {
        self.checked
    }

    /// Presents new ids and old ones until it is over.
    pub(super) fn flow(&mut self, store: &Store, over: &AtomicBool) -> Promise {
        let mut verdicts = Vec::new();
        while !over.load(Ordering::Relaxed) {
            self.present(store, &mut verdicts)?;
            if self.random.one_in(4) {
                self.look_back(store, &mut verdicts)?;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn ids(&self, from: u64) -> Vec<[u8; 16]> {
        let id = |n: u64| {
            let mut bytes = [self.number as u8; 16];
            bytes[8..].copy_from_slice(&n.to_be_bytes());
            bytes
        };
        (from..from + BATCH).map(id).collect()
    }

    /// A batch of new ids.
    fn present(&mut self, store: &Store, verdicts: &mut Vec<Verdict>) -> Promise {
        let (from, before) = (self.next, Instant::now());
        let settled = store.check_and_insert_into(&self.ids(from), verdicts);
        settled.map_err(|error| error.to_string())?;
        self.next += BATCH;
        self.batches.push_back((from, before, Instant::now()));
        self.checked += BATCH;
        while self.batches.front().is_some_and(|(.., last)| last.elapsed() > WINDOW * 2) {
            self.batches.pop_front();
        }
        ensure(verdicts.iter().all(Verdict::is_new), || {
            format!("stream {}: a new id from {from} on is known", self.number)
        })
    }

    /// A batch that was presented before: remembered inside the window, forgotten soon after.
    fn look_back(&mut self, store: &Store, verdicts: &mut Vec<Verdict>) -> Promise {
        let which = self.random.below(self.batches.len() as u64) as usize;
        let (from, before, after) = self.batches[which];
        let asked = Instant::now();
        store.check(&self.ids(from), verdicts).map_err(|error| error.to_string())?;
        // The cap may cut the window, also while the question is asked.
        let known_for = store.effective_window().min(WINDOW);
        let (least, most) = (asked - after, before.elapsed());
        self.checked += BATCH;
        let known = verdicts.iter().filter(|verdict| verdict.is_duplicate()).count() as u64;
        ensure(most >= known_for || known == BATCH, || {
            format!("{known} of {BATCH} ids are known after {most:?} of {known_for:?}")
        })?;
        ensure(least <= WINDOW + SLACK || known == 0, || {
            format!("{known} of {BATCH} ids are known after {least:?}")
        })
    }
}
