//! The whole store: new, duplicate and mixed ids, by window size and batch size, beside the line
//! rate `L` that the same binary measures.
//!
//! ```sh
//! cargo bench --bench store                                  # 10 M ids, about a minute
//! FIRSTSEEN_BENCH_IDS=100000000 cargo bench --bench store    # 100 M ids: wants 2 GiB of memory
//! ```
//!
//! Every rate is of ids in order of submission, 16-byte ids, one thread, a fresh store on the
//! folder named by `FIRSTSEEN_BENCH_DIR` (default: the system's temporary folder). "sealed" counts
//! the same ids with the time until everything is in runs and the filter is in order: postponed
//! work, paid.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firstseen::{Durability, Store};

use support::feed;
use support::ids::{Id, id};
use support::keys::Random;
use support::setting;

/// One row of the table.
struct Row {
    what: String,
    ids: u64,
    took: Duration,
}

fn main() {
    let ids = setting::ids(10_000_000, 100_000);
    let line_ns = setting::print_line_rate();
    println!("| what | M ids/s | ns an id | of L |\n|---|---|---|---|");
    for row in run(&setting::dir(), ids) {
        let ns = row.took.as_nanos() as f64 / row.ids as f64;
        println!("| {} | {:.2} | {ns:.1} | {:.3} |", row.what, 1e3 / ns, line_ns / ns);
    }
}

fn run(dir: &Path, ids: u64) -> Vec<Row> {
    let mut rows = fill_and_ask(dir, ids);
    for batch in [1, 16, 256, 8_192] {
        rows.push(small_window(dir, batch, ids.min(2_000_000) / if batch == 1 { 8 } else { 1 }));
    }
    for (name, durability) in [
        ("interval 100 ms", Durability::Interval(Duration::from_millis(100))),
        ("sync", Durability::Sync),
    ] {
        rows.push(durable(dir, name, durability, ids.min(1_000_000)));
    }
    rows
}

/// New ids up to the whole window, then duplicates of all ages, then a mixture.
fn fill_and_ask(dir: &Path, ids: u64) -> Vec<Row> {
    let (store, folder) = open(dir, ids, Durability::Buffered);
    let label = |what: &str| format!("{what}, {} M in the window, batch 1024", ids / 1_000_000);
    let start = Instant::now();
    let new = feed(&store, 1024, (0..ids).map(id));
    let mut rows = vec![Row { what: label("new"), ids, took: start.elapsed() }];
    assert_eq!(new, ids);
    store.compact().expect("compaction");
    rows.push(Row { what: label("new, sealed"), ids, took: start.elapsed() });

    let asked = (ids / 4).max(1);
    let mut random = Random(7);
    let old: Vec<Id> = (0..asked).map(|_| id(random.word() % ids)).collect();
    let start = Instant::now();
    assert_eq!(feed(&store, 1024, old.iter().copied()), 0);
    rows.push(Row { what: label("duplicate, uniform"), ids: asked, took: start.elapsed() });

    let mixed = (0..asked).map(|n| if n % 2 == 0 { id(ids + n) } else { old[n as usize] });
    let start = Instant::now();
    assert_eq!(feed(&store, 1024, mixed), asked.div_ceil(2));
    rows.push(Row { what: label("half new, half duplicate"), ids: asked, took: start.elapsed() });
    report(&store, ids);
    close(store, &folder);
    rows
}

fn small_window(dir: &Path, batch: usize, ids: u64) -> Row {
    let (store, folder) = open(dir, ids, Durability::Buffered);
    let start = Instant::now();
    assert_eq!(feed(&store, batch, (0..ids).map(id)), ids);
    let row = Row { what: format!("new, batch {batch}"), ids, took: start.elapsed() };
    close(store, &folder);
    row
}

fn durable(dir: &Path, name: &str, durability: Durability, ids: u64) -> Row {
    let (store, folder) = open(dir, ids, durability);
    let start = Instant::now();
    assert_eq!(feed(&store, 1024, (0..ids).map(id)), ids);
    let row = Row { what: format!("new, {name}, batch 1024"), ids, took: start.elapsed() };
    close(store, &folder);
    row
}

/// Presents the ids in batches; returns how many were new.
fn feed(store: &Store, batch: usize, ids: impl Iterator<Item = Id>) -> u64 {
    let mut ids = ids.peekable();
    let (mut chunk, mut verdicts, mut new) = (Vec::with_capacity(batch), Vec::new(), 0);
    while ids.peek().is_some() {
        chunk.clear();
        chunk.extend(ids.by_ref().take(batch));
        store.check_and_insert_into(&chunk, &mut verdicts).expect("the call succeeds");
        new += feed::new(&verdicts);
    }
    new
}

fn open(dir: &Path, ids: u64, durability: Durability) -> (Store, PathBuf) {
    let folder = dir.join(format!("firstseen-bench-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let memory = if ids > 50_000_000 { 2 << 30 } else { 512 << 20 };
    let builder = Store::builder().durability(durability).memory_budget(memory).expected_ids(ids);
    (builder.open(&folder).expect("a store opens"), folder)
}

fn close(store: Store, folder: &Path) {
    store.close().expect("a store closes");
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}

/// What the counters say, so that a filter that is never consulted does not look fine.
fn report(store: &Store, ids: u64) {
    let stats = store.stats();
    let per_id = |bytes: u64| bytes as f64 / ids as f64;
    println!(
        "<!-- {} runs in {} generations, {:.2} bytes an id on disk, {:.2} written; memory: tables \
         {} MiB, filter {} MiB, runs {} MiB; filter negatives {}, false positives {}, page reads {} \
         -->",
        stats.runs,
        stats.generations,
        per_id(stats.run_bytes),
        per_id(stats.run_bytes_written + stats.log_bytes_written),
        stats.table_memory >> 20,
        stats.filter_memory >> 20,
        stats.run_memory >> 20,
        stats.filter_negatives,
        stats.filter_false_positives,
        stats.page_reads,
    );
}
