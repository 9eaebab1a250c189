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

/// Transaction `n` of a stream: its record, its outcome, and how many there were. Every third is
/// settled in two phases.
fn transact(store: &Store, n: u64) {
    let mut tx = store.begin_from("stream", &[(n, n.to_le_bytes())]).unwrap();
    tx.set_outcome(0, format!("outcome of {n}"));
    tx.put_state("count", (n + 1).to_string());
    match n % 3 {
        0 => tx.prepare(n.to_le_bytes()).unwrap().commit().unwrap(),
        _ => tx.commit().unwrap(),
    }
}

/// Asserts that ids, outcomes, progress and state are those of one moment, after `least` transactions
/// or later; with one at most that is prepared.
fn check_moment(store: &Store, least: u64) {
    let count = |store: &Store| {
        let count = store.state("count").unwrap().unwrap_or(b"0".to_vec());
        let count: u64 = String::from_utf8(count).unwrap().parse().unwrap();
        assert_eq!(store.progress("stream").unwrap().unwrap_or(0), count);
        count
    };
    let mut moment = count(store);
    assert!(moment >= least, "{moment} of {least}");
    let in_doubt = store.in_doubt();
    assert!(in_doubt.len() <= 1);
    for prepared in in_doubt {
        assert_eq!(prepared.token(), moment.to_le_bytes());
        assert_eq!(prepared.ids(), [moment.to_le_bytes()]);
        prepared.commit().unwrap();
        moment += 1;
        assert_eq!(count(store), moment);
    }
    let known = store.contains(&ids(0..moment + 50)).unwrap();
    assert_eq!(known.iter().filter(|known| **known).count() as u64, moment);
    assert!(known[..moment as usize].iter().all(|known| *known));
    for n in (0..moment).rev().step_by(1 + moment as usize / 100) {
        let outcome = store.outcome(n.to_le_bytes()).unwrap();
        assert_eq!(outcome, Some(format!("outcome of {n}").into_bytes()), "{n} of {moment}");
    }
}

#[test]
fn copies_of_a_store_are_of_one_moment_while_transactions_commit() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("store");
    let store = Store::builder().memory_budget(16 << 20).active_ids(100).open(&from).unwrap();
    let (committed, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                transact(&store, n);
                committed.store(n + 1, Ordering::SeqCst);
                if done.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        // A seal makes state files and manifests come and go.
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                store.seal().unwrap();
            }
        });
        for round in 0..12 {
            let least = committed.load(Ordering::SeqCst);
            let copy = dir.path().join(format!("copy-{round}"));
            match round % 3 {
                0 => store.checkpoint(&copy).unwrap(),
                1 => offline::checkpoint(&from, &copy).unwrap(),
                _ => offline::restore(&from, &copy).unwrap(),
            }
            let found = offline::state(&from).unwrap();
            assert!(found.sources.first().map_or(0, |&(_, next)| next) >= least);
            offline::verify(&from, &mut |damage| panic!("{damage}")).unwrap();
            let verified = offline::verify(&copy, &mut |damage| panic!("{damage}")).unwrap();
            assert_eq!(verified.damages, 0);
            check_moment(&Store::builder().memory_budget(16 << 20).open(&copy).unwrap(), least);
        }
        done.store(true, Ordering::SeqCst);
    });
    check_moment(&store, committed.load(Ordering::SeqCst));
}
