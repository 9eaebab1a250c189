//! `check_and_insert` by what is presented, in which batches, by how many threads, to which store.
//!
//! ```sh
//! cargo bench --bench check_and_insert                          # a minute and a half
//! cargo bench --bench check_and_insert -- 'new, batch'          # what has this in its name
//! FIRSTSEEN_BENCH_IDS=100000000 cargo bench --bench check_and_insert -- 'M in the window'
//! ```
//!
//! Not every combination. The centre is a batch of 1024 ids, one thread, 5 M ids in the window (`FIRSTSEEN_BENCH_IDS`, at
//! least 100,000), more than the caches hold and less than memory, `Buffered`. From there one thing changes at a time:
//!
//! | axis | values |
//! |---|---|
//! | ids | new; duplicates in the active table (young) or in merged runs (old); 1 % and 50 % old duplicates among new ones |
//! | batch, of new ids and of old duplicates | 1, 16, 256, 1024, 8192 |
//! | threads, with new ids and with old duplicates | 1, 2 |
//! | window, with new ids, young and old duplicates | 50,000 ids, with tables of 4 MiB: in the caches |
//! | durability, of new ids | `Buffered`, `Interval(100 ms)`, `Sync` |
//!
//! A window four times as large as memory wants memory bounded from outside: that is `cargo bench --bench load -- cold`.
//!
//! The window is full and stays as large: time passes with the new ids, an eighth of a window at once, and what is to be
//! sealed, merged and dropped then is not counted. So a row tells what a call costs, whatever is postponed. What it
//! costs to go on like that is told by "sealing counted", where time passes evenly and the thread of the background
//! seals, merges and drops meanwhile; a caller that outruns it waits. Each row begins with everything sealed and merged.
//! The exception are new ids in the small window: a fresh store is filled with them again and again, all in one table;
//! opening and closing it is not counted.
//!
//! Where two threads share a store, the time is that of the longer one. Ids are made between the calls, not counted;
//! verdicts are looked at by a pass over them, counted.

mod support;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use firstseen::{Durability, Stats};

use support::setting;
use support::window::{Row, Shape, Window, Work};

/// Ids of a window that the caches hold.
const SMALL: u64 = 50_000;
const NEW: Row = Row { work: Work::New, batch: 1_024, threads: 1, sealing: false };
const OLD: Row = Row { work: Work::Old, ..NEW };
const YOUNG: Row = Row { work: Work::Young, ..NEW };
const BATCHES: [u64; 4] = [1, 16, 256, 8_192];

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn rows(c: &mut Criterion) {
    setting::print_line_rate();
    let ids = setting::ids(5_000_000, 100_000);
    assert!(ids >= 100_000, "FIRSTSEEN_BENCH_IDS is at least 100000");
    let centre = Shape { ids, young: ids / 10, durability: Durability::Buffered, active_ids: None };
    let mut group = setting::group(c, "check_and_insert");
    in_memory(&mut group, centre);
    small(&mut group);
    for (name, durability) in [
        ("new, interval 100 ms", Durability::Interval(Duration::from_millis(100))),
        ("new, sync", Durability::Sync),
    ] {
        let shape = Shape { durability, ..centre };
        let mut window = Lazy::new(move || Window::full(shape));
        row(&mut group, name, &mut window, NEW);
    }
    group.finish();
}

/// The centre, and the axes that need no other store.
fn in_memory(group: &mut Group<'_>, centre: Shape) {
    let window = &mut Lazy::new(move || Window::full(centre));
    let millions = centre.ids as f64 / 1e6;
    let name = |what: &str| format!("{what}, {millions} M in the window");
    let duplicates = |percent| Row { work: Work::Duplicates(percent), ..NEW };
    row(group, &name("new"), window, NEW);
    row(group, &name("new, sealing counted"), window, Row { sealing: true, ..NEW });
    row(group, &name("1 % duplicates"), window, duplicates(1));
    row(group, &name("50 % duplicates"), window, duplicates(50));
    for batch in BATCHES {
        row(group, &format!("new, batch {batch}"), window, Row { batch, ..NEW });
    }
    row(group, "new, 2 threads", window, Row { threads: 2, ..NEW });
    row(group, &name("duplicate, old"), window, OLD);
    for batch in BATCHES {
        row(group, &format!("duplicate, old, batch {batch}"), window, Row { batch, ..OLD });
    }
    row(group, "duplicate, old, 2 threads", window, Row { threads: 2, ..OLD });
    row(group, &name("duplicate, young"), window, YOUNG);
}

