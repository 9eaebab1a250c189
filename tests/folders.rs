//! Folders that somebody else has prepared: links, rights, media that cannot be written, names; and ids and windows
//! at the ends of what is taken.
//!
//! What another folder's files do is in `recovery`, two who open one store in `recovery` and `tests/cli`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use firstseen::testing::ManualClock;
use firstseen::{
    Backend, Builder, Error, IdentityKind, Refusal, Store, TimeSource, Timestamp, Verdict, offline,
};

mod support;

use support::ids;

/// The backends of this build.
const BACKENDS: &[Backend] =
    if cfg!(feature = "sled") { &[Backend::Mapped, Backend::Sled] } else { &[Backend::Mapped] };

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

/// Ids, a commit with an outcome and a state, a seal, and ids again.
fn fill(store: &Store) {
    insert(store, 0, 100);
    let mut tx = store.begin_from("source", &[(0, "id")]).unwrap();
    tx.set_outcome(0, "outcome");
    tx.put_state("key", "value");
    tx.commit().unwrap();
    store.seal().unwrap();
    insert(store, 100, 200);
}

/// A store that has every kind of file, closed.
fn filled(dir: &Path, backend: Backend) {
    let store = builder().backend(backend).open(dir).unwrap();
    fill(&store);
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

#[cfg(unix)]
mod links {
    use super::*;
    use std::os::unix::fs::symlink;

    use support::files::bytes_below;

    fn is_about_a_link<T: std::fmt::Debug>(refused: Result<T, Error>, path: &Path) {
        match refused {
            Err(Error::Io { path: told, source, .. }) => {
                assert!(source.to_string().contains("symbolic link"), "{source}");
                assert_eq!(told, path);
            }
            other => panic!("{}: {other:?}", path.display()),
        }
    }

    /// Whole files of the store, moved elsewhere and linked to: refused by all who would read or lock them.
    #[test]
    fn in_the_place_of_files_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let (dir, elsewhere) = (home.path().join("store"), home.path().join("elsewhere"));
        filled(&dir, Backend::Mapped);
        let mut names = names(&dir);
        names.retain(|name| name != "RESERVE");
        assert_eq!(names.len(), 7, "{names:?}");
        for name in names {
            let path = dir.join(&name);
            fs::rename(&path, &elsewhere).unwrap();
            symlink(&elsewhere, &path).unwrap();
            let before = bytes_below(home.path());
            is_about_a_link(builder().open(&dir), &path);
            match name.as_str() {
                // Nobody but an owner locks, and not all read all files.
                "LOCK" => is_about_a_link(offline::inspect(&dir), &path),
                name if name.ends_with(".state") => is_about_a_link(offline::state(&dir), &path),
                _ => is_about_a_link(offline::export(&dir, &mut Vec::new()), &path),
            }
            assert!(bytes_below(home.path()) == before, "{name}");
            fs::remove_file(&path).unwrap();
            fs::rename(&elsewhere, &path).unwrap();
        }
        assert_known(&builder().open(&dir).unwrap(), 0, 200);
    }

    /// Names that a store is about to create, or that mean nothing: the link gives way or stays, and what it
    /// leads to is not touched.
    #[test]
    fn in_the_way_of_new_files_are_not_written_through() {
        let home = tempfile::tempdir().unwrap();
        let (dir, victim) = (home.path().join("store"), home.path().join("victim"));
        fs::write(&victim, vec![7; 5_000]).unwrap();
        filled(&dir, Backend::Mapped);
        let plant = |name: &str| {
            let _ = fs::remove_file(dir.join(name));
            symlink(&victim, dir.join(name)).unwrap();
        };
        plant("RESERVE");
        plant("MANIFEST.new");
        let store = builder().open(&dir).unwrap();
        plant("MANIFEST.new");
        let all = (1..12).flat_map(|number| {
            ["log", "run", "val", "state"].map(|end| format!("{number:012}.{end}"))
        });
        let free: Vec<String> = all.filter(|name| !dir.join(name).exists()).collect();
        free.iter().for_each(|name| plant(name));
        insert(&store, 200, 300);
        let mut tx = store.begin_from("source", &[(1, "another")]).unwrap();
        tx.set_outcome(0, "outcome");
        tx.put_state("key", "another");
        tx.commit().unwrap();
        store.seal().unwrap();
        insert(&store, 300, 400);
        store.compact().unwrap();
        let names = names(&dir);
        for end in [".log", ".run", ".val", ".state"] {
            let mut new = free.iter().filter(|name| name.ends_with(end) && names.contains(name));
            assert!(new.any(|name| !dir.join(name).is_symlink()), "no new {end}: {names:?}");
        }
        store.close().unwrap();
        assert_eq!(fs::read(&victim).unwrap(), [7; 5_000]);
        // Those behind the last segment are in the place of segments.
        assert!(builder().open(&dir).is_err());
        assert_eq!(fs::read(&victim).unwrap(), [7; 5_000]);
        for name in names {
            if name.ends_with(".log") && dir.join(&name).is_symlink() {
                fs::remove_file(dir.join(name)).unwrap();
            }
        }
        assert_known(&builder().open(&dir).unwrap(), 0, 400);
        assert_eq!(fs::read(&victim).unwrap(), [7; 5_000]);
    }

    /// A new store is made in a folder where somebody has put links to files that do not exist yet.
    #[test]
    fn in_an_empty_folder_lead_to_no_new_files() {
        for backend in BACKENDS {
            for name in ["STORE", "MANIFEST", "MANIFEST.new", "LOCK", "RESERVE", "000000000001.log"]
            {
                let home = tempfile::tempdir().unwrap();
                let (dir, target) = (home.path().join("store"), home.path().join("target"));
                fs::create_dir(&dir).unwrap();
                symlink(&target, dir.join(name)).unwrap();
                let opened = builder().backend(*backend).open(&dir);
                if let Ok(store) = opened {
                    insert(&store, 0, 100);
                    store.seal().unwrap();
                    store.close().unwrap();
                    assert_known(&builder().open(&dir).unwrap(), 0, 100);
                } else {
                    assert!(["MANIFEST", "LOCK", "000000000001.log"].contains(&name), "{name}");
                }
                assert!(!target.exists(), "{name}, {backend}");
                let other = home.path().join("copy");
                fs::create_dir(&other).unwrap();
                symlink(&target, other.join(name)).unwrap();
                let from = home.path().join("from");
                filled(&from, *backend);
                assert!(offline::checkpoint(&from, &other).is_err(), "{name}");
                assert!(!target.exists(), "{name}, {backend}");
            }
        }
    }

    /// The path to the folder is the caller's.
    #[test]
    fn on_the_way_to_the_folder_are_followed() {
        for &backend in BACKENDS {
            let home = tempfile::tempdir().unwrap();
            let (dir, link) = (home.path().join("store"), home.path().join("link"));
            filled(&dir, backend);
            symlink(&dir, &link).unwrap();
            let store = builder().open(&link).unwrap();
            assert_known(&store, 0, 200);
            assert!(matches!(builder().open(&dir), Err(Error::Locked { .. })), "it is the same");
        }
    }

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
            let before = bytes_below(&elsewhere);
            is_about_a_link(builder().open(&dir), &path);
            is_about_a_link(offline::inspect(&dir), &path);
            assert!(bytes_below(&elsewhere) == before, "{name}");
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
        let founding = support::found::Founding {
            identity: 1,
            event_time: false,
            sled: true,
            created,
            window,
        };
        founding.lay(&dir);
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("precious"), "and not ours").unwrap();
        symlink(&elsewhere, dir.join("sled")).unwrap();
        is_about_a_link(builder().open(&dir), &dir.join("sled"));
        assert_eq!(names(&elsewhere), ["precious"]);
    }
}

