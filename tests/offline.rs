//! Tools on a store's folder, on real files, with a writer at work.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use firstseen::offline::{self, Record};
use firstseen::{Error, Store, Verdict};

fn ids(range: std::ops::Range<u64>) -> Vec<[u8; 8]> {
    range.map(u64::to_le_bytes).collect()
}

fn open(dir: &Path) -> Store {
    Store::builder().memory_budget(16 << 20).active_ids(5_000).open(dir).unwrap()
}

fn records(dir: &Path) -> BTreeSet<Record> {
    let mut records = BTreeSet::new();
    offline::dump(dir, &mut |record| {
        records.insert(record);
        Ok(())
    })
    .unwrap();
    records
}

/// Inserts on one thread, with seals and merges behind it, while `look` is called on this one with
/// the number of ids that were acknowledged before.
fn while_inserting(store: &Store, look: impl Fn(usize, u64)) {
    let (acknowledged, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for start in (0..).step_by(200) {
                let verdicts = store.check_and_insert(&ids(start..start + 200)).unwrap();
                assert!(verdicts.iter().all(Verdict::is_new));
                acknowledged.store(start + 200, Ordering::SeqCst);
                if done.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
        });
        for round in 0..12 {
            std::thread::sleep(std::time::Duration::from_millis(10));
            look(round, acknowledged.load(Ordering::SeqCst));
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn checkpoints_of_a_busy_store_have_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("store");
    let store = open(&from);
    while_inserting(&store, |round, acknowledged| {
        let copy = dir.path().join(format!("copy-{round}"));
        match round % 2 {
            0 => store.checkpoint(&copy).unwrap(),
            _ => offline::checkpoint(&from, &copy).unwrap(),
        }
        let verified = offline::verify(&copy, &mut |damage| panic!("{damage}")).unwrap();
        assert!(verified.records >= acknowledged && verified.torn_bytes == 0);
        let copy = open(&copy);
        for start in (0..acknowledged).step_by(200) {
            let known = copy.contains(&ids(start..start + 200)).unwrap();
            assert!(known.into_iter().all(|known| known), "round {round}, from {start}");
        }
    });
}

#[test]
fn a_busy_store_can_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    while_inserting(&store, |round, acknowledged| {
        let found = offline::inspect(dir.path()).unwrap();
        assert!(found.ids_in_runs + found.ids_in_log >= acknowledged, "round {round}");
        let verified = offline::verify(dir.path(), &mut |damage| panic!("{damage}")).unwrap();
        assert!(verified.records >= acknowledged);
        assert!(records(dir.path()).len() as u64 >= acknowledged);
        let mut stream = Vec::new();
        assert!(offline::export(dir.path(), &mut stream).unwrap() >= acknowledged);
    });
}

#[test]
fn a_stream_builds_the_same_store_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let store = open(&from);
    for start in (0..20_000).step_by(500) {
        store.check_and_insert(&ids(start..start + 500)).unwrap();
    }
    let mut stream = Vec::new();
    assert_eq!(store.export(&mut stream).unwrap(), 20_000);
    assert_eq!(offline::import(&mut stream.as_slice(), &to).unwrap(), 20_000);
    store.close().unwrap();
    assert!(records(&to) == records(&from));
    let (a, b) = (offline::inspect(&from).unwrap(), offline::inspect(&to).unwrap());
    assert_eq!((a.window, a.identity, a.created), (b.window, b.identity, b.created));
    assert!(open(&to).contains(&ids(0..20_000)).unwrap().into_iter().all(|known| known));
}

#[test]
fn a_checkpoint_without_one_of_its_runs_is_not_restored() {
    let dir = tempfile::tempdir().unwrap();
    let [store, copy, back] = ["store", "copy", "back"].map(|name| dir.path().join(name));
    let writer = open(&store);
    writer.check_and_insert(&ids(0..1_000)).unwrap();
    writer.seal().unwrap();
    writer.checkpoint(&copy).unwrap();
    offline::restore(&copy, &back).unwrap();
    assert!(records(&back) == records(&copy));
    assert!(matches!(offline::restore(&copy, &back), Err(Error::Misuse(_))));
    let run = std::fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().path());
    let run = run.into_iter().find(|path| path.extension().is_some_and(|e| e == "run")).unwrap();
    std::fs::remove_file(&run).unwrap();
    let (again, none) = (dir.path().join("again"), dir.path().join("none"));
    match offline::restore(&copy, &again) {
        Err(Error::WindowIncomplete { missing }) => assert_eq!(missing, run),
        other => panic!("{other:?}"),
    }
    assert!(!again.exists());
    assert!(matches!(offline::dump(&copy, &mut |_| Ok(())), Err(Error::WindowIncomplete { .. })));
    assert_eq!(offline::verify(&copy, &mut |d| assert_eq!(d.path, run)).unwrap().damages, 1);
    std::fs::create_dir(&none).unwrap();
    assert!(matches!(offline::inspect(&none), Err(Error::NotAStore { .. })));
    assert!(matches!(offline::verify(&none, &mut |_| {}), Err(Error::NotAStore { .. })));
}
