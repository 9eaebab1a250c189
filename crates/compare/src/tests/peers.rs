//! Every peer over tiny workloads: each verdict is checked, also where threads contend.

use std::sync::Barrier;
use std::thread;

use crate::course::Course;
use crate::peer::{Durability, Entry, Id, Opened, Peer, Setup};
use crate::plan::Scenario;
use crate::workload::{Load, Workload};
use crate::{peers, plan, session};

const IDS: usize = 2_000;

fn scenarios(batches: &[usize], threads: &[usize]) -> Vec<Scenario> {
    plan::matrix(IDS, batches, threads, 1).iter().map(|part| part.scenario()).collect()
}

fn each(mut test: impl FnMut(&Entry)) {
    for entry in peers::all().iter().filter(|entry| entry.missing().is_none()) {
        test(entry);
    }
}

fn with_opened(entry: &Entry, test: impl FnOnce(&Opened)) {
    let folder = tempfile::tempdir().unwrap();
    let open = entry.opener(Course::Window).unwrap();
    test(&open(&Setup { folder: folder.path(), expected_ids: IDS }).unwrap());
}

/// A session checks its verdicts itself.
#[test]
fn all_workloads_give_the_right_verdicts() {
    let dir = tempfile::tempdir().unwrap();
    each(|entry| {
        let scenarios = scenarios(&[1, 16, 1024], &[1, 2]);
        for scenario in scenarios.into_iter().filter(|scenario| entry.takes(*scenario)) {
            let loads = Load::all(scenario.course, scenario.window);
            let timings = session::run(entry, scenario, &loads, dir.path());
            let timings = timings.unwrap_or_else(|error| panic!("{}: {error}", entry.name));
            let timings = timings.map_or(loads.len(), |timings| timings.len());
            assert_eq!(timings, loads.len(), "{}", entry.name);
        }
    });
}

#[test]
fn inside_a_batch_the_first_is_new() {
    each(|entry| {
        with_opened(entry, |opened| {
            let [a, b] = [[1; 16], [2; 16]];
            let mut new = Vec::new();
            opened.peer().check_and_insert(&[a, b, a, a, b], &mut new).unwrap();
            assert_eq!(new, [true, true, false, false, false], "{}", entry.name);
            opened.peer().check_and_insert(&[b, a], &mut new).unwrap();
            assert_eq!(new, [false, false], "{}", entry.name);
        });
    });
}

/// Two threads present the same ids at the same time.
#[test]
fn one_thread_wins_each_id() {
    let loads = Load::all(Course::Window, IDS);
    let ids = &loads.iter().find(|load| load.workload == Workload::New).unwrap().ids;
    each(|entry| {
        with_opened(entry, |opened| {
            let Opened::Shared(peer) = opened else { return };
            for ids in ids.chunks(50) {
                let start = Barrier::new(2);
                let wins = || wins(&**peer, &start, ids);
                let total = thread::scope(|scope| {
                    let others = scope.spawn(wins);
                    wins() + others.join().unwrap()
                });
                assert_eq!(total, ids.len(), "{}", entry.name);
            }
        });
    });
}

fn wins(peer: &dyn Peer, start: &Barrier, ids: &[Id]) -> usize {
    let mut new = Vec::new();
    start.wait();
    peer.check_and_insert(ids, &mut new).unwrap();
    new.into_iter().filter(|&new| new).count()
}

/// A window in which ids are forgotten while they come.
fn sustained() -> Scenario {
    Scenario { batch: 64, ..plan::large(IDS, Course::Sustained).scenario() }
}

/// A session checks the verdicts, and that what came first is forgotten in the end.
#[test]
fn who_can_forget_remembers_a_window_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let loads = Load::all(Course::Sustained, IDS);
    let mut forgetting = Vec::new();
    each(|entry| {
        let timings = session::run(entry, sustained(), &loads, dir.path());
        let timings = timings.unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        assert_eq!(timings.is_some(), entry.takes(sustained()), "{}", entry.name);
        forgetting.extend(timings.map(|_| entry.name));
    });
    let expected = [
        ("firstseen", true),
        ("rocksdb-fifo", cfg!(feature = "rocksdb")),
        ("fjall", true),
        ("lmdb", cfg!(feature = "c")),
        ("hashbrown", true),
    ];
    let built: Vec<_> =
        expected.iter().filter(|(_, built)| *built).map(|(name, _)| *name).collect();
    assert_eq!(forgetting, built);
}

#[test]
fn a_peer_that_forgets_nothing_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let all = peers::all();
    let set = all.iter().find(|entry| entry.name == "hashbrown").unwrap();
    let entry = Entry::new("never", set.durability, set.opener(Course::Window).unwrap());
    let entry = entry.forgetting(set.opener(Course::Window).unwrap());
    let loads = Load::all(Course::Sustained, IDS);
    let error = session::run(&entry, sustained(), &loads, dir.path()).err().unwrap().to_string();
    assert_eq!(error, "64 ids that came some windows ago are not forgotten");
}

/// A peer that is wrong is told, not measured.
#[test]
fn a_wrong_verdict_is_an_error() {
    struct AlwaysNew;
    impl Peer for AlwaysNew {
        fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> crate::peer::Result<()> {
            new.clear();
            new.resize(ids.len(), true);
            Ok(())
        }
        fn finish(&self) -> crate::peer::Result<()> {
            Ok(())
        }
    }
    let open = |_: &Setup| Ok(Opened::Alone(Box::new(AlwaysNew) as _));
    let entry = Entry::new("always-new", Durability::MemoryOnly, open);
    let dir = tempfile::tempdir().unwrap();
    let scenario = scenarios(&[16], &[1])[0];
    let loads = Load::all(scenario.course, scenario.window);
    let error = session::run(&entry, scenario, &loads, dir.path());
    let error = error.err().expect("duplicates were called new").to_string();
    assert_eq!(error, "500 of 500 verdicts are wrong for workload duplicate");
}

/// It would forget by batches that are a good part of the window.
#[test]
fn a_window_that_forgets_is_of_many_batches() {
    let check = |window| plan::large(window, Course::Sustained).scenario().check();
    assert_eq!(
        check(16_383).unwrap_err().to_string(),
        "sustained, a window has at least 16384 ids"
    );
    assert!(check(16_384).is_ok());
}