#[cfg(unix)]
mod rights {
    use super::*;
    use std::env;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::process::Command;

    const DIR: &str = "FIRSTSEEN_TEST_FOLDER";

    /// A shell that goes on with this test's executable, for one of its tests.
    fn shell(before: &str, test: &str, dir: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{before} exec \"$0\" --exact {test} --nocapture")]);
        command.arg(env::current_exe().unwrap()).env(DIR, dir);
        command
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    /// Not a test of its own: what a process does whose new files would be open to all.
    #[test]
    fn child_that_makes_files() {
        let Some(dir) = env::var_os(DIR) else { return };
        let dir = Path::new(&dir);
        for &backend in BACKENDS {
            let made = |name: &str| dir.join(format!("{backend}-{name}"));
            let store = builder().backend(backend).open(made("deep/store")).unwrap();
            fill(&store);
            store.checkpoint(made("checkpoint")).unwrap();
            let mut stream = Vec::new();
            store.export(&mut stream).unwrap();
            offline::import_into(&mut stream.as_slice(), made("import"), backend).unwrap();
            offline::restore(made("checkpoint"), made("restored")).unwrap();
            offline::migrate(made("checkpoint"), made("migrated"), backend).unwrap();
            insert(&builder().open(made("restored")).unwrap(), 200, 300);
        }
        println!("made");
    }

    fn check_below(dir: &Path, checked: &mut usize) {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            *checked += 1;
            if entry.is_dir() {
                assert_eq!(mode(&entry), 0o700, "{}", entry.display());
                // What is in it is sled's, and nobody comes by this folder.
                if !entry.ends_with("sled") {
                    check_below(&entry, checked);
                }
            } else {
                assert_eq!(mode(&entry), 0o600, "{}", entry.display());
            }
        }
    }

    #[test]
    fn are_the_owners_alone_whatever_the_umask() {
        let home = tempfile::tempdir().unwrap();
        let ran =
            shell("umask 000;", "rights::child_that_makes_files", home.path()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("made"), "{ran:?}");
        let mut checked = 0;
        check_below(home.path(), &mut checked);
        assert!(checked > 40, "{checked} files and folders");
    }

    /// A folder that was there before is the caller's: it keeps its mode.
    #[test]
    fn of_a_folder_that_is_there_are_kept() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o750)).unwrap();
        filled(home.path(), Backend::Mapped);
        assert_eq!(mode(home.path()), 0o750);
    }

    fn cannot_be_written(dir: &Path, backend: Backend) {
        match builder().open(dir) {
            Err(Error::Io { path, .. }) => assert_eq!(path, dir.join("LOCK")),
            other => panic!("{other:?}"),
        }
        let new = builder().open(dir.join("new"));
        assert!(matches!(new, Err(Error::Io { .. })), "{new:?}");
        let copied = offline::checkpoint(dir, dir.join("copy"));
        assert!(matches!(copied, Err(Error::Io { .. })), "{copied:?}");
        // Looking at files needs no more than to read them; a database wants its lock.
        let verified = offline::verify(dir, &mut |damage| panic!("{damage}"));
        let exported = offline::export(dir, &mut Vec::new());
        match backend {
            Backend::Mapped => {
                assert_eq!(verified.unwrap().damages, 0);
                assert_eq!(exported.unwrap(), 201);
            }
            _ => assert!(matches!(
                (verified, exported),
                (Err(Error::Io { .. }), Err(Error::Io { .. }))
            )),
        }
    }

    /// Not a test of its own: in it, the folder is on a medium that cannot be written.
    #[test]
    fn child_on_a_medium_that_is_read_only() {
        let Some(dir) = env::var_os(DIR) else { return };
        for &backend in BACKENDS {
            cannot_be_written(&Path::new(&dir).join(backend.to_string()), backend);
        }
        println!("refused");
    }

    /// In a mount namespace of its own, which ends with it. Rights do not hold root back; this does.
    #[cfg(target_os = "linux")]
    #[test]
    fn are_none_on_a_medium_that_is_read_only() {
        let home = tempfile::tempdir().unwrap();
        for &backend in BACKENDS {
            filled(&home.path().join(backend.to_string()), backend);
        }
        let before = support::files::bytes_below(home.path());
        let mount = format!(
            "mount --bind \"${DIR}\" \"${DIR}\" && mount -o remount,bind,ro \"${DIR}\" && touch \"${DIR}/x\" 2>&1 | \
             grep -q Read-only || exit 77;"
        );
        let child = "rights::child_on_a_medium_that_is_read_only";
        let shell = shell(&mount, child, home.path());
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]).arg(shell.get_program());
        command.args(shell.get_args()).env(DIR, home.path());
        let ran = command.output();
        match ran {
            Ok(ran) if String::from_utf8_lossy(&ran.stdout).contains("refused") => {
                assert!(ran.status.success(), "{ran:?}");
            }
            Ok(ran) if ran.status.code() == Some(101) => panic!("{ran:?}"),
            ran => eprintln!("SKIPPED: nothing can be mounted here: {ran:?}"),
        }
        assert!(support::files::bytes_below(home.path()) == before);
    }

    #[test]
    fn that_are_not_given_are_missed() {
        for &backend in BACKENDS {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("store");
            filled(&dir, backend);
            fs::remove_file(dir.join("LOCK")).unwrap();
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
            if fs::write(dir.join("probe"), "").is_ok() {
                eprintln!("SKIPPED: this user may write to a folder of mode 500, as root may");
                return;
            }
            cannot_be_written(&dir, backend);
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
            assert_known(&builder().open(&dir).unwrap(), 0, 200);
        }
    }
}

