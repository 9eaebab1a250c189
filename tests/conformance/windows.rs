//! Remembered for the whole window, and forgotten after it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use firstseen::{Clock, Durability, TimeSource, Verdict};

use crate::setting::{ACTIVE_IDS, HOUR, SECOND, clock, under, under_all};
use crate::support::files::disk_usage;
use crate::support::ids;

fn range(from: u64, to: u64) -> Vec<Vec<u8>> {
    ids(&(from..to).collect::<Vec<_>>())
}

#[test]
fn to_the_end_of_the_window_and_a_tick() {
    under_all(|setting, dir| {
        for sealed in [false, true] {
            let dir = dir.join(sealed.to_string());
            let clock = clock();
            let store = setting.timed(&clock).open(&dir).unwrap();
            store.check_and_insert(&range(0, 100)).unwrap();
            if sealed {
                store.seal().unwrap();
            }
            clock.advance(8 * HOUR);
            let known = store.contains(&range(0, 100)).unwrap();
            assert!(known.into_iter().all(|known| known), "inside its window");
            clock.advance(8 * HOUR / 2_048 + Duration::from_micros(1));
            let known = store.contains(&range(0, 100)).unwrap();
            assert!(known.into_iter().all(|known| !known), "after its window");
            let verdicts = store.check_and_insert(&range(0, 100)).unwrap();
            assert!(verdicts.iter().all(Verdict::is_new));
            let verdicts = store.check_and_insert(&range(0, 100)).unwrap();
            assert!(verdicts.iter().all(Verdict::is_duplicate));
            assert_eq!(store.effective_window(), 8 * HOUR);
        }
    });
}

/// Windows go by; what is held is one, in runs and on the disk.
#[test]
fn generations_are_dropped() {
    under(Durability::Buffered, |setting, dir| {
        let clock = clock();
        let store = setting.timed(&clock).open(dir).unwrap();
        let (mut most_runs, mut usage) = (0, Vec::new());
        for slice in 0..36 {
            let from = slice * 4_000;
            (from..from + 4_000).step_by(1_000).for_each(|from| {
                let verdicts = store.check_and_insert(&range(from, from + 1_000)).unwrap();
                assert!(verdicts.iter().all(Verdict::is_new), "{from} of slice {slice}");
            });
            store.compact().unwrap();
            clock.advance(HOUR);
            most_runs = most_runs.max(store.stats().runs);
            usage.push(disk_usage(dir));
        }
        let stats = store.stats();
        assert!(
            stats.expired >= 16 && stats.merged >= 16 && most_runs <= 30,
            "{most_runs} runs, {stats:?}"
        );
        assert!(stats.ids <= 10 * 4_000 && stats.generations <= 10, "{stats:?}");
        let (before, last) = (usage[17], usage[35]);
        assert!(last < before * 3 / 2, "{last} bytes, {before} two windows before");
        let known = store.contains(&range(28 * 4_000, 36 * 4_000)).unwrap();
        assert!(known.into_iter().all(|known| known));
        let known = store.contains(&range(0, 26 * 4_000)).unwrap();
        assert!(known.into_iter().all(|known| !known));
    });
}

#[test]
fn changed_at_reopening() {
    under_all(|setting, dir| {
        let clock = clock();
        let store = setting.timed(&clock).open(dir).unwrap();
        store.check_and_insert(&range(0, 3_000)).unwrap();
        clock.advance(3 * HOUR);
        store.check_and_insert(&range(3_000, 4_000)).unwrap();
        store.close().unwrap();

        let store = setting.timed(&clock).window(2 * HOUR).open(dir).unwrap();
        assert_eq!((store.window(), store.effective_window()), (2 * HOUR, 2 * HOUR));
        let known = store.contains(&range(0, 4_000)).unwrap();
        assert!(known[..3_000].iter().all(|known| !known) && known[3_000..].iter().all(|&k| k));
        store.compact().unwrap();
        store.close().unwrap();

        let store = setting.timed(&clock).window(24 * HOUR).open(dir).unwrap();
        let effective = store.effective_window();
        assert!(effective < 4 * HOUR, "what was dropped cannot come back: {effective:?}");
        clock.advance(20 * HOUR);
        let known = store.contains(&range(3_000, 4_000)).unwrap();
        assert!(known.into_iter().all(|known| known));
        assert_eq!(store.effective_window(), effective + 20 * HOUR);
        store.close().unwrap();
        let store = setting.builder().clock(Arc::new(clock.clone())).open(dir).unwrap();
        assert_eq!(store.window(), 24 * HOUR, "it is kept");
    });
}

#[test]
fn in_event_time() {
    under_all(|setting, dir| {
        let clock = clock();
        let open = || setting.timed(&clock).time(TimeSource::Event).open(dir).unwrap();
        let store = open();
        let start = clock.wall() - 100 * HOUR;
        for hour in 0..30 {
            let from = hour * 500;
            let at = start + HOUR * hour as u32;
            let verdicts = store.check_and_insert_at(&range(from, from + 500), at).unwrap();
            assert!(verdicts.iter().all(Verdict::is_new));
            assert_eq!(store.stats().now, at);
        }
        clock.advance(50 * HOUR);
        let store = match store.close() {
            Ok(()) => open(),
            Err(error) => panic!("{error}"),
        };
        let now = start + 29 * HOUR;
        assert_eq!(store.stats().now, now, "it does not age while nothing is presented");
        let late = store.check_and_insert_at(&range(0, 10), now - 8 * HOUR - SECOND).unwrap();
        assert!(late.iter().all(|verdict| *verdict == Verdict::Late { by: SECOND }), "{late:?}");
        let known = store.check_and_insert_at(&range(11_000, 11_500), now - 7 * HOUR).unwrap();
        assert!(known.iter().all(Verdict::is_duplicate));
        let old = store.check_and_insert_at(&range(0, 500), now - 7 * HOUR).unwrap();
        assert!(old.iter().all(Verdict::is_new), "they expired, and their event came again");
        let ahead = store.check_and_insert_at(&range(90_000, 90_001), now + 10_000 * HOUR).unwrap();
        assert!(ahead[0].is_new() && store.stats().disbelieved_times > 0);
        assert!(store.stats().now <= clock.wall() + HOUR);
    });
}

/// Nobody calls, and the background lets everything expire.
#[test]
fn an_idle_store_ages() {
    under(Durability::Buffered, |setting, dir| {
        let window = Duration::from_millis(400);
        let store = setting.builder().window(window).open(dir).unwrap();
        let many = range(0, ACTIVE_IDS as u64 * 2);
        store.check_and_insert(&many).unwrap();
        store.seal().unwrap();
        let started = Instant::now();
        while store.stats().ids > 0 {
            assert!(started.elapsed() < Duration::from_secs(20), "{:?}", store.stats());
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!((store.stats().runs, store.stats().generations), (0, 0));
        assert!(store.check_and_insert(&many).unwrap().iter().all(Verdict::is_new));
    });
}