/// The window in the caches.
fn small(group: &mut Group<'_>) {
    let shape = Shape {
        ids: SMALL,
        young: SMALL,
        durability: Durability::Buffered,
        active_ids: Some(2 * SMALL as usize),
    };
    fresh(group, "new, 50 k in the window", shape);
    let window = &mut Lazy::new(move || Window::full(shape));
    row(group, "duplicate, old, 50 k in the window", window, OLD);
    // Without runs: they are all that there is.
    let window = &mut Lazy::new(move || Window::empty(shape));
    row(group, "duplicate, young, 50 k in the window", window, YOUNG);
}

/// A store that is filled when it is first wanted, for what is asked for may be another row.
struct Lazy<F>(Option<Window>, F);

impl<F: Fn() -> Window> Lazy<F> {
    fn new(make: F) -> Lazy<F> {
        Lazy(None, make)
    }
}

fn row(group: &mut Group<'_>, name: &str, window: &mut Lazy<impl Fn() -> Window>, row: Row) {
    let mut before = None;
    let mut presented = 0;
    group.throughput(Throughput::Elements(row.ids()));
    group.bench_function(name, |b| {
        let window = window.0.get_or_insert_with(&window.1);
        before.get_or_insert_with(|| {
            window.prepare(row.work);
            window.stats()
        });
        b.iter_custom(|batches| {
            presented += batches * row.ids();
            window.present(row, batches)
        });
    });
    if let Some((before, window)) = before.zip(window.0.as_ref()) {
        report(name, &before, &window.stats(), presented);
    }
}

/// New ids in stores that are filled with a window of them; the first batch of each, which has the log's first file
/// made, is not counted.
fn fresh(group: &mut Group<'_>, name: &str, shape: Shape) {
    let batches = shape.ids / NEW.batch;
    let (mut presented, mut last) = (0, None);
    group.throughput(Throughput::Elements((batches - 1) * NEW.batch));
    group.bench_function(name, |b| {
        b.iter_custom(|stores| {
            let fill = |_| {
                let mut window = Window::empty(shape);
                window.present(NEW, 1);
                let spent = window.present(NEW, batches - 1);
                presented = batches * NEW.batch;
                last = Some(window.stats());
                spent
            };
            (0..stores).map(fill).sum()
        });
    });
    if let Some(last) = last {
        report(name, &Stats::default(), &last, presented);
    }
}

/// What the store has counted for an id: a filter that is never asked must not look fine.
fn report(name: &str, before: &Stats, after: &Stats, presented: u64) {
    let counted = |of: fn(&Stats) -> u64| of(after) - of(before);
    let each = |of| counted(of) as f64 / presented as f64;
    let judged = counted(|stats| stats.new) + counted(|stats| stats.duplicates);
    assert_eq!(judged, presented, "each was new or a duplicate");
    println!(
        "{name}: {presented} ids; an id: {:.4} ruled out by the filter, {:.5} let through in vain, {:.4} page reads, \
         {:.2} bytes written, {:.5} syncs; {} tables sealed, {} merges, {} generations dropped\n",
        each(|stats| stats.filter_negatives),
        each(|stats| stats.filter_false_positives),
        each(|stats| stats.page_reads),
        each(|stats| stats.log_bytes_written + stats.run_bytes_written),
        each(|stats| stats.syncs),
        counted(|stats| stats.sealed),
        counted(|stats| stats.merged),
        counted(|stats| stats.expired),
    );
}

criterion_group!(benches, rows);
criterion_main!(benches);
