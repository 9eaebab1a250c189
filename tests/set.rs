//! Stores that share a memory budget and background threads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use firstseen::testing::{ManualClock, MemoryDisk, Oracle, Storage};
use firstseen::{Builder, Clock, Durability, Error, Store, StoreSet, Timestamp};

mod support;

use support::disk::{Before, DIR, HookedDisk, names, path};
use support::{Rng, id, ids, scale, with_seeds};

const MIB: u64 = 1 << 20;
/// The least share.
const SHARE: u64 = 16 * MIB;
/// More than any condition here takes.
const LONG: Duration = Duration::from_secs(120);

/// One test at a time: they count the threads of the process, and take memory.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set(stores: u64, threads: usize) -> StoreSet {
    StoreSet::builder().memory_budget(stores * SHARE).threads(threads).build().unwrap()
}

fn small(set: &StoreSet) -> Builder {
    Store::builder().set(set).active_ids(500)
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "{what} does not come");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Threads of this process whose names begin so. Linux keeps 15 bytes of a name.
#[cfg(target_os = "linux")]
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end while it is looked at.
    let names = tasks.filter_map(|t| std::fs::read_to_string(t.unwrap().path().join("comm")).ok());
    names.filter(|found| found.trim_end().starts_with(name)).count()
}

/// A store of many, and what it has to know. Whoever has the lock uses it.
struct Slot {
    store: Option<Store>,
    clock: ManualClock,
    oracle: Oracle,
}

impl Slot {
    fn new() -> Slot {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        Slot { store: None, clock, oracle: Oracle::new(Duration::from_secs(60), 8) }
    }

    /// One random thing: a batch, rarely a closing.
    fn go(&mut self, set: &StoreSet, dir: &Path, rng: &mut Rng) {
        let open = || {
            let builder = small(set).window(Duration::from_secs(60)).generations(8);
            builder.clock(Arc::new(self.clock.clone())).open(dir).unwrap()
        };
        let store = self.store.get_or_insert_with(open);
        if rng.one_in(25) {
            return self.store.take().unwrap().close().unwrap();
        }
        self.clock.advance(Duration::from_millis(rng.below(700)));
        let numbers: Vec<u64> = (0..rng.below(200)).map(|_| rng.below(4_000)).collect();
        let now = self.oracle.advance(self.clock.wall());
        let verdicts = store.check_and_insert(&ids(&numbers)).unwrap();
        for (&number, verdict) in numbers.iter().zip(verdicts) {
            self.oracle.judge(number, now, None, true, verdict).unwrap();
        }
    }
}

#[test]
fn a_hundred_stores_are_exact_while_others_come_and_go() {
    let _alone = alone();
    with_seeds(1, |rng| {
        let (set, dir) = (set(100, 2), tempfile::tempdir().unwrap());
        let slots: Vec<Mutex<Slot>> = (0..100).map(|_| Mutex::new(Slot::new())).collect();
        let path = |number: usize| dir.path().join(number.to_string());
        thread::scope(|scope| {
            for _ in 0..6 {
                let mut rng = Rng::new(rng.next());
                let (set, slots, path) = (&set, &slots, &path);
                scope.spawn(move || {
                    for _ in 0..1_000 * scale() {
                        let number = rng.below(100) as usize;
                        slots[number].lock().unwrap().go(set, &path(number), &mut rng);
                    }
                });
            }
        });
        let open: Vec<Slot> = slots.into_iter().map(|slot| slot.into_inner().unwrap()).collect();
        let open: Vec<Store> = open.into_iter().filter_map(|slot| slot.store).collect();
        assert_eq!((set.stores(), set.stats().stores), (open.len(), open.len() as u64));
        let sealed: u64 = open.iter().map(|store| store.stats().sealed).sum();
        assert!(open.len() > 50 && sealed > 100, "{} stores, {sealed} seals", open.len());
        wait_until("memory within the budget", || set.stats().memory <= set.stats().memory_budget);
        assert_eq!(set.stats().threads, 2);
    });
}

/// What the tables and the filter of a store take.
fn memory(store: &Store) -> u64 {
    let stats = store.stats();
    stats.table_memory + stats.filter_memory
}

