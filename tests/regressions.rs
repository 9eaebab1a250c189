//! Defects that a review found, each as the sequence that showed it.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk, Storage};
use firstseen::{Builder, Durability, Error, Store, TimeSource, Timestamp, Verdict};

const DIR: &str = "/store";
const HOUR: Duration = Duration::from_secs(3_600);

fn builder(disk: &MemoryDisk) -> Builder {
    Store::builder().storage(Arc::new(disk.clone())).background(false).memory_budget(32 << 20)
}

fn ids(range: std::ops::Range<u64>) -> Vec<[u8; 16]> {
    range.map(|n| u128::from(n).to_be_bytes()).collect()
}

fn names(disk: &MemoryDisk, ending: &str) -> Vec<String> {
    let mut names = disk.list(Path::new(DIR)).unwrap();
    names.retain(|name| name.ends_with(ending));
    names.sort();
    names
}

/// The sync that was due failed after the ids were in the log, and they stayed there.
#[test]
fn a_call_refused_for_an_overdue_sync_has_inserted_nothing() {
    let disk = MemoryDisk::new();
    let durability = Durability::Interval(Duration::from_nanos(1));
    let store = builder(&disk).durability(durability).open(DIR).unwrap();
    store.check_and_insert(&["a"]).unwrap();
    disk.fail_from(disk.ops(), ErrorKind::Other);
    store.check_and_insert(&["b"]).unwrap_err();
    drop(store);
    disk.heal();
    let store = builder(&disk).durability(durability).open(DIR).unwrap();
    assert!(store.check_and_insert(&["b"]).unwrap()[0].is_new());
}

/// With no bound on the skew, a fresh generation was over before it began, for ever.
#[test]
fn the_end_of_time_is_refused_or_believed_only_so_far() {
    let disk = MemoryDisk::new();
    let event = || builder(&disk).time(TimeSource::Event);
    let refused = event().future_skew(Duration::MAX).open(DIR).unwrap_err();
    assert!(matches!(refused, Error::InvalidOption { option: "future_skew", .. }), "{refused}");
    let century = HOUR * 24 * 365 * 100;
    let store = event().future_skew(century).open(DIR).unwrap();
    assert!(store.check_and_insert_at(&["a"], Timestamp::MAX).unwrap()[0].is_new());
    assert_eq!(store.stats().disbelieved_times, 1);
}

/// A longer window counted only until the next opening that did not ask for one.
#[test]
fn a_changed_window_survives_a_kill() {
    let disk = MemoryDisk::new();
    builder(&disk).window(HOUR).open(DIR).unwrap().close().unwrap();
    let store = builder(&disk).window(24 * HOUR).open(DIR).unwrap();
    store.check_and_insert(&["a"]).unwrap();
    let store = builder(&disk.kill()).open(DIR).unwrap();
    assert_eq!(store.window(), 24 * HOUR);
}

/// A merge that was under way when a store was closed removed the run of that number from its
/// successor's folder when the last handle went.
#[test]
fn a_closed_store_leaves_the_folder_to_its_successor() {
    let disk = MemoryDisk::new();
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let open = |background| {
        let builder = builder(&disk).background(background).clock(Arc::new(clock.clone()));
        builder.memory_budget(128 << 20).active_ids(170_000).open(DIR).unwrap()
    };
    let store = open(true);
    for from in (0..1_000_000).step_by(50_000) {
        store.check_and_insert(&ids(from..from + 50_000)).unwrap();
    }
    store.seal().unwrap();
    let sealed = names(&disk, ".run");
    clock.advance(4 * HOUR);
    store.check_and_insert(&ids(5_000_000..5_000_001)).unwrap();
    // Either the merge is under way now, or it is over; both must leave a folder that opens.
    while names(&disk, ".run") == sealed {
        std::thread::yield_now();
    }
    let other = store.clone();
    store.close().unwrap();
    let successor = open(false);
    successor.check_and_insert(&ids(9_000_000..9_000_100)).unwrap();
    successor.seal().unwrap();
    let live = names(&disk, ".run");
    drop(other);
    assert_eq!(names(&disk, ".run"), live);
    successor.close().unwrap();
    assert!(open(false).contains(&ids(0..10)).unwrap().iter().all(|&known| known));
}

