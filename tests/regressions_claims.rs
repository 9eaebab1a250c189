//! Defects of claims and of progress, each as the few calls that show it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{Builder, Claim, Clock, Store, Timestamp, Verdict};

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

thread_local! {
    /// A claim, and at which reading of the clock by this thread it is committed.
    static DUE: RefCell<Option<(u32, Claim)>> = const { RefCell::new(None) };
}

/// A clock whose readings are the moments at which something happens elsewhere.
#[derive(Debug)]
struct Meanwhile(ManualClock);

impl Clock for Meanwhile {
    fn wall(&self) -> Timestamp {
        self.0.wall()
    }

    fn monotonic(&self) -> Duration {
        let due = DUE.with_borrow_mut(|due| match due.take() {
            Some((0, claim)) => Some(claim),
            Some((readings, claim)) => {
                *due = Some((readings - 1, claim));
                None
            }
            None => None,
        });
        if let Some(claim) = due {
            std::thread::spawn(move || claim.commit().unwrap()).join().unwrap();
        }
        self.0.monotonic()
    }
}

/// An id that is committed while somebody looks is in flight or a duplicate, at no moment anything else. The table was
/// asked before the claims, and it went from these to that in between.
#[test]
fn a_look_that_meets_a_commit_does_not_say_new() {
    let world = World::new();
    let clock = Arc::new(Meanwhile(world.clock.clone()));
    let store = world.builder().clock(clock).open(DIR).unwrap();
    let mut met = 0;
    for readings in 0..8 {
        for wait in [false, true] {
            let id = format!("{readings} {wait}");
            let claim = store.begin(&[&id]).unwrap();
            DUE.set(Some((readings, claim)));
            let verdict = match wait {
                true => store.wait(&id, Duration::ZERO).unwrap(),
                false => {
                    let mut verdicts = Vec::new();
                    store.check(&[&id], &mut verdicts).unwrap();
                    verdicts[0]
                }
            };
            met += u32::from(DUE.take().is_none());
            assert_ne!(verdict, Verdict::New, "{id}");
        }
    }
    assert!(met >= 2, "some were committed meanwhile: {met}");
}
