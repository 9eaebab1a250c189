//! Copies of a store, made while calls go on: each opens, has what was acknowledged before, and
//! nothing half.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use firstseen::{Durability, Error, Store, offline};

use crate::differences::{CHECKPOINT_SHARES_RUNS, OFFLINE_TOOLS_TAKE_THE_LOCK};
use crate::load;
use crate::setting::{Setting, under, under_all};
use crate::support::{Rng, ids};

/// How far worker 0, who transacts, and worker 1, who inserts, have come.
#[derive(Default)]
struct Progress([AtomicU64; 2]);

impl Progress {
    fn now(&self) -> [u64; 2] {
        [0, 1].map(|worker| self.0[worker].load(Ordering::SeqCst))
    }
}

/// Lets both workers work while `copy` makes copies; it is told how far they have come.
fn beside_workers(store: &Store, copy: impl FnOnce(&Progress)) {
    let (stop, progress) = (AtomicBool::new(false), Progress::default());
    thread::scope(|scope| {
        let works = [load::transact, load::insert];
        for (worker, work) in (0..).zip(works) {
            let (stop, progress) = (&stop, &progress);
            scope.spawn(move || {
                let (mut rng, mut next) = (Rng::new(worker), 0);
                while !stop.load(Ordering::SeqCst) {
                    next = work(store, worker, next, &mut rng);
                    progress.0[worker as usize].store(next, Ordering::SeqCst);
                }
            });
        }
        let _stop = StopAtEnd(&stop);
        while progress.now()[1] < 8_000 || progress.now()[0] < 200 {
            thread::yield_now();
        }
        copy(&progress);
    });
}

/// Stops the workers also if a test fails.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn assert_sound(dir: &Path) {
    let mut damages = Vec::new();
    let verified = offline::verify(dir, &mut |damage| damages.push(damage.to_string())).unwrap();
    assert!(verified.damages == 0 && verified.records > 0, "{damages:?}");
}

fn check(setting: Setting, dir: &Path, before: [u64; 2]) {
    assert_sound(dir);
    let store = setting.open(dir);
    load::settle(&store);
    load::check_transacted(&store, 0, before[0]);
    load::check_inserted(&store, 1, 0..before[1]);
    let next = load::transact(&store, 0, load::progress(&store, 0), &mut Rng::new(9));
    store.close().unwrap();
    load::check_transacted(&setting.open(dir), 0, next);
}

#[test]
fn checkpoints() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        let beside = |name: &str| dir.with_file_name(name);
        let mut copies = Vec::new();
        beside_workers(&store, |progress| {
            for name in ["one", "two"] {
                let before = progress.now();
                store.checkpoint(beside(name)).unwrap();
                copies.push((beside(name), before));
            }
        });
        let full = store.checkpoint(beside("one"));
        assert!(matches!(full, Err(Error::Misuse(_))), "{full:?}");
        store.close().unwrap();
        // Of a copy that was not opened, and of the store itself, without opening it.
        let before = copies[0].1;
        offline::restore(&copies[0].0, beside("restored")).unwrap();
        offline::checkpoint(dir, beside("of-closed")).unwrap();
        copies.push((beside("restored"), before));
        copies.push((beside("of-closed"), copies[1].1));
        fs::remove_dir_all(dir).unwrap();
        copies.iter().for_each(|(copy, before)| check(setting, copy, *before));
    });
}

/// With runs that are shared and with runs that are not, the one does not follow what the other does.
#[test]
fn a_checkpoint_is_by_itself() {
    under(Durability::Buffered, |setting, dir| {
        let (store, copy) = (setting.open(dir), dir.with_file_name("copy"));
        let numbers: Vec<u64> = (0..9_000).collect();
        store.check_and_insert(&ids(&numbers)).unwrap();
        store.seal().unwrap();
        store.checkpoint(&copy).unwrap();
        let shared = fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().path());
        let shared = shared.filter(|path| links(path) > 1).count();
        assert_eq!(shared > 0, CHECKPOINT_SHARES_RUNS.contains(&setting.backend));
        store.forget(&ids(&numbers[..10])).unwrap();
        store.check_and_insert(&ids(&[10_000])).unwrap();
        store.compact().unwrap();
        let copied = setting.open(&copy);
        let known = copied.contains(&ids(&numbers)).unwrap();
        assert!(known.into_iter().all(|known| known));
        assert_eq!(copied.contains(&ids(&[10_000])).unwrap(), [false]);
        copied.forget(&ids(&numbers)).unwrap();
        assert!(store.contains(&ids(&numbers[10..])).unwrap().into_iter().all(|known| known));
    });
}

#[cfg(unix)]
fn links(path: &Path) -> u64 {
    let found = fs::metadata(path).unwrap();
    if found.is_file() { std::os::unix::fs::MetadataExt::nlink(&found) } else { 0 }
}

#[cfg(not(unix))]
fn links(path: &Path) -> u64 {
    u64::from(path.extension().is_some_and(|end| end == "run")) * 2
}

#[test]
fn streams() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        let (mut stream, mut before) = (Vec::new(), [0; 2]);
        beside_workers(&store, |progress| {
            before = progress.now();
            let records = store.export(&mut stream).unwrap();
            assert!(records >= before[0] + before[1], "{records} records, {before:?} before");
        });
        drop(store);
        let copy = dir.with_file_name("imported");
        offline::import_into(&mut stream.as_slice(), &copy, setting.backend).unwrap();
        assert_sound(&copy);
        let (copied, store) = (setting.open(&copy), setting.open(dir));
        load::check_inserted(&copied, 1, 0..before[1]);
        let transacted: Vec<u64> = (0..before[0]).collect();
        assert_eq!(copied.contains(&ids(&transacted)).unwrap(), vec![true; transacted.len()]);
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        copied.check(&ids(&transacted), &mut theirs).unwrap();
        store.check(&ids(&transacted), &mut ours).unwrap();
        assert_eq!(theirs, ours, "first seen at the same times");
        for id in ids(&transacted) {
            assert_eq!(copied.outcome(&id).unwrap(), store.outcome(&id).unwrap());
        }
        assert_eq!(copied.sources().unwrap(), [], "a stream has no progress");
    });
}

#[test]
fn tools_beside_the_owner() {
    under(Durability::Buffered, |setting, dir| {
        let store = setting.open(dir);
        store.check_and_insert(&["a"]).unwrap();
        let found = offline::inspect(dir).map(|found| found.ids());
        match OFFLINE_TOOLS_TAKE_THE_LOCK.contains(&setting.backend) {
            true => assert!(matches!(found, Err(Error::Locked { .. })), "{found:?}"),
            false => assert_eq!(found.unwrap(), 1),
        }
        drop(store);
        assert_eq!(offline::inspect(dir).unwrap().ids(), 1);
        assert!(setting.open(dir).contains(&["a"]).unwrap()[0], "no lock is left behind");
    });
}
