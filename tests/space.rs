//! A full disk, and a store with a cap.

use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{Builder, Durability, Error, Store, Timestamp, Verdict};

mod support;

use support::disk::DIR;
use support::{ids, scale};

const HOUR: Duration = Duration::from_secs(3_600);

fn builder(disk: &MemoryDisk, clock: &ManualClock) -> Builder {
    let builder = Store::builder().storage(Arc::new(disk.clone())).background(false);
    let builder = builder.clock(Arc::new(clock.clone())).window(8 * HOUR).future_skew(HOUR);
    builder.memory_budget(32 << 20).active_ids(5_000)
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_secs(1_700_000_000))
}

fn range(from: u64, to: u64) -> Vec<Vec<u8>> {
    ids(&(from..to).collect::<Vec<_>>())
}

fn is_full<T>(result: &firstseen::Result<T>) -> bool {
    matches!(result, Err(Error::DiskFull { .. }))
}

fn assert_known(store: &Store, to: u64) {
    for from in (0..to).step_by(1_000) {
        let known = store.contains(&range(from, from + 1_000)).unwrap();
        assert!(known.into_iter().all(|known| known), "{from}.. of {to}");
    }
}

/// Calls are refused as a whole, look-ups go on, and everything works once there is room.
#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    // Different sizes fill up at different stages: extending the log, sealing, the manifest.
    for spare in (0..4 << 20).step_by(300_000) {
        let (disk, clock) = (MemoryDisk::new(), clock());
        let store = builder(&disk, &clock).open(DIR).unwrap();
        assert!(store.check_and_insert(&range(0, 1_000)).unwrap().iter().all(Verdict::is_new));
        disk.set_capacity(Some(disk.used() + spare));
        let mut next = 1_000;
        let refused = loop {
            let verdicts = store.check_and_insert(&range(next, next + 1_000));
            match verdicts {
                Ok(verdicts) => assert!(verdicts.iter().all(Verdict::is_new)),
                Err(Error::DiskFull { .. }) => break next,
                Err(other) => panic!("{other}"),
            }
            next += 1_000;
        };
        assert!(is_full(&store.check_and_insert(&range(next, next + 1_000))));
        assert_known(&store, next);
        let refused = store.contains(&range(refused, refused + 1_000)).unwrap();
        assert!(refused.into_iter().all(|known| !known));
        assert_known(&builder(&disk.kill(), &clock).open(DIR).unwrap(), next);
        disk.set_capacity(None);
        for from in (next..next + 20_000).step_by(1_000) {
            let verdicts = store.check_and_insert(&range(from, from + 1_000)).unwrap();
            assert!(verdicts.iter().all(Verdict::is_new), "{from}.. after room was made");
        }
        store.compact().unwrap();
        store.close().unwrap();
        assert_known(&builder(&disk, &clock).open(DIR).unwrap(), next + 20_000);
    }
}

/// What has expired is dropped on a full disk too, and makes the room that sealing waits for.
#[test]
fn a_full_disk_is_emptied_by_expiry() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let store = builder(&disk, &clock).open(DIR).unwrap();
    for from in (0..200_000).step_by(1_000) {
        store.check_and_insert(&range(from, from + 1_000)).unwrap();
    }
    store.compact().unwrap();
    clock.advance(2 * HOUR);
    // A segment has room, and what it holds has none to be sealed to.
    disk.set_capacity(Some(disk.used() + (1 << 20) + (50 << 10)));
    let mut next = 200_000;
    while !is_full(&store.check_and_insert(&range(next, next + 1_000))) {
        next += 1_000;
    }
    assert!(is_full(&store.compact()));
    clock.advance(15 * HOUR / 2);
    store.compact().unwrap();
    for from in (next..next + 10_000).step_by(1_000) {
        let verdicts = store.check_and_insert(&range(from, from + 1_000)).unwrap();
        assert!(verdicts.iter().all(Verdict::is_new));
    }
    assert!(store.stats().expired > 0);
}

/// A store that never syncs has nothing left of the log of ids that are in runs, not even a file that is open and has
/// no name.
#[test]
fn a_log_that_was_sealed_takes_no_room() {
    for durability in [Durability::Buffered, Durability::Interval(HOUR), Durability::Sync] {
        let (disk, clock) = (MemoryDisk::new(), clock());
        let store = builder(&disk, &clock).durability(durability).open(DIR).unwrap();
        let mut after_one = None;
        for from in (0..100_000).step_by(5_000) {
            store.check_and_insert(&range(from, from + 5_000)).unwrap();
            store.seal().unwrap();
            let left = disk.used() - store.stats().run_bytes;
            assert!(left <= *after_one.get_or_insert(left) + 4_096, "{left} bytes beside the runs");
        }
    }
}

/// Everything counts, at every moment; the oldest goes first, and the store says how far back it
/// still knows.
#[test]
fn a_cap_is_kept_and_told() {
    const CAP: u64 = 32 << 20;
    let (disk, clock) = (MemoryDisk::new(), clock());
    let store = builder(&disk, &clock).active_ids(20_000).max_bytes(CAP).open(DIR).unwrap();
    let mut most = 0;
    let calls = 1_500 * scale();
    for call in 0..calls {
        let size = if call % 3 == 0 { 1 } else { 3_000 };
        let verdicts = store.check_and_insert(&range(call * 3_000, call * 3_000 + size)).unwrap();
        assert!(verdicts.iter().all(Verdict::is_new));
        clock.advance(Duration::from_secs(1));
        most = most.max(disk.used());
        assert!(most <= CAP, "{most} bytes after {call} calls, {:?}", store.stats());
    }
    let known_for = store.effective_window();
    assert!(known_for < Duration::from_secs(calls), "{known_for:?}");
    assert!(most > CAP / 3 && store.stats().expired > 0, "{most} bytes, {:?}", store.stats());
    // What it says it knows, it knows.
    for call in (calls - known_for.as_secs() + 1..calls).filter(|call| call % 3 != 0) {
        let known = store.contains(&range(call * 3_000, call * 3_000 + 3_000)).unwrap();
        assert!(known.into_iter().all(|known| known), "call {call} of {calls}");
    }
    drop(store);
    let store = builder(&disk, &clock).max_bytes(CAP).open(DIR).unwrap();
    assert!(store.effective_window() <= known_for + Duration::from_secs(1));
}
