//! The traps of `ARCHITECTURE.md`, by number, as far as no test of another theme stands before them. Each
//! test here goes red when its guard is left out, which a build with `--cfg planted` can show.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use firstseen::testing::{ManualClock, MemoryDisk, Storage};
use firstseen::{Builder, Clock, Durability, Error, Store, TimeSource, Timestamp, Verdict};

mod support;

use support::disk::{Before, DIR, HookedDisk, files, flip, overwrite, read};
use support::ids;

/// Of a test in which threads race.
const THREADS: usize = 3;
/// Long enough for a call that should wait to come back if it does not.
const PATIENCE: Duration = Duration::from_millis(300);
/// Longer than anything takes.
const AT_MOST: Duration = Duration::from_secs(60);
const WINDOW: Duration = Duration::from_secs(80);
/// Bytes before the first frame of a segment.
const SEGMENT_HEADER: usize = 128;
/// Bytes before the payload of a frame.
const FRAME_HEADER: usize = 40;

fn builder(storage: impl Storage) -> Builder {
    Store::builder().storage(Arc::new(storage)).memory_budget(32 << 20).background(false)
}

fn open(storage: impl Storage, durability: Durability) -> Store {
    builder(storage).durability(durability).open(DIR).unwrap()
}

fn range(from: u64, to: u64) -> Vec<Vec<u8>> {
    ids(&(from..to).collect::<Vec<_>>())
}

fn knows_all(store: &Store, from: u64, to: u64) -> bool {
    store.contains(&range(from, to)).unwrap().into_iter().all(|known| known)
}

/// The next operation of a kind, held up until it is let go, by being dropped at the latest.
struct Held {
    reached: Receiver<()>,
    _go: Sender<()>,
}

impl Held {
    fn next(disk: &HookedDisk, before: Before) -> Held {
        let (say, reached) = channel();
        let (go, wait) = channel::<()>();
        disk.once(before, move || {
            // Nobody listens any more where the test has failed.
            let _ = say.send(());
            let _ = wait.recv();
        });
        Held { reached, _go: go }
    }

    /// Waits until somebody is held up.
    fn reached(&self) {
        self.reached.recv_timeout(AT_MOST).unwrap();
    }
}

/// The first insertion is written and waits for its sync. Whoever is told meanwhile that the id is a
/// duplicate may see the machine die at once.
#[test]
fn trap_1_a_duplicate_waits_until_the_first_is_durable() {
    let disk = MemoryDisk::new();
    let hooked = HookedDisk::new(&disk);
    let store = open(hooked.clone(), Durability::Sync);
    store.check_and_insert(&["a"]).unwrap();
    thread::scope(|scope| {
        let sync = Held::next(&hooked, Before::Sync);
        let first = scope.spawn(|| store.check_and_insert(&["x"]).unwrap());
        sync.reached();
        let second = scope.spawn(|| (store.check_and_insert(&["x"]).unwrap(), disk.crash()));
        thread::sleep(PATIENCE);
        drop(sync);
        assert!(first.join().unwrap()[0].is_new());
        let (verdicts, left) = second.join().unwrap();
        assert!(verdicts[0].is_duplicate());
        assert_eq!(open(left, Durability::Sync).contains(&["x"]).unwrap(), [true]);
    });
}

/// A large batch takes a while to go into the table. Its first id is found there long before the
/// frame is staged, so the end of the log at that time is not what to wait for.
#[test]
fn trap_1_a_duplicate_waits_for_a_winner_that_has_not_staged() {
    for _ in 0..8 {
        let disk = MemoryDisk::new();
        let store = open(disk.clone(), Durability::Sync);
        store.check_and_insert(&["a"]).unwrap();
        let batch = range(0, 1 << 16);
        thread::scope(|scope| {
            scope.spawn(|| store.check_and_insert(&batch).unwrap());
            while !store.contains(&batch[..1]).unwrap()[0] {}
            let left = open(disk.crash(), Durability::Sync);
            assert_eq!(left.contains(&batch[..1]).unwrap(), [true]);
        });
    }
}

