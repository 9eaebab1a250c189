//! A log that is written through a mapping: how many calls of the system it saves, and that it loses nothing.

use std::path::Path;

use firstseen::{Durability, Store, WriteMode, offline};

const IDS: u64 = 60_000;

fn id(n: u64) -> [u8; 8] {
    n.to_le_bytes()
}

fn open(dir: &Path, mode: WriteMode) -> Store {
    Store::builder().write_mode(mode).memory_budget(16 << 20).open(dir).unwrap()
}

/// Lets ids in, one a call.
fn let_in(store: &Store, ids: std::ops::Range<u64>) {
    for n in ids {
        assert!(store.check_and_insert(&[id(n)]).unwrap()[0].is_new());
    }
}

/// How many calls that write this process has made.
#[cfg(target_os = "linux")]
fn writes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("syscw: "));
    line.unwrap().parse().unwrap()
}

/// One test, for the count is that of the whole process.
#[test]
fn a_mapped_log_is_written_without_calls_and_read_back() {
    for (mode, at_most) in [(WriteMode::Positioned, IDS + 200), (WriteMode::Mapped, 200)] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), mode);
        #[cfg(target_os = "linux")]
        let before = writes();
        let_in(&store, 0..IDS);
        #[cfg(target_os = "linux")]
        {
            let made = writes() - before;
            assert!(made <= at_most, "{made} calls in {mode:?}");
            assert!(mode == WriteMode::Mapped || made >= IDS, "{made} calls in {mode:?}");
        }
        let _ = at_most;
        // Somebody else reads what was acknowledged, while the store is open and after it was left as a kill leaves it.
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        let left = open(copy.path(), mode);
        assert_eq!(left.recovery().ids, IDS, "{mode:?}");
        drop(left);

        store.sync().unwrap();
        let_in(&store, IDS..IDS + 10);
        store.compact().unwrap();
        store.close().unwrap();
        let found = offline::verify(dir.path(), &mut |damage| panic!("{damage}")).unwrap();
        assert_eq!(found.records, IDS + 10);
        // Whatever mode it was written in, it is opened in the other.
        let other = Store::builder().durability(Durability::Sync).open(dir.path()).unwrap();
        assert!((0..IDS + 10).all(|n| !other.check_and_insert(&[id(n)]).unwrap()[0].is_new()));
        other.close().unwrap();
    }
}
