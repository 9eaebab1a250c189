//! Defects of transactions that the model found, each as the few calls that show it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk, Storage};
use firstseen::{
    Builder, Error, LeaseEnd, Refusal, Resolution, Store, TimeSource, Timestamp, Verdict,
};

const DIR: &str = "/s";
const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

struct World {
    disk: MemoryDisk,
    clock: ManualClock,
}

impl World {
    fn new() -> World {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        World { disk: MemoryDisk::new(), clock }
    }

    fn builder(&self) -> Builder {
        Store::builder()
            .window(8 * HOUR)
            .memory_budget(16 << 20)
            .active_ids(1_000)
            .background(false)
            .storage(Arc::new(self.disk.clone()))
            .clock(Arc::new(self.clock.clone()))
    }

    fn open(&self) -> Store {
        self.builder().open(DIR).unwrap()
    }
}

fn records(from: u64, to: u64) -> Vec<(u64, Vec<u8>)> {
    (from..to).map(|position| (position, position.to_le_bytes().to_vec())).collect()
}

/// What was prepared can still be given up, so nothing may be committed beyond it.
#[test]
fn progress_does_not_pass_what_is_only_prepared() {
    let store = World::new().open();
    let first = store.begin_from("s", &records(0, 10)).unwrap();
    let second = store.begin_from("s", &records(10, 20)).unwrap();
    let prepared = second.prepare("t").unwrap();
    first.commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(10));
    prepared.abort().unwrap();
    store.begin_from("s", &records(20, 30)).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(10));
    store.begin_from("s", &records(10, 20)).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(30));
}

#[test]
fn a_retry_in_smaller_batches_does_not_pass_the_rest() {
    let store = World::new().open();
    let first = store.begin_from("s", &records(0, 10)).unwrap();
    let second = store.begin_from("s", &records(10, 20)).unwrap();
    first.abort();
    second.commit().unwrap();
    store.begin_from("s", &records(0, 3)).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(3));
    store.begin_from("s", &records(3, 10)).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(20));
}

/// Whoever meets records in flight commits the others; once what was in flight is committed with its
/// progress, the source goes on.
#[test]
fn what_the_progress_has_passed_does_not_hold_it_up() {
    let store = World::new().open();
    let prepared = store.begin_from("s", &records(0, 10)).unwrap().prepare("t").unwrap();
    store.begin_from("s", &records(0, 10)).unwrap().commit().unwrap();
    prepared.commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(10));
    store.begin_from("s", &records(0, 20)).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(20));
}

/// A record that was done with may come anew: here its id came with another payload than that of a
/// claim which was then dropped. Whoever works on it holds the progress, also that of a transaction
/// that was prepared before.
#[test]
fn what_is_prepared_does_not_pass_what_came_anew_since() {
    let store = World::new().open();
    let first = store.begin_from("s", &records(0, 10)).unwrap();
    let id = 10_u64.to_le_bytes();
    let other = store.claim().payloads(&["a"]).begin(&[id]).unwrap();
    let differs = store.claim().payloads(&["b"]).begin_from("s", &[(10, id)]).unwrap();
    assert!(matches!(differs.verdicts()[0], Verdict::Mismatch { .. }));
    differs.commit().unwrap();
    other.abort();
    let prepared = first.prepare("t").unwrap();
    let anew = store.begin_from("s", &records(0, 11)).unwrap();
    assert_eq!(anew.fresh().collect::<Vec<_>>(), [10]);
    prepared.commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), None);
    anew.abort();
    let again = store.begin_from("s", &records(0, 11)).unwrap();
    assert_eq!(again.fresh().collect::<Vec<_>>(), [10], "not a replay");
    again.commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(11));
}

/// Nothing is unknown where the next gets what an ended lease leaves.
#[test]
fn only_what_is_held_back_is_resolved() {
    let world = World::new();
    let store = world.builder().lease(SECOND).open(DIR).unwrap();
    let late = store.begin(&["a"]).unwrap();
    world.clock.advance(SECOND);
    assert_eq!(store.resolve(&["a"], Resolution::Done).unwrap(), 0);
    assert!(store.check_and_insert(&["a"]).unwrap()[0].is_new());
    drop(late);
}

/// That a lease has ended does not hang on whether somebody has met it before its owner gives up.
#[test]
fn who_gives_up_after_its_lease_frees_nothing_that_is_held_back() {
    let world = World::new();
    let store = world.builder().lease(SECOND).lease_end(LeaseEnd::Block).open(DIR).unwrap();
    let mut late = store.begin(&["a", "b"]).unwrap();
    let token = late.token();
    world.clock.advance(SECOND);
    late.release(0);
    drop(late);
    let unknown = Verdict::Unknown { token };
    assert_eq!(store.check_and_insert(&["a", "b"]).unwrap(), [unknown, unknown]);
}