/// Several threads present the same ids at once: of each id one of them wins.
fn race(store: &Store, batch: &[Vec<u8>]) {
    let start = Barrier::new(THREADS);
    let verdicts: Vec<Vec<Verdict>> = thread::scope(|scope| {
        let run = || {
            start.wait();
            store.check_and_insert(batch).unwrap()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for i in 0..batch.len() {
        let winners = verdicts.iter().filter(|verdicts| verdicts[i].is_new()).count();
        assert_eq!(winners, 1, "of id {i} of the batch");
    }
}

/// Whoever is behind is faster, since it finds what it would write: so all soon contend for the very
/// same slots.
#[test]
fn trap_2_one_swap_decides() {
    for round in 0..12 {
        let store = builder(MemoryDisk::new()).open(DIR).unwrap();
        race(&store, &range(round << 16, (round + 1) << 16));
    }
}

/// A table takes one of these batches, so each call that comes second rotates.
#[test]
fn trap_4_rotation_waits_for_whoever_has_looked() {
    let store = builder(MemoryDisk::new()).background(true).active_ids(100).open(DIR).unwrap();
    for round in 0..1_500 {
        race(&store, &range(round * 100, round * 100 + 100));
    }
}

/// While a table is sealed there is no moment at which its ids are found in no place.
#[test]
fn trap_5_a_table_is_behind_the_filter_only_once_the_filter_has_it() {
    for _ in 0..5 {
        let store = builder(MemoryDisk::new()).active_ids(100_000).open(DIR).unwrap();
        let all = range(0, 60_000);
        store.check_and_insert(&all).unwrap();
        let sealed = AtomicBool::new(false);
        thread::scope(|scope| {
            let looking = scope.spawn(|| {
                while !sealed.load(Relaxed) {
                    for batch in all.chunks(1_000) {
                        let known = store.contains(batch).unwrap();
                        assert!(known.into_iter().all(|known| known), "an id is nowhere");
                    }
                }
            });
            store.seal().unwrap();
            sealed.store(true, Relaxed);
            looking.join().unwrap();
        });
    }
}

/// A filter that grows is built in steps of half a million ids; what is sealed between two of them has
/// its bits in both.
#[test]
fn trap_5_what_is_sealed_while_the_filter_grows_is_in_it() {
    const IDS: u64 = 720_000;
    let store = builder(MemoryDisk::new()).background(true).active_ids(10_000);
    let store = store.expected_ids(540_000).open(DIR).unwrap();
    for from in (0..IDS).step_by(2_000) {
        store.check_and_insert(&range(from, from + 2_000)).unwrap();
    }
    store.compact().unwrap();
    for from in (0..IDS).step_by(20_000) {
        assert!(knows_all(&store, from, from + 20_000), "of {from}..");
    }
}

/// The filters in front of the runs and those in them make different mistakes; and both are asked.
#[test]
fn trap_7_and_21_nearly_no_new_id_costs_a_page() {
    let store = builder(MemoryDisk::new()).active_ids(25_000).open(DIR).unwrap();
    for from in (0..100_000).step_by(5_000) {
        store.check_and_insert(&range(from, from + 5_000)).unwrap();
    }
    store.compact().unwrap();
    let before = store.stats();
    let looks = 300_000;
    for from in (1 << 40..(1 << 40) + looks).step_by(20_000) {
        assert!(store.contains(&range(from, from + 20_000)).unwrap().iter().all(|known| !known));
    }
    let after = store.stats();
    let maybe = after.filter_false_positives - before.filter_false_positives;
    let pages = after.page_reads - before.page_reads;
    assert_eq!(after.filter_negatives - before.filter_negatives, looks - maybe);
    assert!(maybe < looks / 100, "{maybe} filter hits of {looks}");
    assert!(pages < maybe / 10 + 10, "{pages} pages for {maybe} filter hits");
}

/// Who stages while another writes is not acknowledged with that one.
#[test]
fn trap_8_only_what_is_written_is_acknowledged() {
    let disk = MemoryDisk::new();
    let hooked = HookedDisk::new(&disk);
    let store = open(hooked.clone(), Durability::Buffered);
    store.check_and_insert(&["a"]).unwrap();
    thread::scope(|scope| {
        let write = Held::next(&hooked, Before::Write);
        let first = scope.spawn(|| store.check_and_insert(&["x"]).unwrap());
        write.reached();
        let second = scope.spawn(|| (store.check_and_insert(&["y"]).unwrap(), disk.kill()));
        thread::sleep(PATIENCE);
        drop(write);
        assert!(first.join().unwrap()[0].is_new());
        let (verdicts, left) = second.join().unwrap();
        assert!(verdicts[0].is_new());
        assert_eq!(open(left, Durability::Buffered).contains(&["y"]).unwrap(), [true]);
    });
}

/// A system may take less of a write than it was given.
#[test]
fn trap_8_what_a_short_write_left_is_written() {
    let disk = MemoryDisk::new();
    disk.set_write_limit(Some(100));
    let store = builder(disk.clone()).active_ids(500).open(DIR).unwrap();
    for from in (0..2_000).step_by(100) {
        store.check_and_insert(&range(from, from + 100)).unwrap();
    }
    assert!(store.stats().sealed > 0);
    assert!(knows_all(&open(disk.kill(), Durability::Buffered), 0, 2_000));
}

/// Three tables of five calls, each table with a segment of its own, none synced.
fn three_segments() -> (MemoryDisk, Store) {
    let disk = MemoryDisk::new();
    let store = builder(disk.clone()).active_ids(50).open(DIR).unwrap();
    for from in (0..150).step_by(10) {
        store.check_and_insert(&range(from, from + 10)).unwrap();
    }
    assert_eq!(files(&disk, ".log").len(), 3);
    (disk, store)
}

#[test]
fn trap_8_a_sync_is_of_all_segments() {
    let (disk, store) = three_segments();
    store.sync().unwrap();
    assert!(knows_all(&open(disk.crash(), Durability::Buffered), 0, 150));
}

/// What a power cut leaves is a prefix of what was let in: never a later call without an earlier one.
#[test]
fn trap_8_what_is_left_has_no_hole() {
    let (disk, _store) = three_segments();
    for seed in 0..64 {
        let left = open(disk.crash_with(seed), Durability::Buffered);
        let known = left.contains(&range(0, 150)).unwrap();
        assert!(known.is_sorted_by(|before, after| before >= after), "seed {seed}: {known:?}");
    }
}

/// A block that the file system gives to the log may hold a frame that stood elsewhere. At its new
/// place it says nothing.
#[test]
fn trap_9_a_stale_frame_is_not_replayed() {
    // Without a zero byte, so that the end of what was written can be seen.
    const EARLIER: u64 = 0x0505_0505_0505_0505;
    const LATER: u64 = 0x0909_0909_0909_0909;
    let disk = MemoryDisk::new();
    let store = open(disk.clone(), Durability::Sync);
    let mut ends = Vec::new();
    for next in [EARLIER, LATER] {
        let mut tx = store.begin::<&str>(&[]).unwrap();
        tx.set_progress("source", next);
        tx.commit().unwrap();
        let bytes = read(&disk, &files(&disk, ".log")[0]);
        ends.push((bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1).next_multiple_of(8));
    }
    let left = disk.crash();
    let log = &files(&left, ".log")[0];
    let mut bytes = read(&left, log);
    bytes.copy_within(SEGMENT_HEADER..ends[0], ends[1]);
    overwrite(&left, log, &bytes);
    let store = open(left, Durability::Sync);
    assert_eq!(store.progress("source").unwrap(), Some(LATER));
    assert!(store.recovery().torn_bytes > 0);
}

/// Nothing follows the last frame that could say that it was durable. The manifest does.
#[test]
fn trap_9_rot_in_the_last_frame_is_no_torn_tail() {
    let disk = MemoryDisk::new();
    let store = open(disk.clone(), Durability::Sync);
    store.check_and_insert(&["x"]).unwrap();
    let disk = disk.crash();
    // An opening that writes a manifest notes in it how much of the log is durable.
    let _store = builder(disk.clone()).window(Duration::from_secs(7_200)).open(DIR).unwrap();
    let disk = disk.crash();
    flip(&disk, &files(&disk, ".log")[0], SEGMENT_HEADER + FRAME_HEADER);
    let refused = builder(disk).open(DIR).unwrap_err();
    assert!(matches!(refused, Error::Corrupt(_)), "{refused}");
}

/// A system may throw the data away with the error, and then call the next sync a success.
#[test]
fn trap_11_a_failed_sync_is_final() {
    let disk = MemoryDisk::new();
    let store = open(disk.clone(), Durability::Sync);
    store.check_and_insert(&["a"]).unwrap();
    // The write, then the sync.
    disk.fail_at(disk.ops() + 1, std::io::ErrorKind::Other);
    store.check_and_insert(&["x"]).unwrap_err();
    store.check_and_insert(&["y"]).unwrap_err();
    store.contains(&["x"]).unwrap_err();
    let left = open(disk.crash(), Durability::Sync);
    assert_eq!(left.contains(&["a", "x", "y"]).unwrap(), [true, false, false]);
}

/// A store under a clock that a test moves, with an id that was just seen.
fn timed(source: TimeSource) -> (ManualClock, Store) {
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let builder = builder(MemoryDisk::new()).clock(Arc::new(clock.clone())).window(WINDOW);
    let store = builder.future_skew(WINDOW / 8).time(source).open(DIR).unwrap();
    assert!(store.check_and_insert_at(&["x"], clock.wall()).unwrap()[0].is_new());
    (clock, store)
}

#[test]
fn trap_14_a_clock_that_runs_back_brings_nothing_back() {
    let (clock, store) = timed(TimeSource::System);
    clock.advance(2 * WINDOW);
    assert_eq!(store.contains(&["x"]).unwrap(), [false]);
    let now = store.stats().now;
    clock.jump_back(2 * WINDOW);
    assert_eq!(store.contains(&["x"]).unwrap(), [false]);
    assert!(store.stats().now >= now);
}

#[test]
fn trap_14_a_clock_that_jumps_ahead_takes_nothing_away() {
    let (clock, store) = timed(TimeSource::System);
    clock.jump_ahead(20 * WINDOW);
    store.compact().unwrap();
    assert!(store.check_and_insert(&["x"]).unwrap()[0].is_duplicate());
}

#[test]
fn trap_14_an_event_from_the_far_future_takes_nothing_away() {
    let (clock, store) = timed(TimeSource::Event);
    let now = clock.wall();
    assert!(store.check_and_insert_at(&["y"], now + 20 * WINDOW).unwrap()[0].is_new());
    store.compact().unwrap();
    assert!(store.check_and_insert_at(&["x"], now).unwrap()[0].is_duplicate());
}

/// What is in the active table too is forgotten, and its log removed, though nobody calls.
#[test]
fn trap_14_an_idle_store_ages() {
    let disk = MemoryDisk::new();
    let store = builder(disk.clone()).background(true).window(Duration::from_millis(400));
    let store = store.open(DIR).unwrap();
    store.check_and_insert(&range(0, 100)).unwrap();
    let first = files(&disk, ".log");
    let started = Instant::now();
    while store.stats().ids > 0 || files(&disk, ".log") == first {
        assert!(started.elapsed() < AT_MOST / 4, "{:?}", store.stats());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whoever knows one store's fingerprints knows nothing of another's, so cannot craft ids for it.
#[test]
fn trap_15_each_store_has_a_key_of_its_own() {
    let fingerprint = || {
        let disk = MemoryDisk::new();
        open(disk.clone(), Durability::Buffered).check_and_insert(&["x"]).unwrap();
        let log = read(&disk, &files(&disk, ".log")[0]);
        log[SEGMENT_HEADER + FRAME_HEADER..][..16].to_vec()
    };
    assert_ne!(fingerprint(), fingerprint());
}

/// A claim and an insertion walk through the same ids at once: of each, one of them has it.
#[test]
fn trap_20_a_claim_and_an_insertion_have_one_arbiter() {
    for round in 0..40 {
        let store = builder(MemoryDisk::new()).open(DIR).unwrap();
        let batch = range(round << 16, (round + 1) << 16);
        let start = Barrier::new(2);
        // From the first claim on, insertions ask who holds an id.
        let _held = store.begin(&["x"]).unwrap();
        let (inserted, claimed) = thread::scope(|scope| {
            let inserting = scope.spawn(|| {
                start.wait();
                store.check_and_insert(&batch).unwrap()
            });
            start.wait();
            let claim = store.begin(&batch).unwrap();
            (inserting.join().unwrap(), claim.verdicts().to_vec())
        });
        for (i, (inserted, claimed)) in inserted.iter().zip(&claimed).enumerate() {
            assert!(inserted.is_new() != claimed.is_new(), "id {i} of round {round}");
        }
    }
}
