//! Folders that somebody else has prepared: links, foreign files, rights, names.

#![cfg(all(unix, feature = "sled"))]

use std::fs;
use std::path::Path;

use firstseen::{Backend, Builder, Error, Store, Verdict, offline};

mod support;

use support::ids;

fn builder() -> Builder {
    Store::builder().memory_budget(16 << 20).background(false)
}

fn range(from: u64, to: u64) -> Vec<Vec<u8>> {
    ids(&(from..to).collect::<Vec<_>>())
}

fn insert(store: &Store, from: u64, to: u64) {
    let verdicts = store.check_and_insert(&range(from, to)).unwrap();
    assert!(verdicts.iter().all(Verdict::is_new), "{from}..{to}");
}

fn assert_known(store: &Store, from: u64, to: u64) {
    assert!(store.contains(&range(from, to)).unwrap().into_iter().all(|known| known));
}

/// A store that has every kind of file, closed.
fn filled(dir: &Path, backend: Backend) {
    let store = builder().backend(backend).open(dir).unwrap();
    insert(&store, 0, 100);
    let mut tx = store.begin_from("source", &[(0, "id")]).unwrap();
    tx.set_outcome(0, "outcome");
    tx.put_state("key", "value");
    tx.commit().unwrap();
    store.seal().unwrap();
    insert(&store, 100, 200);
    store.close().unwrap();
}

/// The names of a folder, in order.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

fn is_about_a_link<T: std::fmt::Debug>(refused: Result<T, Error>, path: &Path) {
    match refused {
        Err(Error::Io { path: told, source, .. }) => {
            assert!(source.to_string().contains("symbolic link"), "{source}");
            assert_eq!(told, path);
        }
        other => panic!("{}: {other:?}", path.display()),
    }
}

#[cfg(unix)]
mod links {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use firstseen::Timestamp;
    use support::found::Founding;

    /// Sled would follow links, so it is not sent to one: neither to another folder, nor to files of it.
    #[cfg(feature = "sled")]
    #[test]
    fn in_the_place_of_a_database_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let (dir, elsewhere) = (home.path().join("store"), home.path().join("elsewhere"));
        filled(&dir, Backend::Sled);
        for name in ["sled", "sled/db", "sled/conf", "sled/blobs"] {
            let path = dir.join(name);
            fs::rename(&path, &elsewhere).unwrap();
            symlink(&elsewhere, &path).unwrap();
            let before = support::files::bytes_below(&elsewhere);
            is_about_a_link(builder().open(&dir), &path);
            is_about_a_link(offline::inspect(&dir), &path);
            assert!(support::files::bytes_below(&elsewhere) == before, "{name}");
            fs::remove_file(&path).unwrap();
            fs::rename(&elsewhere, &path).unwrap();
        }
        assert_known(&builder().open(&dir).unwrap(), 0, 200);
    }

    /// What was begun of a database is removed, and made anew: not where a link leads.
    #[cfg(feature = "sled")]
    #[test]
    fn in_the_place_of_a_database_that_was_begun_lead_nowhere() {
        let home = tempfile::tempdir().unwrap();
        let (dir, elsewhere) = (home.path().join("store"), home.path().join("elsewhere"));
        let (created, window) = (Timestamp::from_secs(1_700_000_000), Duration::from_secs(3_600));
        Founding { identity: 1, event_time: false, sled: true, created, window }.lay(&dir);
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("precious"), "and not ours").unwrap();
        symlink(&elsewhere, dir.join("sled")).unwrap();
        is_about_a_link(builder().open(&dir), &dir.join("sled"));
        assert_eq!(names(&elsewhere), ["precious"]);
    }
}