/// Everything in the log had expired, and to drop it took room that there was not.
#[test]
fn an_expired_log_makes_room_on_a_full_disk() {
    let disk = MemoryDisk::new();
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let builder = builder(&disk).active_ids(60_000).clock(Arc::new(clock.clone()));
    let store = builder.window(8 * HOUR).open(DIR).unwrap();
    store.check_and_insert(&ids(0..1_000)).unwrap();
    let path = |name: &String| Path::new(DIR).join(name);
    let sizes = names(&disk, "").iter().map(|n| disk.open(&path(n)).unwrap().len().unwrap()).sum();
    disk.set_capacity(Some(sizes));
    let mut next = 1_000;
    while store.check_and_insert(&ids(next..next + 1_000)).is_ok() {
        next += 1_000;
    }
    clock.advance(100 * HOUR);
    store.compact().unwrap();
    let verdicts = store.check_and_insert(&ids(next..next + 1_000)).unwrap();
    assert!(verdicts.iter().all(Verdict::is_new));
}

/// Each replayed table took as few ids as new ones were to take, and as much memory as any.
#[test]
fn replaying_for_smaller_tables_takes_no_more_memory() {
    let disk = MemoryDisk::new();
    let store = builder(&disk).open(DIR).unwrap();
    for from in (0..100_000).step_by(100) {
        store.check_and_insert(&ids(from..from + 100)).unwrap();
    }
    store.close().unwrap();
    let store = builder(&disk).memory_budget(16 << 20).active_ids(1_000).open(DIR).unwrap();
    let stats = store.stats();
    assert!(stats.table_memory < 16 << 20, "{stats:?}");
}

/// Nothing behind the damage said that it had been durable, so it was taken for a torn tail.
#[test]
fn rot_in_the_log_of_a_closed_store_is_an_error() {
    let disk = MemoryDisk::new();
    let store = builder(&disk).open(DIR).unwrap();
    for from in (0..10_000).step_by(1_000) {
        store.check_and_insert(&ids(from..from + 1_000)).unwrap();
    }
    store.close().unwrap();
    let log = Path::new(DIR).join(&names(&disk, ".log")[0]);
    disk.open_write(&log).unwrap().write_at(&[0x55; 8], 90_000).unwrap();
    let refused = builder(&disk).open(DIR).unwrap_err();
    assert!(matches!(refused, Error::Corrupt(_)), "{refused}");
}

