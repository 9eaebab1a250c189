//! Hostile ids: alike, nested, long, empty, and repeated inside a batch, against a plain set.

use std::collections::BTreeSet;
use std::sync::Arc;

use firstseen::testing::MemoryDisk;
use firstseen::{IdentityKind, Store};

use crate::case::{Case, Counts, Promise, ensure};
use crate::class::Class;
use crate::support::Rng;

/// Lengths at which identities and hashes change their ways.
const LENGTHS: [usize; 18] =
    [0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 128, 129, 240, 241, 1_000];
const BATCHES: u64 = 12;

pub(crate) struct Ids;

impl Class for Ids {
    fn name(&self) -> &'static str {
        "ids"
    }

    fn about(&self) -> &'static str {
        "ids that differ in one bit, in length, or not at all: verdicts are those of a set"
    }

    fn weight(&self) -> u32 {
        1
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let mut random = Rng::new(case.number());
        let store = Store::builder()
            .storage(Arc::new(MemoryDisk::seeded(case.number())))
            .background(false)
            .memory_budget(16 << 20)
            .active_ids(100 + random.below(400) as usize)
            .identity(random.pick(&[IdentityKind::AesCmac, IdentityKind::Xxh3]))
            .open("/store")
            .map_err(|error| error.to_string())?;
        let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
        for _ in 0..BATCHES {
            let batch = batch(&mut random, &seen);
            let verdicts = store.check_and_insert(&batch).map_err(|error| error.to_string())?;
            for (id, verdict) in batch.iter().zip(verdicts) {
                let new = seen.insert(id.clone());
                ensure(verdict.is_new() == new && verdict.is_duplicate() != new, || {
                    format!("{verdict:?} for an id of {} bytes, known: {}", id.len(), !new)
                })?;
            }
            counts.add("ids", batch.len() as u64);
            if random.one_in(3) {
                store.seal().map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// Ids near to each other, and to those that were seen.
fn batch(random: &mut Rng, seen: &BTreeSet<Vec<u8>>) -> Vec<Vec<u8>> {
    let byte = random.next() as u8;
    let mut batch: Vec<Vec<u8>> = LENGTHS.iter().map(|&length| vec![byte; length]).collect();
    let old: Vec<&Vec<u8>> = seen.iter().take(50).collect();
    for _ in 0..random.below(150) {
        let mut id = match random.below(3) {
            0 if !old.is_empty() => old[random.below(old.len() as u64) as usize].clone(),
            _ => batch[random.below(batch.len() as u64) as usize].clone(),
        };
        match random.below(6) {
            0 => id.push(0),
            1 => drop(id.pop()),
            2 => id.reverse(),
            3 if !id.is_empty() => {
                let at = random.below(id.len() as u64) as usize;
                id[at] ^= 1 << random.below(8);
            }
            4 => id = [random.next(), random.next()].map(u64::to_be_bytes).concat(),
            _ => {}
        }
        batch.push(id);
    }
    batch
}