#[test]
fn a_file_in_the_place_of_the_folder_is_refused() {
    for &backend in BACKENDS {
        let home = tempfile::tempdir().unwrap();
        let (file, from) = (home.path().join("file"), home.path().join("from"));
        fs::write(&file, "not a folder").unwrap();
        filled(&from, backend);
        for path in [file.clone(), file.join("below")] {
            let refused = builder().backend(backend).open(&path);
            assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
            assert!(matches!(
                offline::inspect(&path),
                Err(Error::Io { .. } | Error::NotAStore { .. })
            ));
            let copied = offline::checkpoint(&from, &path);
            assert!(matches!(copied, Err(Error::Io { .. })), "{copied:?}");
        }
        assert_eq!(fs::read(&file).unwrap(), b"not a folder");
    }
}

/// A folder in the place of a file.
#[test]
fn folders_in_the_place_of_files_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("store");
    filled(&dir, Backend::Mapped);
    for name in names(&dir) {
        let (path, aside) = (dir.join(&name), home.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("precious"), "").unwrap();
        match (name.as_str(), builder().open(&dir)) {
            ("RESERVE", Ok(store)) => assert_known(&store, 0, 200),
            (_, Err(Error::Io { path: told, .. })) => assert_eq!(told, path),
            // Where a folder can be opened to be read, it has a length, and that is wrong.
            (_, Err(Error::Corrupt(damage))) => assert_eq!(damage.path, path),
            (_, other) => panic!("{name}: {other:?}"),
        }
        assert!(path.join("precious").exists());
        fs::remove_dir_all(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    assert_known(&builder().open(&dir).unwrap(), 0, 200);
}

/// Names that are no text, and foreign files of such names.
#[cfg(target_os = "linux")]
#[test]
fn paths_may_be_any_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    for &backend in BACKENDS {
        let home = tempfile::tempdir().unwrap();
        let odd = |name: &[u8]| home.path().join(OsStr::from_bytes(name));
        let (dir, copy) = (odd(b"st\xff\nore"), odd(b" \xc3("));
        filled(&dir, backend);
        fs::write(dir.join(OsStr::from_bytes(b"\xfe.log")), "foreign").unwrap();
        let store = builder().open(&dir).unwrap();
        store.checkpoint(&copy).unwrap();
        drop(store);
        offline::verify(&dir, &mut |damage| panic!("{damage}")).unwrap();
        for dir in [&dir, &copy] {
            assert_known(&builder().open(dir).unwrap(), 0, 200);
        }
        assert!(dir.join(OsStr::from_bytes(b"\xfe.log")).exists(), "it is not ours to remove");
        let foreign = odd(b"foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join(OsStr::from_bytes(b"\xff")), "").unwrap();
        let refused = builder().backend(backend).open(&foreign);
        assert!(matches!(refused, Err(Error::NotAStore { .. })), "{refused:?}");
        assert_eq!(names(&foreign).len(), 1);
    }
}

#[cfg(unix)]
#[test]
fn paths_may_be_as_long_as_the_system_takes_them() {
    for &backend in BACKENDS {
        let home = tempfile::tempdir().unwrap();
        let longest = home.path().join("n".repeat(255));
        filled(&longest, backend);
        assert_known(&builder().open(&longest).unwrap(), 0, 200);
        let too_long = [home.path().join("n".repeat(256)), home.path().join("d/".repeat(2_500))];
        for path in too_long {
            let refused = builder().backend(backend).open(&path);
            assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
            assert!(matches!(offline::inspect(&path), Err(Error::Io { .. })));
        }
        // The folder still fits, and the files in it do not.
        let mut deep = home.path().to_path_buf();
        while deep.as_os_str().len() < 4_000 {
            deep.push("d".repeat(100.min(4_085 - deep.as_os_str().len())));
        }
        deep.push("d".repeat(4_085_usize.saturating_sub(deep.as_os_str().len() + 1).max(1)));
        let refused = builder().backend(backend).open(&deep);
        assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
    }
}

#[test]
fn ids_may_have_megabytes() {
    for &backend in BACKENDS {
        for identity in [IdentityKind::AesCmac, IdentityKind::Xxh3] {
            let dir = tempfile::tempdir().unwrap();
            let store =
                builder().backend(backend).identity(identity).open(dir.path().join("s")).unwrap();
            let long: Vec<Vec<u8>> = [0, 1, (5 << 20) + 3, 17 << 20].map(|len| vec![7; len]).into();
            let mut other = long[3].clone();
            *other.last_mut().unwrap() = 8;
            let told = store.check_and_insert(&[&long[..], &long[..]].concat()).unwrap();
            assert!(
                told[..4].iter().all(Verdict::is_new)
                    && told[4..].iter().all(Verdict::is_duplicate)
            );
            assert!(support::files::disk_usage(dir.path()) < 12 << 20, "their bytes are not kept");
            // Claimed and committed like any other; to be prepared they would have to be written.
            let tx = store.begin(&[&other]).unwrap();
            assert!(tx.verdicts()[0].is_new());
            match tx.prepare("token") {
                Err(Error::Refused(Refusal::TooLarge { .. })) => {}
                other => panic!("{:?}", other.map(|prepared| prepared.token().to_vec())),
            }
            store.begin(&[&other]).unwrap().commit().unwrap();
            drop(store);
            let store = builder().open(dir.path().join("s")).unwrap();
            assert_eq!(store.contains(&[&long[3], &other]).unwrap(), [true, true]);
        }
    }
}

/// The shortest window and the longest, at the first times and the last.
#[test]
fn windows_hold_at_the_ends_of_what_is_taken() {
    let (shortest, longest) = (Duration::from_millis(1), Duration::from_secs(1_000 * 366 * 86_400));
    for &backend in BACKENDS {
        for window in [shortest, longest] {
            for start in [0, 1_700_000_000_000_000, u64::MAX / 2, u64::MAX] {
                let start = Timestamp::from_micros(start);
                let dir = tempfile::tempdir().unwrap();
                let dir = dir.path().join("store");
                let clock = ManualClock::new(start);
                let make = || {
                    builder()
                        .backend(backend)
                        .window(window)
                        .clock(std::sync::Arc::new(clock.clone()))
                };
                let store = make().time(TimeSource::Event).open(&dir).unwrap();
                for time in [Timestamp::MIN, start, Timestamp::MAX] {
                    store.check_and_insert_at(&range(0, 10), time).unwrap();
                    assert!(store.effective_window() <= window);
                }
                store.compact().unwrap();
                store.close().unwrap();
                make().open(&dir).unwrap().check_and_insert(&range(0, 20)).unwrap();
                offline::verify(&dir, &mut |damage| panic!("{damage}")).unwrap();
            }
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path().join("store");
            let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
            let make = || {
                let clock = std::sync::Arc::new(clock.clone());
                builder().backend(backend).window(window).clock(clock).future_skew(longest)
            };
            let store = make().open(&dir).unwrap();
            insert(&store, 0, 10);
            clock.advance(window / 2);
            insert(&store, 10, 20);
            store.compact().unwrap();
            clock.advance(window / 2);
            assert_known(&store, 0, 20);
            store.close().unwrap();
            let store = make().open(&dir).unwrap();
            assert_known(&store, 0, 20);
            // Ticks are of a microsecond at least, and of a 2048th of the window.
            clock.advance(window / 2_048 + Duration::from_micros(2));
            assert_known(&store, 10, 20);
            assert_eq!(store.contains(&range(0, 10)).unwrap(), [false; 10], "{window:?}");
            insert(&store, 0, 10);
        }
    }
}
