//! Closing and opening, who may, and what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use firstseen::{Backend, Error, Store, TimeSource, Verdict};

use crate::differences::LOSES_A_FILE_AT_A_TIME;
use crate::setting::{BACKENDS, HOUR, Setting, clock, under_all};
use crate::support::ids;

fn range(from: u64, to: u64) -> Vec<Vec<u8>> {
    ids(&(from..to).collect::<Vec<_>>())
}

fn assert_known(store: &Store, from: u64, to: u64) {
    let known = store.contains(&range(from, to)).unwrap();
    assert!(known.into_iter().all(|known| known), "{from}..{to}");
}

#[test]
fn again_and_again() {
    under_all(|setting, dir| {
        for round in 0..15 {
            let store = setting.open(dir);
            assert_known(&store, 0, round * 700);
            let fresh = range(round * 700, round * 700 + 700);
            assert!(store.check_and_insert(&fresh).unwrap().iter().all(Verdict::is_new));
            match round % 4 {
                0 => drop(store),
                1 => store.seal().and_then(|()| store.close()).unwrap(),
                _ => store.close().unwrap(),
            }
        }
        let store = setting.open(dir);
        assert_known(&store, 0, 15 * 700);
        assert_eq!(store.stats().ids, 15 * 700);
    });
}

/// The folder is free as soon as the store is closed, whoever holds handles, also of claims.
#[test]
fn while_other_handles_live() {
    under_all(|setting, dir| {
        let mut left = Vec::new();
        for round in 0..5 {
            let store = setting.open(dir);
            let (other, from) = (store.clone(), round * 100);
            let claim = store.begin(&["claimed"]).unwrap();
            let asking = thread::spawn({
                let store = store.clone();
                move || while store.contains(&["x"]).is_ok() {}
            });
            store.check_and_insert(&range(from, from + 100)).unwrap();
            store.close().unwrap();
            assert!(matches!(other.check_and_insert(&["x"]), Err(Error::Closed)));
            assert!(matches!(other.progress("s"), Err(Error::Closed)));
            let again = setting.open(dir);
            assert_known(&again, 0, from + 100);
            assert!(claim.commit().is_err());
            assert!(again.contains(&["claimed"]).unwrap() == [false]);
            asking.join().unwrap();
            again.close().unwrap();
            left.push(other);
        }
    });
}

#[test]
fn open_elsewhere() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        for _ in 0..3 {
            let second = setting.builder().open(dir);
            assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
        }
        store.check_and_insert(&["a"]).unwrap();
        drop(store);
        assert_eq!(setting.open(dir).contains(&["a"]).unwrap(), [true]);
    });
}

#[test]
fn what_is_kept_is_not_changed() {
    under_all(|setting, dir| {
        setting.open(dir).check_and_insert(&["a"]).unwrap();
        let refused = |result: firstseen::Result<Store>| match result {
            Err(Error::InvalidOption { option, .. }) => option,
            other => panic!("{other:?}"),
        };
        for other in [Backend::Mapped, Backend::Sled] {
            if other != setting.backend {
                assert_eq!(refused(setting.builder().backend(other).open(dir)), "backend");
            }
        }
        assert_eq!(refused(setting.builder().time(TimeSource::Event).open(dir)), "time");
        // What is not said is as it was kept.
        assert_eq!(Store::open(dir).unwrap().contains(&["a"]).unwrap(), [true]);
        assert_eq!(firstseen::offline::inspect(dir).unwrap().backend, setting.backend);
        assert!(BACKENDS.contains(&setting.backend));
    });
}

/// A store whose window has four generations in runs, and ids in its log.
fn build(setting: Setting, dir: &Path) -> firstseen::testing::ManualClock {
    let clock = clock();
    let store = setting.timed(&clock).background(false).open(dir).unwrap();
    for generation in 0..4 {
        let from = generation * 1_000;
        store.check_and_insert(&range(from, from + 1_000)).unwrap();
        store.seal().unwrap();
        clock.advance(HOUR);
    }
    store.check_and_insert(&range(4_000, 4_100)).unwrap();
    store.close().unwrap();
    clock
}

/// Loses the oldest run, as whoever removes files does, or a database that was put back from a copy.
fn lose_a_run(setting: Setting, dir: &Path) {
    match setting.backend {
        Backend::Mapped => {
            let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
            let mut runs: Vec<PathBuf> =
                files.filter(|path| path.extension().is_some_and(|end| end == "run")).collect();
            runs.sort_unstable();
            fs::remove_file(&runs[0]).unwrap();
        }
        _ => lose_a_tree(dir),
    }
}

#[cfg(feature = "sled")]
fn lose_a_tree(dir: &Path) {
    let db = open_when_free(&dir.join("sled"));
    let mut names = db.tree_names();
    names.retain(|name| name.starts_with(b"generation/"));
    names.sort_unstable();
    assert_eq!(names.len(), 4);
    assert!(db.drop_tree(&names[0]).unwrap());
    db.flush().unwrap();
}

/// Opens a database that was closed just now: its lock is held for a moment longer, by sled's own threads
/// or by a child that another test has begun.
#[cfg(feature = "sled")]
fn open_when_free(path: &Path) -> sled::Db {
    use std::time::{Duration, Instant};
    let started = Instant::now();
    loop {
        match sled::open(path) {
            Err(sled::Error::Io(error))
                if error.to_string().contains("acquire lock")
                    && started.elapsed() < Duration::from_secs(10) =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

#[cfg(not(feature = "sled"))]
fn lose_a_tree(_dir: &Path) {}

#[test]
fn without_a_run() {
    under_all(|setting, dir| {
        let clock = build(setting, dir);
        lose_a_run(setting, dir);
        for _ in 0..2 {
            let refused = setting.timed(&clock).open(dir);
            assert!(matches!(refused, Err(Error::WindowIncomplete { .. })), "{refused:?}");
        }
        let verified = firstseen::offline::verify(dir, &mut |_| {}).unwrap();
        assert!(verified.damages > 0);
        let store = setting.timed(&clock).accept_incomplete(true).open(dir).unwrap();
        assert!(store.effective_window() <= 3 * HOUR, "{:?}", store.effective_window());
        assert_known(&store, 1_000, 4_100);
        let lost = store.contains(&range(0, 1_000)).unwrap();
        assert!(lost.into_iter().all(|known| !known));
        let effective = store.effective_window();
        store.close().unwrap();
        let store = setting.timed(&clock).open(dir).unwrap();
        assert_eq!(store.effective_window(), effective, "it stays known");
        assert_known(&store, 1_000, 4_100);
    });
}

/// What the manifest lists is gone as a whole.
#[test]
fn without_its_files() {
    under_all(|setting, dir| {
        let clock = build(setting, dir);
        let lost = match setting.backend {
            Backend::Mapped => {
                let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
                entries.filter(|path| path.extension().is_some_and(|e| e == "log")).collect()
            }
            _ => vec![dir.join("sled/db")],
        };
        lost.iter().for_each(|path| fs::remove_file(path).unwrap());
        let refused = setting.timed(&clock).open(dir);
        let Err(Error::WindowIncomplete { missing }) = refused else { panic!("{refused:?}") };
        assert!(missing.starts_with(dir), "{}", missing.display());
        if !LOSES_A_FILE_AT_A_TIME.contains(&setting.backend) {
            let refused = setting.timed(&clock).accept_incomplete(true).open(dir);
            assert!(matches!(refused, Err(Error::WindowIncomplete { .. })), "{refused:?}");
        }
    });
}