/// The table may have begun at the time of a commit that brought nothing after all.
#[test]
fn a_commit_that_is_refused_moves_store_time_for_good() {
    for refused in [false, true] {
        let world = World::new();
        let open = || world.builder().time(TimeSource::Event).open(DIR).unwrap();
        let store = open();
        let at = Timestamp::from_secs(1_600_000_000);
        store.check_and_insert_at(&["a"], at).unwrap();
        let later = at + HOUR * 3;
        let mut tx = store.claim().at(later).begin(&["a"]).unwrap();
        if refused {
            tx.rewind_progress("s", 5);
            tx.set_progress("s", 4);
        }
        let done = tx.commit();
        assert_eq!(done.is_err(), refused, "{done:?}");
        assert_eq!(store.stats().now, later);
        store.check_and_insert(&["b"]).unwrap();
        let seen = store.check_and_insert(&["b"]).unwrap()[0];
        assert!(matches!(seen, Verdict::Duplicate { first_seen } if first_seen <= later));
        store.close().unwrap();
        assert_eq!(open().stats().now, later);
    }
}

#[test]
fn a_seal_makes_commits_without_ids_durable() {
    let world = World::new();
    let store = world.open();
    let mut tx = store.begin::<&str>(&[]).unwrap();
    tx.put_state("k", "v");
    tx.commit().unwrap();
    store.seal().unwrap();
    let world = World { disk: world.disk.crash(), ..world };
    assert_eq!(world.open().state("k").unwrap(), Some(b"v".to_vec()));
}

/// The set of forgotten ids lets it in, so a table that the log is replayed into would have the
/// outcome and no id.
#[test]
fn an_outcome_outlives_a_table_that_has_no_other_ids() {
    let world = World::new();
    let store = world.open();
    let commit = |outcome: &str| {
        let mut tx = store.begin(&["a"]).unwrap();
        tx.set_outcome(0, outcome);
        tx.commit().unwrap();
    };
    commit("first");
    store.forget(&["a"]).unwrap();
    world.clock.advance(2 * HOUR);
    commit("second");
    drop(store);
    let store = world.open();
    world.clock.advance(2 * HOUR);
    store.check_and_insert(&["b"]).unwrap();
    store.compact().unwrap();
    assert_eq!(store.outcome("a").unwrap().as_deref(), Some(&b"second"[..]));
}

#[test]
fn the_outcome_of_an_expired_sighting_does_not_come_back_with_its_id() {
    let world = World::new();
    let store = world.open();
    store.check_and_insert(&["a"]).unwrap();
    world.clock.advance(SECOND);
    store.forget(&["a"]).unwrap();
    let mut tx = store.claim().payloads(&["one"]).begin(&["a"]).unwrap();
    tx.set_outcome(0, "first");
    tx.commit().unwrap();
    world.clock.advance(8 * HOUR + SECOND);
    assert!(store.check_and_insert(&["a"]).unwrap()[0].is_new());
    assert_eq!(store.outcome("a").unwrap(), None);
    let again = store.claim().payloads(&["two"]).begin(&["a"]).unwrap();
    assert!(again.verdicts()[0].is_duplicate());
}

/// A prepared transaction holds its source; others that would move it are told so.
#[test]
fn progress_of_what_is_prepared_is_locked() {
    let store = World::new().open();
    let prepared = store.begin_from("s", &records(0, 10)).unwrap().prepare("t").unwrap();
    let mut tx = store.begin::<&str>(&[]).unwrap();
    tx.set_progress("s", 50);
    let error = tx.commit().unwrap_err();
    assert!(matches!(error, firstseen::Error::Refused(Refusal::SourceLocked { .. })), "{error}");
    prepared.commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(10));
}

/// The log goes when it is sealed, and before that the state has to be written.
#[test]
fn a_disk_that_the_log_has_filled_is_emptied_though_there_is_state() {
    let world = World::new();
    let store = world.open();
    for round in 0..12_u8 {
        let mut tx = store.begin(&[[round]]).unwrap();
        tx.put_state([round % 4], vec![round; 1 << 20]);
        tx.commit().unwrap();
    }
    let names = world.disk.list(Path::new(DIR)).unwrap();
    let len = |name: &String| world.disk.open(&Path::new(DIR).join(name)).unwrap().len().unwrap();
    world.disk.set_capacity(Some(names.iter().map(len).sum::<u64>() + (8 << 10)));
    let full = (0..100_u8).find_map(|round| {
        let mut tx = store.begin(&[[round, 0]]).unwrap();
        tx.put_state([round % 4], vec![round; 1 << 20]);
        tx.commit().err()
    });
    assert!(matches!(full, Some(Error::DiskFull { .. })), "{full:?}");
    world.clock.advance(17 * HOUR);
    store.compact().unwrap();
    assert!(store.check_and_insert(&["new"]).unwrap()[0].is_new());
    assert_eq!(store.scan_state("").unwrap().len(), 4);
}

/// It goes into logs, where other people's data has no place; and it was as long as the state.
#[test]
fn a_store_that_is_printed_shows_nothing_that_it_keeps() {
    let store = World::new().open();
    let mut tx = store.begin(&["id"]).unwrap();
    tx.put_state("key", vec![201; 1_000]);
    tx.set_outcome(0, vec![202; 1_000]);
    tx.commit().unwrap();
    let mut tx = store.begin(&[[203; 40]]).unwrap();
    tx.put_state("prepared", vec![204; 1_000]);
    let _ = tx.prepare("token").unwrap();
    let shown = format!("{store:?}");
    assert!(shown.contains(DIR) && shown.len() < 300, "{shown}");
    for byte in 201..=204 {
        assert!(!shown.contains(&format!("{byte}, {byte}")), "{shown}");
    }
}