/// As many as there is room for beside one, on disks of their own.
fn fill_up(set: &StoreSet, stores: u64) -> Vec<Store> {
    let open = |_| small(set).storage(Arc::new(MemoryDisk::new())).open("/other").unwrap();
    (1..stores).map(open).collect()
}

/// Ends the threads that wait for it, also when it is dropped by a test that fails.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn shares_shrink_and_grow_while_ids_come() {
    let _alone = alone();
    let set = set(8, 2);
    let disk = MemoryDisk::new();
    // The filter takes all that it may.
    let builder = Store::builder().set(&set).expected_ids(1 << 26);
    let store = builder.storage(Arc::new(disk)).open("/store").unwrap();
    let (before, stats) = (memory(&store), store.stats());
    assert_eq!(stats.filter_memory, 4 * SHARE);
    assert!(stats.table_memory >= SHARE, "{before}");
    let end = AtomicBool::new(false);
    let known = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut next = 0;
            while !end.load(Relaxed) || next < 300_000 {
                let numbers: Vec<u64> = (next..next + 500).collect();
                let again: Vec<u64> = (0..50).map(|n| n * next / 50).collect();
                let verdicts = store.check_and_insert(&ids(&numbers)).unwrap();
                assert!(verdicts.iter().all(|verdict| verdict.is_new()), "{next}");
                next += 500;
                assert!(store.contains(&ids(&again)).unwrap().into_iter().all(|known| known));
                thread::sleep(Duration::from_micros(200));
            }
            next
        });
        let ended = Ended(&end);
        for _ in 0..2 {
            let others = fill_up(&set, 8);
            wait_until("giving back", || {
                let stats = store.stats();
                stats.table_memory <= SHARE + MIB / 16 && stats.filter_memory <= SHARE / 2
            });
            wait_until("the budget", || set.stats().memory <= set.stats().memory_budget);
            drop(others);
            store.seal().unwrap();
            wait_until("growing", || store.stats().filter_memory == 4 * SHARE);
            // A rotation of the writer's that began before may have taken a table of the old size.
            wait_until("a large table", || {
                store.seal().unwrap();
                store.stats().table_memory >= SHARE
            });
        }
        drop(ended);
        writer.join().unwrap()
    });
    let all: Vec<u64> = (0..known).collect();
    assert!(store.contains(&ids(&all)).unwrap().into_iter().all(|known| known));
    assert!(!store.contains(&[id(known)]).unwrap()[0]);
}

#[test]
fn a_log_of_a_large_share_is_replayed_into_a_small_one() {
    let _alone = alone();
    let set = set(8, 2);
    let disk = MemoryDisk::new();
    let open = |disk: &MemoryDisk| {
        Store::builder().set(&set).storage(Arc::new(disk.clone())).open("/store").unwrap()
    };
    let store = open(&disk);
    let numbers: Vec<u64> = (0..400_000).collect();
    store.check_and_insert(&ids(&numbers)).unwrap();
    assert_eq!(store.stats().sealed, 0, "one table takes them all");
    // The process dies here; its store goes on apart.
    let killed = disk.kill();
    drop(store);
    let others = fill_up(&set, 8);
    let store = open(&killed);
    assert_eq!(store.recovery().ids, 400_000);
    assert!(store.contains(&ids(&numbers)).unwrap().into_iter().all(|known| known));
    wait_until("giving back", || memory(&store) <= SHARE);
    let verdicts = store.check_and_insert(&ids(&numbers)).unwrap();
    assert!(verdicts.iter().all(|verdict| verdict.is_duplicate()));
    drop(others);
}

/// Bytes of all files. One may go while they are looked at.
fn bytes_in(disk: &MemoryDisk) -> u64 {
    let len = |name: String| disk.open(&path(&name)).and_then(|file| file.len()).unwrap_or(0);
    names(disk).into_iter().map(len).sum()
}

#[test]
fn a_cap_on_disk_space_holds_while_shares_change() {
    let _alone = alone();
    let set = set(16, 2);
    let disk = MemoryDisk::new();
    let cap = 64 * MIB;
    let builder = Store::builder().set(&set).max_bytes(cap).storage(Arc::new(disk.clone()));
    let store = builder.open(DIR).unwrap();
    let mut next = 0;
    for round in 0..6 {
        let others = if round % 2 == 0 { Vec::new() } else { fill_up(&set, 16) };
        for _ in 0..100 {
            let numbers: Vec<u64> = (next..next + 10_000).collect();
            next += 10_000;
            store.check_and_insert(&ids(&numbers)).unwrap();
            let bytes = bytes_in(&disk);
            assert!(bytes <= cap, "{bytes} bytes after {next} ids");
        }
        drop(others);
    }
    assert!(store.stats().expired > 0, "the cap was never reached");
}