/// A table that had expired under a shorter window was dropped, and a longer one claimed to reach back
/// over it.
#[test]
fn what_was_dropped_under_a_shorter_window_is_told() {
    let (disk, clock) = (MemoryDisk::new(), ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let open = |window| {
        let builder = builder(&disk).clock(Arc::new(clock.clone())).window(window);
        builder.open(DIR).unwrap()
    };
    let store = open(8 * HOUR);
    store.check_and_insert(&ids(0..100)).unwrap();
    store.close().unwrap();
    clock.advance(3 * HOUR);
    let store = open(2 * HOUR);
    store.compact().unwrap();
    assert_eq!(store.effective_window(), 2 * HOUR);
    store.close().unwrap();
    let store = open(24 * HOUR);
    assert_eq!(store.contains(&ids(0..1)).unwrap(), [false]);
    assert!(store.effective_window() < 3 * HOUR, "{:?}", store.effective_window());
}

/// A write that stopped inside a segment's header, with the disk dead from then on, left a store that did not
/// open: the header was taken for damaged.
#[test]
fn a_header_that_was_cut_short_is_none() {
    let run = |failing: u64| {
        let disk = MemoryDisk::new();
        let store = builder(&disk).open(DIR).unwrap();
        disk.set_write_limit(Some(100));
        disk.fail_from(disk.ops() + failing, ErrorKind::Other);
        let done = store.check_and_insert(&ids(0..3));
        let left = builder(&disk.kill()).open(DIR).unwrap();
        let known = left.contains(&ids(0..3)).unwrap();
        assert!(done.is_err() || known == [true; 3], "{known:?} after {done:?}");
        done.is_ok()
    };
    let needed = (0..100).find(|&failing| run(failing)).expect("it is done at some time");
    assert!(needed > 3, "{needed}");
}

/// The end of a segment of an earlier opening was vouched for by nothing once another had followed it, and taken
/// for a torn tail.
#[test]
fn rot_in_a_segment_of_an_earlier_opening_is_an_error() {
    let disk = MemoryDisk::new();
    for from in [0, 1_000, 2_000] {
        let store = builder(&disk).open(DIR).unwrap();
        store.check_and_insert(&ids(from..from + 500)).unwrap();
        store.close().unwrap();
    }
    for name in names(&disk, ".log") {
        let disk = disk.kill();
        let log = disk.open_write(&Path::new(DIR).join(&name)).unwrap();
        let len = log.len().unwrap();
        log.write_at(&[0; 600], len - 600).unwrap();
        let refused = builder(&disk).open(DIR).unwrap_err();
        assert!(matches!(refused, Error::Corrupt(_)), "{name}: {refused}");
    }
}

/// A sync failed, and so did taking back what it should have made durable. The next process found that in the
/// system's cache, synced with success what the system no longer took for changed, and told of duplicates that a
/// power cut undid.
#[test]
fn what_an_opening_finds_after_a_failed_sync_becomes_durable() {
    let disk = MemoryDisk::new();
    let open = |disk: &MemoryDisk| builder(disk).durability(Durability::Sync).open(DIR).unwrap();
    let store = open(&disk);
    store.check_and_insert(&ids(0..3)).unwrap();
    let sync = disk.ops() + 1;
    (sync..sync + 6).for_each(|operation| disk.fail_at(operation, ErrorKind::Other));
    assert!(store.check_and_insert(&ids(3..6)).is_err());
    let disk = disk.kill();
    let found = open(&disk).contains(&ids(0..6)).unwrap();
    assert_eq!(found, [true; 6], "the cut was to fail");
    assert_eq!(open(&disk.crash()).contains(&ids(0..6)).unwrap(), found);
}

/// The folder's sync after a new manifest failed, so it was not known which one a reopen would find; yet the next
/// attempt to seal removed the run that the new one lists, to write it again.
#[test]
fn nothing_is_removed_while_it_is_unknown_which_manifest_counts() {
    let open = |disk: &MemoryDisk| builder(disk).durability(Durability::Sync).open(DIR).unwrap();
    let run = |failing: u64, count: u64| {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        store.check_and_insert(&ids(0..50)).unwrap();
        let before = disk.ops();
        (0..count).for_each(|n| disk.fail_at(before + failing + n, ErrorKind::StorageFull));
        let _ = (store.seal(), store.seal());
        let left = open(&disk.kill());
        assert_eq!(left.contains(&ids(0..50)).unwrap(), [true; 50], "{failing}, {count}");
        disk.ops() - before
    };
    for failing in 0..run(u64::MAX / 2, 0) {
        for count in 1..4 {
            run(failing, count);
        }
    }
}

/// A table that waited to be sealed had the last segment with ids; the one behind it was empty and went at the
/// close, and with it whatever vouched for that segment's end.
#[test]
fn rot_in_the_segment_of_a_table_that_was_not_sealed_is_an_error() {
    let disk = MemoryDisk::new();
    let open = |disk: &MemoryDisk| builder(disk).active_ids(100).open(DIR);
    let store = open(&disk).unwrap();
    store.check_and_insert(&ids(0..100)).unwrap();
    // Of these none is new, but there had to be room for them.
    store.check_and_insert(&ids(0..50)).unwrap();
    store.close().unwrap();
    assert_eq!(names(&disk, ".log").len(), 1);
    let log = Path::new(DIR).join(&names(&disk, ".log")[0]);
    disk.open_write(&log).unwrap().write_at(&[0x55; 8], 500).unwrap();
    let refused = open(&disk).unwrap_err();
    assert!(matches!(refused, Error::Corrupt(_)), "{refused}");
}

/// Only the first segment that did not follow was asked whether it had been durable; those behind it, which said
/// so, were removed unread.
#[test]
fn rot_before_a_segment_that_says_nothing_is_an_error() {
    let (disk, clock) = (MemoryDisk::new(), ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let open =
        |disk: &MemoryDisk| builder(disk).clock(Arc::new(clock.clone())).window(HOUR).open(DIR);
    let store = open(&disk).unwrap();
    let put = |from: u64| drop(store.check_and_insert(&ids(from..from + 10)).unwrap());
    put(0);
    put(10);
    clock.advance(HOUR / 4); // The next generation: a segment of its own.
    put(20);
    put(30);
    store.sync().unwrap();
    clock.advance(HOUR / 4);
    for from in [40, 50, 60] {
        put(from);
        store.sync().unwrap();
    }
    let disk = disk.crash();
    let first = Path::new(DIR).join(&names(&disk, ".log")[0]);
    disk.open_write(&first).unwrap().write_at(&[0x55; 8], 128 + 200 + 60).unwrap();
    let refused = open(&disk).unwrap_err();
    assert!(matches!(refused, Error::Corrupt(_)), "{refused}");
}

/// A segment that only had a header, between others, was taken for one that was never begun.
#[test]
fn rot_in_the_header_of_an_empty_segment_is_an_error() {
    let (disk, clock) = (MemoryDisk::new(), ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let open = |disk: &MemoryDisk| {
        let builder = builder(disk).durability(Durability::Sync).window(HOUR);
        builder.clock(Arc::new(clock.clone())).open(DIR)
    };
    let store = open(&disk).unwrap();
    store.check_and_insert(&ids(0..10)).unwrap();
    clock.advance(HOUR / 4);
    // It lets nothing in, but there had to be room for it.
    store.check_and_insert(&ids(0..10)).unwrap();
    clock.advance(HOUR / 4);
    store.check_and_insert(&ids(20..30)).unwrap();
    let disk = disk.crash();
    for name in names(&disk, ".log") {
        let disk = disk.crash();
        let file = disk.open_write(&Path::new(DIR).join(&name)).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, 125).unwrap();
        file.write_at(&[byte[0] ^ 1], 125).unwrap();
        let refused = open(&disk).unwrap_err();
        assert!(matches!(refused, Error::Corrupt(_)), "{name}: {refused}");
    }
}

/// After an opening with the clock behind, store time stood still, and what came meanwhile was forgotten early
/// once the clock was right again.
#[test]
fn an_id_lives_for_a_window_though_the_clock_was_behind_at_the_opening() {
    let (disk, clock) = (MemoryDisk::new(), ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let start = clock.clone();
    let open = || builder(&disk).clock(Arc::new(clock.clone())).window(HOUR).open(DIR).unwrap();
    let store = open();
    store.check_and_insert(&["a"]).unwrap();
    store.close().unwrap();
    start.jump_back(2 * HOUR); // The machine starts without its clock.
    let store = open();
    clock.advance(5 * HOUR / 6);
    assert!(store.check_and_insert(&["b"]).unwrap()[0].is_new());
    store.close().unwrap();
    clock.jump_ahead(2 * HOUR); // It is set right.
    let store = open();
    clock.advance(HOUR / 4);
    assert!(store.check_and_insert(&["b"]).unwrap()[0].is_duplicate());
}

/// An idle store whose generation had ended made a segment, sealed nothing and wrote a manifest, slice after slice.
#[test]
fn an_idle_store_is_idle() {
    let (disk, clock) = (MemoryDisk::new(), ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let store = builder(&disk).clock(Arc::new(clock.clone())).window(HOUR).open(DIR).unwrap();
    store.check_and_insert(&ids(0..10)).unwrap();
    let mut before = 0;
    for hour in 0..6 {
        clock.advance(HOUR);
        store.compact().unwrap();
        assert!(hour < 3 || disk.ops() == before, "hour {hour}: {}", disk.ops() - before);
        before = disk.ops();
    }
}

/// The next segment's name could not be made durable, nor taken back. The close then removed the empty one before
/// it, which the next opening missed.
#[test]
fn a_segment_that_could_not_be_made_is_in_nobodys_way() {
    let run = |failing: u64| {
        let (disk, start) = (MemoryDisk::new(), Timestamp::from_secs(1_700_000_000));
        let clock = ManualClock::new(start);
        let open = || builder(&disk).clock(Arc::new(clock.clone())).window(HOUR).open(DIR);
        let store = open().unwrap();
        store.check_and_insert(&ids(0..10)).unwrap();
        store.compact().unwrap();
        clock.advance(2 * HOUR);
        store.compact().unwrap();
        let before = disk.ops();
        (0..4).for_each(|n| disk.fail_at(before + failing + n, ErrorKind::Other));
        let _ = store.check_and_insert(&ids(10..20));
        disk.heal();
        drop(store);
        let known = open().unwrap().contains(&ids(0..10)).unwrap();
        assert_eq!(known, [false; 10]);
        disk.ops() - before
    };
    for failing in 0..run(u64::MAX / 2) {
        run(failing);
    }
}
