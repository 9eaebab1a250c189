//! The cap on disk space, held against what all files take on the disk.

use std::path::Path;
use std::time::Duration;

use firstseen::{TimeSource, Verdict};

use crate::differences::GIVES_SPACE_BACK;
use crate::setting::{HOUR, SECOND, Setting, clock, over_each_backend};
use crate::support::files::disk_usage;
use crate::support::{ids, scale};

const CAP: u64 = 32 << 20;
/// Bytes on the disk that an id takes at least, for how many are inserted.
const ID_BYTES: u64 = 16;
const BATCH: u64 = 4_000;

fn range(from: u64) -> Vec<Vec<u8>> {
    ids(&(from..from + BATCH).collect::<Vec<_>>())
}

/// Inserts so many times what the cap holds, a batch a second. Returns the most that was taken.
fn fill(setting: Setting, dir: &Path, cap: u64, times: u64, source: TimeSource) -> u64 {
    let clock = clock();
    let builder = setting.timed(&clock).time(source).window(24 * HOUR).future_skew(HOUR);
    let builder = builder.active_ids(40_000).memory_budget(32 << 20).max_bytes(cap);
    let store = builder.clone().open(dir).unwrap();
    let (mut most, calls) = (0, cap / ID_BYTES * times / BATCH);
    for call in 0..calls {
        let now = firstseen::Clock::wall(&clock);
        let verdicts = match source {
            TimeSource::System => store.check_and_insert(&range(call * BATCH)),
            TimeSource::Event => store.check_and_insert_at(&range(call * BATCH), now),
        };
        assert!(verdicts.unwrap().iter().all(Verdict::is_new), "call {call}");
        clock.advance(SECOND);
        if call % 8 == 0 {
            most = most.max(disk_usage(dir));
            assert!(most <= cap, "{most} bytes of {cap} after {call} calls, {:?}", store.stats());
        }
    }
    store.compact().unwrap();
    let known_for = store.effective_window();
    assert!(known_for < Duration::from_secs(calls), "{known_for:?}");
    assert!(store.stats().expired > 0, "{:?}", store.stats());
    // What it says it knows, it knows.
    for call in calls - known_for.as_secs().saturating_sub(1)..calls {
        let known = store.contains(&range(call * BATCH)).unwrap();
        assert!(known.into_iter().all(|known| known), "call {call} of {calls}, {known_for:?}");
    }
    store.close().unwrap();
    let store = builder.open(dir).unwrap();
    assert!(store.effective_window() <= known_for + SECOND);
    store.compact().unwrap();
    most = most.max(disk_usage(dir));
    assert!(most <= cap, "{most} bytes of {cap} after opening, {:?}", store.stats());
    eprintln!(
        "{setting:?}, cap {cap}: at most {most} bytes on the disk, {} ids, {known_for:?} of {calls} s",
        store.stats().ids
    );
    most
}

#[test]
fn is_kept_and_told() {
    over_each_backend(|setting, dir| {
        let most = fill(setting, dir, CAP, 3 * scale(), TimeSource::Event);
        assert!(most > CAP / 3, "{most} bytes are little of {CAP}");
    });
}

/// Longer, with larger caps, for those who change how space is used.
#[test]
#[ignore = "minutes"]
fn larger_ones_are_kept() {
    over_each_backend(|setting, dir| {
        for cap in [CAP, 2 * CAP, 4 * CAP] {
            let dir = dir.join(cap.to_string());
            fill(setting, &dir, cap, 10, TimeSource::System);
        }
    });
}

/// Without a cap: what has expired gives its space back, or it is used again.
#[test]
fn space_is_given_back_or_used_again() {
    over_each_backend(|setting, dir| {
        let clock = clock();
        let store = setting.timed(&clock).active_ids(20_000).open(dir).unwrap();
        let mut usage = Vec::new();
        for window in 0..3 {
            for call in 0..40 {
                store.check_and_insert(&range((window * 40 + call) * BATCH)).unwrap();
            }
            store.compact().unwrap();
            usage.push(disk_usage(dir));
            clock.advance(20 * HOUR);
            store.compact().unwrap();
            assert_eq!(store.stats().runs, 0);
        }
        assert!(usage[2] < usage[0] * 2, "{usage:?}");
        let left = disk_usage(dir);
        if GIVES_SPACE_BACK.contains(&setting.backend) {
            assert!(left < usage[2] / 2, "{left} bytes are left, {usage:?}");
        }
    });
}
