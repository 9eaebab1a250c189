//! Defects of claims and of progress, each as the few calls that show it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{Builder, Store, Timestamp};

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

fn at(positions: &[u64]) -> Vec<(u64, Vec<u8>)> {
    positions.iter().map(|&position| (position, position.to_le_bytes().to_vec())).collect()
}

/// Workers that share a source by key have batches that interleave.
#[test]
fn progress_does_not_pass_a_record_between_those_of_a_retry() {
    let store = World::new().open();
    let even = store.begin_from("s", &at(&[0, 2])).unwrap();
    let odd = store.begin_from("s", &at(&[1, 3])).unwrap();
    even.abort();
    odd.abort();
    store.begin_from("s", &at(&[0, 2])).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(1));
    store.begin_from("s", &at(&[1, 3])).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(4));
}

/// Whoever hangs loses its lease, and with it its hold on the progress.
#[test]
fn progress_goes_on_when_others_take_over_after_a_lease() {
    let world = World::new();
    let store = world.builder().lease(SECOND).open(DIR).unwrap();
    let hangs = store.begin_from("s", &at(&[0, 1])).unwrap();
    world.clock.advance(SECOND);
    store.begin_from("s", &at(&[0, 1])).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(2));
    assert!(hangs.commit().is_err());
    store.begin_from("s", &at(&[2])).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(3));
}

/// What was presented before a source was rewound must not carry the progress over what is to be read
/// again.
#[test]
fn a_rewound_source_stays_so_whatever_was_under_way() {
    let store = World::new().open();
    store.begin_from("s", &at(&[0, 1, 2])).unwrap().commit().unwrap();
    let under_way = store.begin_from("s", &at(&[3])).unwrap();
    let mut tx = store.begin::<&str>(&[]).unwrap();
    tx.rewind_progress("s", 1);
    tx.commit().unwrap();
    under_way.commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(1));
    store.begin_from("s", &at(&[1, 2, 3, 4])).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(5));
}

/// An id that is slow to tell its bytes: meanwhile another claims it.
struct Slow<'a> {
    store: &'a Store,
    overtaker: RefCell<Option<u64>>,
}

impl AsRef<[u8]> for Slow<'_> {
    fn as_ref(&self) -> &[u8] {
        let mut overtaker = self.overtaker.borrow_mut();
        if overtaker.is_none() {
            *overtaker = Some(self.store.begin(&["a"]).unwrap().token());
        }
        b"a"
    }
}

#[test]
fn a_later_claim_has_a_higher_token_though_it_was_begun_before() {
    let store = World::new().open();
    let slow = [Slow { store: &store, overtaker: RefCell::default() }];
    let later = store.begin(&slow).unwrap();
    assert!(later.verdicts()[0].is_new());
    let earlier = slow[0].overtaker.borrow().unwrap();
    assert!(later.token() > earlier, "{} after {earlier}", later.token());
}
