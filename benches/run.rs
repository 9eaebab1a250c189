//! Runs: building, looking up, probing the filter, merging. 4 M records, in the page cache.
//!
//! Lookups go one by one in random order, so each waits for its own cache misses: this is the cost of
//! a single hit, not of a prefetched batch.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use firstseen::ReadMode;
use firstseen::internals::File;
use firstseen::internals::run::{BenchRun, merge, write};

const RECORDS: u64 = 4_000_000;
const PROBES: u64 = 10_000;

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
    let some = |from: u64, turn: u64| {
        (0..PROBES).map(move |i| spread(from + (turn * PROBES + i).wrapping_mul(7_919) % RECORDS))
    };
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