/// Lets something happen at the next sync of the background: of a run, for the log is only written.
fn in_upkeep(disk: &HookedDisk, hook: Box<dyn FnOnce() + Send>) {
    let again = disk.clone();
    disk.once(Before::Sync, move || match thread::current().name() {
        Some("firstseen-upkeep") => hook(),
        _ => in_upkeep(&again, hook),
    });
}

/// A store whose next seal tells that it has begun, and ends when it is let.
fn long_seal(set: &StoreSet) -> (Store, Receiver<()>, Sender<()>) {
    let disk = HookedDisk::new(&MemoryDisk::new());
    let store = small(set).storage(Arc::new(disk.clone())).open("/long").unwrap();
    let (begun, begins) = channel();
    let (go, goes) = channel::<()>();
    in_upkeep(
        &disk,
        Box::new(move || {
            begun.send(()).unwrap();
            let _ = goes.recv();
        }),
    );
    for n in 0..3 {
        let numbers: Vec<u64> = (n * 400..n * 400 + 400).collect();
        store.check_and_insert(&ids(&numbers)).unwrap();
    }
    (store, begins, go)
}

#[test]
fn one_that_fails_is_poisoned_alone() {
    let _alone = alone();
    let set = set(4, 1);
    let good = small(&set).storage(Arc::new(MemoryDisk::new())).open("/good").unwrap();
    let faulty = MemoryDisk::new();
    let fails = small(&set).storage(Arc::new(faulty.clone())).open("/fails").unwrap();
    let hooked = HookedDisk::new(&MemoryDisk::new());
    let panics = small(&set).storage(Arc::new(hooked.clone())).open("/panics").unwrap();
    in_upkeep(&hooked, Box::new(|| panic!("a fault of the storage, on purpose")));
    faulty.fail_from(faulty.ops() + 20, std::io::ErrorKind::Other);
    let until_poisoned = |store: &Store| {
        let end = Instant::now() + LONG;
        for n in (0..).step_by(100) {
            let numbers: Vec<u64> = (n..n + 100).collect();
            if let Err(Error::Poisoned { .. }) = store.check_and_insert(&ids(&numbers)) {
                return;
            }
            assert!(Instant::now() < end, "it is not poisoned");
        }
    };
    until_poisoned(&fails);
    until_poisoned(&panics);
    let seals = good.stats().sealed + 3;
    for n in 0.. {
        let numbers: Vec<u64> = (n * 100..n * 100 + 100).collect();
        let verdicts = good.check_and_insert(&ids(&numbers)).unwrap();
        assert!(verdicts.iter().all(|verdict| verdict.is_new()));
        if good.stats().sealed >= seals {
            break;
        }
    }
    assert!(fails.close().is_err());
    let _ = panics.close();
    assert_eq!(set.stores(), 1);
    good.close().unwrap();
}

#[test]
fn intervals_are_kept_while_all_threads_are_busy() {
    let _alone = alone();
    let set = set(4, 1);
    let interval = Durability::Interval(Duration::from_millis(40));
    let open = |name: &str| {
        let disk = Arc::new(MemoryDisk::new());
        small(&set).durability(interval).storage(disk).open(name).unwrap()
    };
    let stores = ["/a", "/b", "/c"].map(open);
    let (long, begins, go) = long_seal(&set);
    begins.recv_timeout(LONG).unwrap();
    let before = stores.each_ref().map(|store| store.stats().syncs);
    stores.iter().for_each(|store| drop(store.check_and_insert(&["an id"]).unwrap()));
    for (store, before) in stores.iter().zip(before) {
        wait_until("a sync", || store.stats().syncs > before);
    }
    assert_eq!(set.stats().threads, 2);
    go.send(()).unwrap();
    long.close().unwrap();
}

