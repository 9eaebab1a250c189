//! A store with a cap, on a disk that has no more: nothing is ever refused, and what it says that it still
//! knows, it knows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{Store, Timestamp, Verdict};

use super::text;
use crate::case::{Counts, Promise, ensure};
use crate::support::Rng;
use crate::support::disk::DIR;
use crate::support::ids;

/// The least that can be asked for.
const CAP: u64 = 32 << 20;
/// More than fit.
const CALLS: u64 = 1_000;
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn run(random: &mut Rng, counts: &mut Counts) -> Promise {
    let disk = MemoryDisk::seeded(random.next());
    disk.set_capacity(Some(CAP));
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let store = Store::builder()
        .storage(Arc::new(disk.clone()))
        .clock(Arc::new(clock.clone()))
        .background(false)
        .memory_budget(32 << 20)
        .window(3_600 * SECOND)
        .future_skew(60 * SECOND)
        .active_ids(random.pick(&[5_000, 20_000, 40_000]))
        .max_bytes(CAP)
        .open(DIR)
        .map_err(text)?;
    let (mut next, mut past, mut most) = (random.next() >> 8, VecDeque::new(), 0);
    for call in 0..CALLS {
        let count = if random.one_in(3) { 1 } else { 2_000 + random.below(4_000) };
        let batch: Vec<u64> = (next..next + count).collect();
        next += count;
        let verdicts = store.check_and_insert(&ids(&batch));
        let verdicts = verdicts.map_err(|error| format!("call {call}: {error}"))?;
        ensure(verdicts.iter().all(Verdict::is_new), || format!("call {call}: {verdicts:?}"))?;
        most = most.max(disk.used());
        ensure(most <= CAP, || format!("{most} bytes after call {call}: {:?}", store.stats()))?;
        past.push_front(batch);
        clock.advance(SECOND);
    }
    let known_for = store.effective_window().as_secs().saturating_sub(1);
    ensure(most > CAP / 3 && store.stats().expired > 0 && known_for < CALLS, || {
        format!("{most} bytes, all of {known_for} s: {:?}", store.stats())
    })?;
    for batch in past.iter().take(known_for as usize) {
        let known = store.contains(&ids(batch)).map_err(text)?;
        ensure(!known.contains(&false), || format!("not all of {known_for} s are known"))?;
    }
    counts.add("calls under a cap", CALLS);
    Ok(())
}
