//! The filter of the window against its alternatives: absent ids, and ids added in run order.
//!
//! `FIRSTSEEN_BENCH_IDS` is the number of ids in the window (10 million unless told). The table
//! comes first, the measurements of criterion after it; name one that does not exist to have the
//! table alone: `cargo bench --bench filter -- table`.

mod support;

use std::{
    hint::black_box,
    iter,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput};
use firstseen::{Fingerprint, internals::WindowFilter};

use support::{
    BATCH,
    filters::{Fast, Filter, GENERATIONS, PerGeneration, Record, Window},
    keys::{Random, Run},
    line_rate::LineRate,
    setting,
    tagged::Tagged,
};

type Build = fn(u64) -> Box<dyn Filter>;

const CANDIDATES: [(&str, Build); 7] = [
    ("window, 12 bits", |ids| Box::new(Window::new(ids, 12))),
    ("window, 16 bits", |ids| Box::new(Window::new(ids, 16))),
    ("8 generations, 16 bits", |ids| Box::new(PerGeneration::new(ids, 16))),
    ("tagged, 16-bit entries", |ids| Box::new(Tagged::<16, 4>::new(ids))),
    ("tagged, 32-bit entries", |ids| Box::new(Tagged::<32, 10>::new(ids))),
    ("fastbloom, 16 bits", |ids| Box::new(Fast::new(ids, 16))),
    ("probabilistic-collections, 16 bits", |ids| Box::new(Record::new(ids, 16))),
];

fn main() {
    let ids = setting::ids(10_000_000, 100_000);
    let rate = LineRate::new(ids * 2);
    let line_ns = rate.grouped_ns(Duration::from_secs(1));
    let rolling_ns = rate.rolling_ns(Duration::from_secs(1));
    drop(rate);
    println!(
        "{ids} ids; L = {:.0} M/s ({line_ns:.1} ns a line), rolling {rolling_ns:.1} ns",
        1e3 / line_ns
    );
    println!(
        "| candidate | bits/id | false positives | lines/probe | absent, ns | absent / L | add, ns |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700))
        .configure_from_args();
    for (name, build) in CANDIDATES {
        let mut filter = build(ids);
        let (added, add_ns) = fill(&mut *filter, ids);
        let (rate, absent_ns) = absent(&*filter, Duration::from_millis(1500));
        println!(
            "| {name} | {:.1} | {rate:.2e} | {:.2} | {absent_ns:.1} | {:.2} | {add_ns:.1} |",
            filter.bytes() as f64 * 8.0 / added as f64,
            filter.lines_per_probe(),
            absent_ns / line_ns,
        );
        sample(&mut criterion, name, &mut *filter, ids);
    }
    sweep(&Window::new(ids, 16).0, ids);
    criterion.final_summary();
}

/// Adds every generation's run, and says how many ids that were and the time of one.
fn fill(filter: &mut dyn Filter, ids: u64) -> (u64, f64) {
    let mut added = 0;
    let mut time = Duration::ZERO;
    let mut piece = Vec::with_capacity(BATCH);
    for generation in 0..GENERATIONS {
        let mut run = Run::new(generation, ids / GENERATIONS);
        loop {
            piece.clear();
            piece.extend(run.by_ref().take(BATCH));
            if piece.is_empty() {
                break;
            }
            let start = Instant::now();
            filter.add(generation, &piece);
            time += start.elapsed();
            added += piece.len() as u64;
        }
    }
    (added, time.as_nanos() as f64 / added as f64)
}

/// The share of absent ids that may be known, and the time of one: the median over batches.
fn absent(filter: &dyn Filter, time: Duration) -> (f64, f64) {
    let mut random = Random(0xab5e);
    let mut batch = [Fingerprint::default(); BATCH];
    let mut hits = 0;
    let mut rounds = Vec::new();
    let end = Instant::now() + time;
    while Instant::now() < end {
        random.fill(&mut batch);
        let start = Instant::now();
        hits += filter.probe(black_box(&batch));
        rounds.push(start.elapsed());
    }
    rounds.sort_unstable();
    let median_ns = rounds[rounds.len() / 2].as_nanos() as f64 / BATCH as f64;
    (hits as f64 / (rounds.len() * BATCH) as f64, median_ns)
}

/// The same under criterion, batch by batch; the keys are made outside the measured time.
fn sample(criterion: &mut Criterion, name: &str, filter: &mut dyn Filter, ids: u64) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut batch = [Fingerprint::default(); BATCH];
    let mut random = Random(0xc417);
    group.bench_function("absent", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut time = Duration::ZERO;
            for _ in 0..rounds {
                random.fill(&mut batch);
                let start = Instant::now();
                black_box(filter.probe(black_box(&batch)));
                time += start.elapsed();
            }
            time
        });
    });
    if filter.add_again() {
        let mut runs = iter::repeat_with(|| Run::new(0, ids / GENERATIONS)).flatten();
        group.bench_function("add", |bencher| {
            bencher.iter_custom(|rounds| {
                let mut time = Duration::ZERO;
                for _ in 0..rounds {
                    batch.fill_with(|| runs.next().expect("runs without end"));
                    let start = Instant::now();
                    filter.add(0, &batch);
                    time += start.elapsed();
                }
                time
            });
        });
    }
    group.finish();
}

/// The time to rewrite the whole filter out of all runs, range by range, without reading the runs.
fn sweep(filter: &WindowFilter, ids: u64) {
    const RANGE: u64 = 4096;
    let runs = (0..GENERATIONS).map(|seed| Run::new(seed, ids / GENERATIONS).peekable());
    let mut runs: Vec<_> = runs.collect();
    let mut builder = filter.range_builder();
    let mut slice = Vec::new();
    let mut time = Duration::ZERO;
    let mut swept = 0;
    for from in (0..filter.blocks()).step_by(RANGE as usize) {
        let range = from..(from + RANGE).min(filter.blocks());
        let last = *filter.hi_range(range.clone()).end();
        slice.clear();
        for run in &mut runs {
            slice.extend(iter::from_fn(|| run.next_if(|fp| (fp.as_u128() >> 64) as u64 <= last)));
        }
        let start = Instant::now();
        builder.start(range);
        slice.iter().for_each(|&fp| builder.add(fp));
        filter.rewrite(builder.from_block(), builder.images());
        time += start.elapsed();
        swept += slice.len();
    }
    println!("sweep of all blocks: {:.1} ns an id", time.as_nanos() as f64 / swept as f64);
}
