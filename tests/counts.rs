//! What an id costs, in counts: pages, bytes, syncs, answers of the filter. They hang on no clock and no neighbour, so a
//! change that makes any of them worse is noticed here. The goals are in `BENCHMARKS.md`; a bound that is
//! tighter than its goal is what the store has reached. Every store has another key, so what hangs on fingerprints
//! varies: those bounds are six standard deviations above what is expected, or more.

use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk, Op};
use firstseen::{Durability, Stats, Store, Timestamp};

/// The ids of the benches.
#[path = "../benches/support/ids.rs"]
mod ids;
mod support;

use ids::id;
use support::disk::DIR;

const HOUR: Duration = Duration::from_secs(3_600);
const GENERATIONS: u64 = 8;
/// Ids of a generation, in batches of [`BATCH`].
const SLICE: u64 = 128 * BATCH;
const BATCH: u64 = 1_024;
const WINDOW_IDS: u64 = GENERATIONS * SLICE;

/// A store that takes a generation in four tables, and what it stands on.
struct World {
    store: Store,
    disk: MemoryDisk,
    clock: ManualClock,
}

impl World {
    fn new() -> World {
        let disk = MemoryDisk::new();
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let builder = Store::builder().storage(Arc::new(disk.clone())).background(false);
        let builder = builder.clock(Arc::new(clock.clone())).window(GENERATIONS as u32 * HOUR);
        let builder = builder.memory_budget(64 << 20).expected_ids(WINDOW_IDS);
        let store = builder.active_ids(SLICE as usize / 4).open(DIR).unwrap();
        World { store, disk, clock }
    }

    /// Ids up to a full window, a generation an hour; what there is to seal and merge is done.
    fn filled() -> World {
        let world = World::new();
        for generation in 0..GENERATIONS {
            world.present(generation * SLICE..(generation + 1) * SLICE);
            world.clock.advance(HOUR);
        }
        world.store.compact().unwrap();
        world
    }

    /// Presents ids, and tells what was counted meanwhile.
    fn present(&self, ids: std::ops::Range<u64>) -> Counted {
        let before = self.store.stats();
        let mut verdicts = Vec::new();
        for from in ids.clone().step_by(BATCH as usize) {
            let batch: Vec<_> = (from..ids.end.min(from + BATCH)).map(id).collect();
            self.store.check_and_insert_into(&batch, &mut verdicts).unwrap();
        }
        Counted { before, after: self.store.stats(), ids: ids.end - ids.start }
    }
}

struct Counted {
    before: Stats,
    after: Stats,
    ids: u64,
}

impl Counted {
    /// How much of it there was for each id that was presented.
    fn each(&self, of: impl Fn(&Stats) -> u64) -> f64 {
        (of(&self.after) - of(&self.before)) as f64 / self.ids as f64
    }
}

#[track_caller]
fn assert_at_most(what: &str, found: f64, most: f64) {
    assert!(found <= most, "{what}: {found:.5} an id, and {most} is the most");
}

#[test]
fn a_new_id_is_ruled_out_by_the_filter() {
    let world = World::filled();
    let counted = world.present(WINDOW_IDS..WINDOW_IDS + SLICE);
    assert_eq!(counted.each(|stats| stats.new), 1.0);
    let asked = counted.each(|s| s.filter_negatives + s.filter_false_positives);
    assert_eq!(asked, 1.0, "each was asked for, once");
    let in_vain = counted.each(|stats| stats.filter_false_positives);
    assert_at_most("looks behind the filter", in_vain, 0.0016);
    assert_at_most("pages for new ids", counted.each(|stats| stats.page_reads), 0.0003);
}

#[test]
fn a_duplicate_takes_one_page() {
    let world = World::filled();
    assert_eq!(world.store.stats().runs, GENERATIONS, "one a generation");
    // The oldest generation has begun to expire.
    let counted = world.present(SLICE..WINDOW_IDS);
    assert_eq!(counted.each(|stats| stats.duplicates), 1.0);
    assert_at_most("pages for duplicates", counted.each(|stats| stats.page_reads), 1.04);
}

#[test]
fn an_id_takes_few_bytes() {
    let world = World::filled();
    let stats = world.store.stats();
    let an_id = |bytes: u64| bytes as f64 / WINDOW_IDS as f64;
    assert_at_most("bytes of runs", an_id(stats.run_bytes), 17.8);
    let all = world.disk.used() - stats.log_bytes;
    assert_at_most("bytes of all files but the log", an_id(all), 18.0);
    let written = stats.log_bytes_written + stats.run_bytes_written;
    assert_at_most("bytes written", an_id(written), 52.0);
    assert_at_most("bytes of directories", an_id(stats.run_memory), 0.05);
}

/// Callers that never pause: whatever a seal makes due has its turn before the next one.
#[test]
fn a_store_that_is_never_idle_stays_tidy() {
    let world = World::new();
    let windows = 5;
    let hour = |generation: u64| {
        let counted = world.present(generation * SLICE..(generation + 1) * SLICE);
        world.clock.advance(HOUR);
        counted
    };
    for generation in 0..(windows - 1) * GENERATIONS {
        hour(generation);
    }
    let mut in_vain = 0.0;
    for generation in (windows - 1) * GENERATIONS..windows * GENERATIONS {
        in_vain += hour(generation).each(|stats| stats.filter_false_positives);
        let runs = world.store.stats().runs;
        assert!(runs <= 2 * GENERATIONS, "{runs} runs, of four tables a generation");
    }
    assert_at_most("looks behind the filter", in_vain / GENERATIONS as f64, 0.006);
}

#[test]
fn a_call_is_one_write_and_one_sync() {
    let disk = MemoryDisk::new();
    let builder = Store::builder().storage(Arc::new(disk.clone())).background(false);
    let store = builder.durability(Durability::Sync).open(DIR).unwrap();
    let batch = |n: u64| -> Vec<_> { (n * BATCH..(n + 1) * BATCH).map(id).collect() };
    // The first one makes the segment.
    store.check_and_insert(&batch(0)).unwrap();
    let done = || [Op::Write, Op::SyncData].map(|op| disk.count(op));
    let [writes, syncs] = done();
    for n in 1..=64 {
        store.check_and_insert(&batch(n)).unwrap();
    }
    // A megabyte is set aside at first; with it nearly used a call readies a quarter of one more.
    let room = 1;
    assert_eq!(done(), [writes + 64 + room, syncs + 64]);
    for n in 0..=64 {
        store.check_and_insert(&batch(n)).unwrap();
    }
    assert_eq!(done(), [writes + 64 + room, syncs + 64], "durable duplicates write nothing");
}