#[test]
fn closing_waits_for_no_other() {
    let _alone = alone();
    let set = set(4, 1);
    let other = small(&set).storage(Arc::new(MemoryDisk::new())).open("/other").unwrap();
    other.check_and_insert(&["an id"]).unwrap();
    let (long, begins, go) = long_seal(&set);
    begins.recv_timeout(LONG).unwrap();
    // The only thread is at the seal of the other store, and stays there.
    other.close().unwrap();
    assert_eq!(set.stores(), 1);
    let (closed, closes) = channel();
    let closing = thread::spawn(move || {
        long.close().unwrap();
        closed.send(()).unwrap();
    });
    assert!(closes.recv_timeout(Duration::from_millis(20)).is_err(), "its own seal is under way");
    go.send(()).unwrap();
    closes.recv_timeout(LONG).unwrap();
    closing.join().unwrap();
    assert_eq!(set.stores(), 0);
}

#[test]
fn one_more_than_fits_is_refused() {
    let _alone = alone();
    let set = set(3, 1);
    let open = |n: u32| {
        small(&set)
            .storage(Arc::new(MemoryDisk::new()))
            .open(format!("/{n}"))
            .map(|store| (n, store))
    };
    let mut stores: Vec<_> = (0..3).map(|n| open(n).unwrap()).collect();
    let refused = open(3).unwrap_err();
    assert!(refused.is_transient());
    match &refused {
        Error::SetFull { stores, each, budget } => {
            assert_eq!((*stores, *each, *budget), (3, SHARE, 3 * SHARE));
        }
        other => panic!("{other:?}"),
    }
    assert!(refused.to_string().contains("close one of its stores"), "{refused}");
    // A handle that is left does not count, and a store that did not open neither.
    let (_, kept) = stores[0].clone();
    stores.remove(0).1.close().unwrap();
    assert!(matches!(kept.contains(&["a"]), Err(Error::Closed)));
    let missing = small(&set).create(false).storage(Arc::new(MemoryDisk::new())).open("/none");
    assert!(matches!(missing, Err(Error::NotAStore { .. })));
    stores.push(open(3).unwrap());
    assert_eq!(set.stores(), 3);
}

#[test]
fn a_set_refuses_what_contradicts_it() {
    let refused = |result: Result<(), Error>| match result {
        Err(Error::InvalidOption { option, .. }) => option,
        other => panic!("{other:?}"),
    };
    let build = |builder: firstseen::SetBuilder| refused(builder.build().map(drop));
    assert_eq!(build(StoreSet::builder().memory_budget(SHARE - 1)), "memory_budget");
    assert_eq!(build(StoreSet::builder().threads(0)), "threads");
    let set = StoreSet::builder().build().unwrap();
    let both = small(&set).memory_budget(SHARE).storage(Arc::new(MemoryDisk::new())).open("/s");
    assert_eq!(refused(both.map(drop)), "memory_budget");
    assert_eq!(set.stats().threads, 0, "no thread before the first store");
}

#[cfg(target_os = "linux")]
#[test]
fn a_hundred_stores_have_the_threads_of_their_set() {
    let _alone = alone();
    wait_until("the end of earlier threads", || threads("firstseen-") == 0);
    let set = set(100, 2);
    let open = |n: u32, durability| {
        let disk = Arc::new(MemoryDisk::new());
        small(&set).durability(durability).storage(disk).open(format!("/{n}")).unwrap()
    };
    let mut stores: Vec<Store> = (0..99).map(|n| open(n, Durability::Buffered)).collect();
    // A thread takes its name when it first runs.
    wait_until("a name for each", || threads("firstseen-upkee") == 2);
    assert_eq!(threads("firstseen-"), 2);
    stores.push(open(99, Durability::Interval(Duration::from_millis(50))));
    wait_until("one more", || threads("firstseen-sync") == 1);
    assert_eq!(threads("firstseen-"), 3);
    assert_eq!((set.stores(), set.stats().threads), (100, 3));
    // All close at once, from several threads. The last store ends the set's threads, for no handle is left.
    drop(set);
    thread::scope(|scope| {
        for chunk in stores.chunks(10) {
            let chunk = chunk.to_vec();
            scope.spawn(move || chunk.into_iter().for_each(|store| store.close().unwrap()));
        }
    });
    wait_until("the end of all threads", || threads("firstseen-") == 0);
}
