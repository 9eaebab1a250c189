//! Presenting ids.

use std::ops::Range;

use firstseen::{Store, Verdict};

use super::ids::{Id, id};

/// How many of the verdicts are new.
pub fn new(verdicts: &[Verdict]) -> u64 {
    verdicts.iter().filter(|verdict| verdict.is_new()).count() as u64
}

/// Presents ids that are all new, in batches.
pub fn fill(store: &Store, ids: Range<u64>, batch: u64) {
    let (mut chunk, mut verdicts) = (Vec::<Id>::new(), Vec::new());
    for first in ids.clone().step_by(batch as usize) {
        chunk.clear();
        chunk.extend((first..ids.end.min(first + batch)).map(id));
        store.check_and_insert_into(&chunk, &mut verdicts).expect("the call succeeds");
        assert_eq!(new(&verdicts), chunk.len() as u64, "all are new");
    }
}
