//! Runs: building, looking up, probing the filter, merging. 4 M records, in the page cache.
//!
//! Lookups are in random order. One by one each waits for its own cache misses: the cost of a single hit. In
//! batches of 1024, as calls have them, those of a batch overlap.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use firstseen::internals::File;
use firstseen::internals::run::{BenchRun, merge, write};
use firstseen::{Fingerprint, ReadMode};

const RECORDS: u64 = 4_000_000;
const PROBES: u64 = 10_000;
const BATCH: usize = 1_024;
/// Batches that take turns.
const BATCHES: u64 = 256;

/// The `n` th of a set of evenly spread numbers (SplitMix64, twice).
fn spread(n: u64) -> u128 {
    let half = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    u128::from(half(2 * n + 1)) << 64 | u128::from(half(2 * n + 2))
}

/// The `i`th probe of a set of `RECORDS` numbers that begins with number `from`, in no order.
fn scattered(from: u64, i: u64) -> u128 {
    spread(from + i.wrapping_mul(7_919) % RECORDS)
}

fn sorted(numbers: impl Iterator<Item = u64>) -> Vec<(u128, u8)> {
    let mut records: Vec<_> = numbers.map(|n| (spread(n), n as u8)).collect();
    records.sort_unstable();
    records
}

fn runs(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("bench.run");
    let records = sorted(0..RECORDS);
    let mut group = c.benchmark_group("run");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));

    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("build", |b| {
        b.iter(|| write(create(&path), &path, &records).expect("a run"))
    });

    let bytes = write(create(&path), &path, &records).expect("a run");
    println!("{:.3} bytes an id", bytes as f64 / RECORDS as f64);
    group.throughput(Throughput::Elements(PROBES));
    let some = |from, turn: u64| (0..PROBES).map(move |i| scattered(from, turn * PROBES + i));
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let run = BenchRun::open(open(&path), &path, mode).expect("the run");
        let mut turn = 0;
        group.bench_function(format!("get hit, {mode:?}"), |b| {
            b.iter(|| {
                turn += 1;
                some(0, turn).filter(|&bits| run.get(bits).expect("sound").is_some()).count()
            })
        });
        group.bench_function(format!("filter, absent, {mode:?}"), |b| {
            b.iter(|| {
                turn += 1;
                some(RECORDS, turn).filter(|&bits| run.may_contain(bits).expect("sound")).count()
            })
        });
    }

    batches(&mut group, &BenchRun::open(open(&path), &path, ReadMode::Mapped).expect("the run"));

    for sources in [2, 4, 16] {
        let parts: Vec<_> = (0..sources)
            .map(|k| {
                let path = dir.path().join(format!("part-{sources}-{k}.run"));
                let part = sorted((k..RECORDS).step_by(sources as usize));
                write(create(&path), &path, &part).expect("a run");
                BenchRun::open(open(&path), &path, ReadMode::Mapped).expect("the run")
            })
            .collect();
        group.throughput(Throughput::Elements(RECORDS));
        group.bench_function(format!("merge {sources}"), |b| {
            b.iter(|| black_box(merge(&parts).expect("sound")))
        });
    }
}

/// Batches of present and of absent ids.
fn batches(group: &mut BenchmarkGroup<'_, WallTime>, run: &BenchRun) {
    let some = |from| -> Vec<_> {
        let ids = (0..BATCH as u64 * BATCHES).map(|i| scattered(from, i));
        ids.map(Fingerprint::from_u128).collect()
    };
    let (present, absent) = (some(0), some(RECORDS));
    let asked: Vec<u32> = (0..BATCH as u32).collect();
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut turns = present.chunks(BATCH).cycle();
    group.bench_function("get hit, in batches", |b| {
        b.iter(|| {
            let batch = turns.next().expect("they go round");
            assert_eq!(run.find_each(batch, &asked).expect("sound"), BATCH);
        })
    });
    for (name, ids) in [("absent", &absent), ("present", &present)] {
        let (mut turns, mut out) = (ids.chunks(BATCH).cycle(), Vec::new());
        group.bench_function(format!("filter, {name}, in batches"), |b| {
            b.iter(|| {
                out.clear();
                let batch = turns.next().expect("they go round");
                run.filter_each(batch, &asked, &mut out).expect("sound");
                out.len()
            })
        });
    }
}

criterion_group!(benches, runs);
criterion_main!(benches);

#[path = "support/plain_file.rs"]
mod plain_file;

fn create(path: &Path) -> Box<dyn File> {
    let _ = std::fs::remove_file(path);
    Box::new(plain_file::PlainFile::create(path).expect("a file"))
}

fn open(path: &Path) -> Box<dyn File> {
    Box::new(plain_file::PlainFile::open(path).expect("a file"))
}
