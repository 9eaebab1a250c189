//! Failures of stores that are kept somewhere, each as the sequence that showed it, over every backend of
//! this build.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use firstseen::{Backend, Builder, Durability, Error, Store, Verdict, offline};

mod support;

use support::files::copy_folder;

const CHILD: &str = "FIRSTSEEN_TEST_CHILD";

fn backends() -> impl Iterator<Item = Backend> {
    [Backend::Mapped, Backend::Sled]
        .into_iter()
        .filter(|&b| b == Backend::Mapped || cfg!(feature = "sled"))
}

fn builder(backend: Backend) -> Builder {
    Store::builder().backend(backend).active_ids(2_000).memory_budget(16 << 20)
}

fn ids(range: std::ops::Range<u64>) -> Vec<[u8; 8]> {
    range.map(u64::to_le_bytes).collect()
}

fn insert(store: &Store, range: std::ops::Range<u64>) {
    for from in range.step_by(100) {
        let verdicts = store.check_and_insert(&ids(from..from + 100)).unwrap();
        assert!(verdicts.iter().all(Verdict::is_new));
    }
}

fn known(store: &Store, range: std::ops::Range<u64>) -> usize {
    store.contains(&ids(range)).unwrap().iter().filter(|known| **known).count()
}

/// Ends the process where a run was sealed for the first time.
struct DieAtSeal(AtomicBool);

impl tracing::field::Visit for DieAtSeal {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" && format!("{value:?}") == "sealed a run" {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl tracing::Subscriber for DieAtSeal {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut sealed = DieAtSeal(AtomicBool::new(false));
        event.record(&mut sealed);
        if sealed.0.into_inner() {
            std::process::abort();
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Not a test of its own: what the child of the next one does.
#[test]
fn child() {
    let Ok(told) = env::var(CHILD) else { return };
    let (backend, dir) = told.split_once(' ').unwrap();
    let store = builder(backend.parse().unwrap()).background(false).open(dir).unwrap();
    tracing::subscriber::set_global_default(DieAtSeal(AtomicBool::new(false))).unwrap();
    insert(&store, 0..2_500);
    store.seal().unwrap();
    unreachable!("it died at the first of two seals");
}

/// The manifest of the first seal counts on a segment of which nothing was written yet. In sled there was
/// then no trace of it, and the store never opened again.
#[test]
fn a_death_between_two_seals_is_opened() {
    for backend in backends() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        let child = Command::new(env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(CHILD, format!("{backend} {}", dir.display()))
            .output()
            .unwrap();
        assert!(!child.status.success(), "{backend}");
        let store = builder(backend).open(&dir).unwrap();
        assert_eq!(known(&store, 0..2_500), 2_500, "{backend}");
    }
}

/// A poisoned log kept its segments, and with them the database, while any handle lived.
#[test]
fn a_poisoned_store_that_is_closed_can_be_opened() {
    for backend in backends() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        let store = builder(backend).open(&dir).unwrap();
        insert(&store, 0..100);
        // No manifest can be written where a folder stands in its place.
        fs::create_dir_all(dir.join("MANIFEST.new/in the way")).unwrap();
        let mut told = 100;
        while let Ok(verdicts) = store.check_and_insert(&ids(told..told + 100)) {
            assert!(verdicts.iter().all(Verdict::is_new));
            told += 100;
        }
        let other = store.clone();
        store.close().unwrap_err();
        fs::remove_dir_all(dir.join("MANIFEST.new")).unwrap();
        let store = builder(backend).open(&dir).unwrap();
        assert_eq!(known(&store, 0..told), told as usize, "{backend}");
        assert!(matches!(other.contains(&ids(0..1)), Err(Error::Closed)));
    }
}

/// Somebody who is written to, and tries to open the store each time.
struct Opens<'a>(Backend, &'a Path, usize);

impl Write for Opens<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let opened = builder(self.0).open(self.1);
        match self.0 {
            Backend::Mapped => drop(opened.unwrap()),
            _ => assert!(matches!(opened, Err(Error::Locked { .. })), "{opened:?}"),
        }
        self.2 += 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lock was given up when the export had read its list, and not when it had read the runs.
#[test]
fn an_export_keeps_what_it_reads() {
    for backend in backends() {
        let folder = tempfile::tempdir().unwrap();
        let store = builder(backend).open(folder.path()).unwrap();
        insert(&store, 0..4_000);
        store.seal().unwrap();
        store.close().unwrap();
        let mut opens = Opens(backend, folder.path(), 0);
        assert_eq!(offline::export(folder.path(), &mut opens).unwrap(), 4_000);
        assert!(opens.2 > 3, "{} writes", opens.2);
    }
}

/// The files that a closed store has its log in.
fn files_of_the_log(backend: Backend, dir: &Path) -> Vec<std::path::PathBuf> {
    let logs = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    match backend {
        Backend::Mapped => {
            logs.filter(|path| path.extension().is_some_and(|e| e == "log")).collect()
        }
        _ => vec![dir.join("sled/db")],
    }
}

/// Sled takes a page that does not verify for the end of its log, and cuts off what follows. What was
/// durable when the store was closed is missed all the same.
#[test]
fn a_bit_that_changes_in_a_closed_store_is_noticed() {
    std::panic::set_hook(Box::new(|panic| {
        if !panic.location().is_some_and(|at| at.file().contains("sled-0.34")) {
            eprintln!("{panic}");
        }
    }));
    for (backend, sealed) in backends().flat_map(|backend| [(backend, false), (backend, true)]) {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        let open = |dir: &Path| builder(backend).durability(Durability::Sync).open(dir);
        let store = open(&dir).unwrap();
        insert(&store, 0..1_900);
        if sealed {
            store.seal().unwrap();
        }
        store.close().unwrap();
        for (file, percent) in files_of_the_log(backend, &dir)
            .iter()
            .flat_map(|file| (1..100).step_by(7).map(move |p| (file, p)))
        {
            let copied = folder.path().join("copy");
            copy_folder(&dir, &copied);
            let damaged = copied.join(file.strip_prefix(&dir).unwrap());
            let mut bytes = fs::read(&damaged).unwrap();
            let used = bytes.iter().rposition(|&byte| byte != 0).unwrap();
            bytes[used * percent / 100] ^= 1;
            fs::write(&damaged, bytes).unwrap();
            let looked = folder.path().join("looked");
            copy_folder(&copied, &looked);
            let verified = offline::verify(&looked, &mut |_| {});
            let clean = verified.is_ok_and(|verified| verified.damages == 0);
            let lost = match open(&copied).and_then(|store| store.contains(&ids(0..1_900))) {
                Ok(found) => found.iter().filter(|known| !**known).count(),
                Err(_) => 0,
            };
            assert_eq!(lost, 0, "{backend}, sealed {sealed}, bit at {percent} %");
            // What is garbage to sled may change unnoticed.
            let must = !(sealed && backend != Backend::Mapped);
            assert!(!(clean && must), "{backend}, sealed {sealed}, bit at {percent} %");
            fs::remove_dir_all(&copied).unwrap();
            fs::remove_dir_all(&looked).unwrap();
        }
    }
}
