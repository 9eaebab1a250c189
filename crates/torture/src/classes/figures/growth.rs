//! More live ids than a filter was made for: it is built anew in steps of half a million ids, while others
//! are sealed. None is missed, whenever it came.

use std::sync::Arc;

use firstseen::testing::MemoryDisk;
use firstseen::{IdentityKind, Store};

use super::text;
use crate::case::{Counts, Promise, ensure};
use crate::support::Rng;
use crate::support::ids;

/// What the filter is made for at first; it grows at about that, in two steps.
const EXPECTED: u64 = 540_000;
const IDS: u64 = 720_000;
const BATCH: u64 = 2_000;

pub(super) fn run(random: &mut Rng, counts: &mut Counts) -> Promise {
    let store = Store::builder()
        .storage(Arc::new(MemoryDisk::seeded(random.next())))
        .memory_budget(32 << 20)
        .active_ids(random.pick(&[5_000, 10_000, 10_000]))
        .expected_ids(EXPECTED)
        .identity(random.pick(&[IdentityKind::AesCmac, IdentityKind::Xxh3]))
        .open("/store")
        .map_err(text)?;
    let start = random.next() >> 8;
    let batch = |at: u64, count: u64| ids(&(at..at + count).collect::<Vec<_>>());
    for from in (start..start + IDS).step_by(BATCH as usize) {
        let verdicts = store.check_and_insert(&batch(from, BATCH)).map_err(text)?;
        ensure(verdicts.iter().all(firstseen::Verdict::is_new), || "a new id is known".into())?;
        // One that came a while ago.
        let earlier = start + random.below(from + BATCH - start);
        let known = store.contains(&batch(earlier, 1)).map_err(text)?;
        ensure(known[0], || format!("id {} of {} is forgotten", earlier - start, from - start))?;
    }
    store.compact().map_err(text)?;
    for from in (start..start + IDS).step_by(10 * BATCH as usize) {
        let known = store.contains(&batch(from, 10 * BATCH)).map_err(text)?;
        let forgotten = known.iter().filter(|&&known| !known).count();
        ensure(forgotten == 0, || {
            format!("{forgotten} ids from {} on are forgotten", from - start)
        })?;
    }
    counts.add("ids while the filter grew", IDS);
    Ok(())
}
