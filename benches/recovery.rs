//! Opening a store whose process has died, to the first verdict.
//!
//! ```sh
//! cargo bench --bench recovery
//! FIRSTSEEN_BENCH_IDS=10000000 cargo bench --bench recovery -- unsealed    # ten times as many in both rows
//! ```
//!
//! With `FIRSTSEEN_BENCH_IDS` ids (a million unless told) that are sealed, where there is nothing to replay; with a tenth
//! of them in the log, and with all of them there. A store that is open and does nothing has in its files what
//! a SIGKILL would leave: they are copied, and each opening is that of a fresh copy, which is in the page cache and on the
//! medium. The copying and the closing are not counted. What the death of a process costs that has filled 100 M ids is
//! measured by `cargo bench --bench load -- recovery`.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use firstseen::{Recovery, Store, Verdict};
use tempfile::TempDir;

use support::feed;
use support::ids::{Id, id};
use support::setting;

const BATCH: u64 = 1_024;
/// Held by the process that has the store open; an opening makes its own.
const LOCK: &str = "LOCK";

fn openings(c: &mut Criterion) {
    let all = setting::ids(1_000_000, 20_000);
    let mut group = setting::group(c, "recovery");
    for (ids, sealed) in [(all, true), (all / 10, false), (all, false)] {
        let name = format!("{ids} ids {}", if sealed { "sealed" } else { "unsealed" });
        let mut left = None;
        if !sealed {
            group.throughput(Throughput::Elements(ids));
        }
        group.bench_function(&name, |b| {
            let left = left.get_or_insert_with(|| Left::new(ids, sealed));
            b.iter_custom(|openings| (0..openings).map(|_| left.open()).sum());
        });
        if let Some(Left { told, .. }) = left {
            let Recovery { segments, ids, torn_bytes, took, .. } = told;
            println!(
                "{name}: {ids} ids of {segments} segments replayed, {torn_bytes} bytes torn; the opening alone took \
                 {took:?} the last time\n"
            );
        }
    }
    group.finish();
}

/// What a process has left.
struct Left {
    folder: TempDir,
    ids: u64,
    sealed: bool,
    told: Recovery,
}

impl Left {
    fn new(ids: u64, sealed: bool) -> Left {
        let (folder, filled) = (setting::folder(), setting::folder());
        let store = open(filled.path(), ids);
        feed::fill(&store, 0..ids, BATCH);
        if sealed {
            store.compact().expect("compaction");
        }
        let frozen = store.stats().frozen_tables;
        assert_eq!((frozen, store.stats().runs > 0), (0, sealed), "nothing else is under way");
        copy(filled.path(), folder.path());
        Left { folder, ids, sealed, told: Recovery::default() }
    }

    /// Opens a copy.
    fn open(&mut self) -> Duration {
        let copied = setting::folder();
        copy(self.folder.path(), copied.path());
        let start = Instant::now();
        let store = open(copied.path(), self.ids);
        let verdicts = store.check_and_insert(&[id(0)]).expect("the call succeeds");
        let first = start.elapsed();
        assert!(verdicts[0].is_duplicate(), "the oldest id is known");
        self.told = store.recovery().clone();
        assert_eq!(self.told.ids, if self.sealed { 0 } else { self.ids });
        let some: Vec<Id> = (0..BATCH).map(|n| id(n * (self.ids - 1) / BATCH)).collect();
        let verdicts = store.check_and_insert(&some).expect("the call succeeds");
        assert!(verdicts.iter().all(Verdict::is_duplicate), "all that was acknowledged is known");
        first
    }
}

/// A store one table of which holds so many ids: the default, or one with more memory.
fn open(dir: &Path, ids: u64) -> Store {
    let memory = (512 << 20).max(ids * 400);
    let builder = Store::builder().memory_budget(memory).expected_ids(ids);
    builder.open(dir).expect("a store opens")
}

/// Copies a store's files, and has them on the medium.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let name = entry.expect("a file").file_name();
        if name == LOCK {
            continue;
        }
        let to = to.join(&name);
        std::fs::copy(from.join(&name), &to).expect("a copy");
        let copy = std::fs::OpenOptions::new().write(true).open(&to).expect("a file");
        copy.sync_all().expect("a sync");
    }
}

criterion_group!(benches, openings);
criterion_main!(benches);
