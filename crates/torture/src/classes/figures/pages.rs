//! Nearly no new id costs a page: the filter in front of the runs rules out all but one in a hundred, and
//! the runs' own filters, which make other mistakes, nearly all of those.

use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{IdentityKind, ReadMode, Store, Timestamp};

use super::text;
use crate::case::{Counts, Promise, ensure};
use crate::support::Rng;
use crate::support::ids;

const IDS: u64 = 100_000;
const LOOKS: u64 = 200_000;
const BATCH: u64 = 5_000;
const WINDOW: Duration = Duration::from_secs(80);

pub(super) fn run(random: &mut Rng, counts: &mut Counts) -> Promise {
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let store = Store::builder()
        .storage(Arc::new(MemoryDisk::seeded(random.next())))
        .clock(Arc::new(clock.clone()))
        .window(WINDOW)
        .background(false)
        .memory_budget(32 << 20)
        .active_ids(random.pick(&[20_000, 25_000, 40_000]))
        .read_mode(random.pick(&[ReadMode::Positioned, ReadMode::Mapped]))
        .identity(random.pick(&[IdentityKind::AesCmac, IdentityKind::Xxh3]))
        .open("/store")
        .map_err(text)?;
    let start = random.next() >> 8;
    let batch = |at: u64| ids(&(at..at + BATCH).collect::<Vec<_>>());
    for from in (start..start + IDS).step_by(BATCH as usize) {
        store.check_and_insert(&batch(from)).map_err(text)?;
    }
    // The generation is over, so its runs become one: the two filters have the same ids in their blocks.
    clock.advance(WINDOW / 4);
    store.compact().map_err(text)?;
    let before = store.stats();
    let fresh = 1 << 60;
    for from in (fresh..fresh + LOOKS).step_by(BATCH as usize) {
        let known = store.contains(&batch(from)).map_err(text)?;
        ensure(!known.contains(&true), || format!("an id from {from} on is known"))?;
    }
    let after = store.stats();
    let maybe = after.filter_false_positives - before.filter_false_positives;
    let ruled_out = after.filter_negatives - before.filter_negatives;
    let pages = after.page_reads - before.page_reads;
    counts.add("new ids looked for", LOOKS);
    counts.add("of them not ruled out", maybe);
    counts.add("pages read for them", pages);
    ensure(ruled_out + maybe == LOOKS, || {
        format!("{ruled_out} ruled out and {maybe} not, of {LOOKS}: {after:?}")
    })?;
    ensure(maybe <= LOOKS / 100, || format!("the filter lets {maybe} of {LOOKS} pass"))?;
    ensure(pages <= maybe / 8 + 10, || format!("{pages} pages for {maybe} ids that are new"))
}
