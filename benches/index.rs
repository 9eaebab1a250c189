//! The active table by itself: fingerprints in batches of 1024, each line asked for as a call of the store asks for it.
//!
//! ```sh
//! cargo bench --bench index                            # a minute, 600 MiB of memory
//! cargo bench --bench index -- 'index, 512 MiB/insert' # what has this in its name
//! ```
//!
//! In a table of 64 MiB, that of a store with the default budget of memory, and in one of 512 MiB, far outside the
//! caches. "insert, new" goes from an empty table to one as full as a store makes it, 65 %, again and again; emptying it
//! is not counted. Everything else is in a table that is as full. Fingerprints are made between the batches, not
//! counted; where two threads share a table, the time is that of the longer one, and each makes its own meanwhile.

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use firstseen::Fingerprint;
use firstseen::internals::index::{AHEAD, BenchTable};

use support::BATCH;
use support::keys::Random;
use support::setting;

/// What is inserted is made by this seed, and by those that follow in other threads.
const PRESENT: u64 = 1;
const ABSENT: u64 = 1_000;
const TICK: u8 = 7;

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn tables(c: &mut Criterion) {
    setting::print_line_rate();
    for bucket_bits in if setting::quick() { [16, 17] } else { [20, 23] } {
        let mut table = Filled::empty(bucket_bits);
        let name = format!("index, {} MiB", (64 << bucket_bits) >> 20);
        let mut group = setting::group(c, &name);
        for threads in [1, 2] {
            fill(&mut group, &mut table, threads);
        }
        batches(&mut group, &mut table);
        wholes(&mut group, &mut table);
        group.finish();
    }
}

struct Filled {
    table: BenchTable,
    /// How many threads filled it; none if it is empty.
    threads: usize,
}

impl Filled {
    fn empty(bucket_bits: u32) -> Filled {
        Filled { table: BenchTable::new(bucket_bits).expect("memory"), threads: 0 }
    }

    /// The table as one thread has filled it.
    fn by_one(&mut self) -> &BenchTable {
        if self.threads != 1 {
            self.fill(1);
        }
        &self.table
    }

    /// Empties it, and fills it from so many threads; the time of the longest.
    fn fill(&mut self, threads: usize) -> Duration {
        if self.threads > 0 {
            self.table.clear();
        }
        self.threads = threads;
        let (table, each) = (&self.table, self.table.capacity() / threads);
        if threads == 1 {
            return insert(table, each, PRESENT);
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = (PRESENT..PRESENT + threads as u64)
                .map(|seed| scope.spawn(move || insert(table, each, seed)))
                .collect();
            let times = threads.into_iter().map(|thread| thread.join().expect("a thread ends"));
            times.max().expect("there are threads")
        })
    }
}

/// Inserts so many new ids; the time without that of making them.
fn insert(table: &BenchTable, ids: usize, seed: u64) -> Duration {
    let (mut random, mut batch) = (Random(seed), [Fingerprint::default(); BATCH]);
    let (mut left, mut spent, mut inserted) = (ids, Duration::ZERO, 0);
    while left > 0 {
        let batch = &mut batch[..left.min(BATCH)];
        random.fill(batch);
        left -= batch.len();
        let start = Instant::now();
        inserted += count(table, batch, |id| table.insert(id, TICK));
        spent += start.elapsed();
    }
    assert_eq!(inserted, ids, "all are new");
    spent
}

/// How many of a batch are so.
fn count(table: &BenchTable, ids: &[Fingerprint], is: impl Fn(Fingerprint) -> bool) -> usize {
    let mut found = 0;
    ids.iter().take(AHEAD).for_each(|&id| table.prefetch(id));
    for (i, &id) in ids.iter().enumerate() {
        if let Some(&ahead) = ids.get(i + AHEAD) {
            table.prefetch(ahead);
        }
        found += usize::from(is(id));
    }
    found
}

fn fill(group: &mut Group<'_>, table: &mut Filled, threads: usize) {
    let name = match threads {
        1 => "insert, new".to_owned(),
        _ => format!("insert, new, {threads} threads"),
    };
    let (ids, mut presented) = ((table.table.capacity() / threads * threads) as u64, 0);
    group.throughput(Throughput::Elements(ids));
    group.bench_function(&name, |b| {
        b.iter_custom(|rounds| {
            presented += rounds * ids;
            (0..rounds).map(|_| table.fill(threads)).sum()
        });
    });
    report(&name, table, presented);
}

/// How many ids that were, for whoever counts something else meanwhile.
fn report(name: &str, table: &Filled, presented: u64) {
    if presented > 0 {
        let bytes = table.table.memory() as f64 / table.table.capacity() as f64;
        println!("{name}: {presented} ids; a full table has {bytes:.1} bytes an id\n");
    }
}

/// What is done to a full table, batch by batch.
fn batches(group: &mut Group<'_>, table: &mut Filled) {
    group.throughput(Throughput::Elements(BATCH as u64));
    batch(group, table, "insert, present", PRESENT, 0, |table, id| table.insert(id, TICK));
    batch(group, table, "get, present", PRESENT, BATCH, |table, id| table.get(id) == Some(TICK));
    batch(group, table, "get, absent", ABSENT, 0, |table, id| table.get(id).is_some());
}

/// Batches made by `seed`, of each of which so many ids are so.
fn batch(
    group: &mut Group<'_>,
    table: &mut Filled,
    name: &str,
    seed: u64,
    expected: usize,
    is: impl Fn(&BenchTable, Fingerprint) -> bool,
) {
    let (mut random, mut left, mut batch) = (Random(seed), 0, [Fingerprint::default(); BATCH]);
    let mut presented = 0;
    group.bench_function(name, |b| {
        let table = table.by_one();
        b.iter_custom(|batches| {
            presented += batches * BATCH as u64;
            let mut spent = Duration::ZERO;
            for _ in 0..batches {
                if left < BATCH {
                    (random, left) = (Random(seed), table.capacity());
                }
                left -= BATCH;
                random.fill(&mut batch);
                let start = Instant::now();
                let found = count(table, &batch, |id| is(table, id));
                spent += start.elapsed();
                assert_eq!(found, expected, "{name}");
            }
            spent
        });
    });
    report(name, table, presented);
}

/// What is done to a full table as a whole.
fn wholes(group: &mut Group<'_>, table: &mut Filled) {
    whole(group, table, "drain", |table| {
        let (mut before, mut drained) = (None, 0);
        table.drain(BATCH, |records| {
            assert!(before < records.first().copied(), "ids ascend");
            before = records.last().copied();
            drained += records.len();
        });
        drained
    });
    whole(group, table, "for each", |table| {
        let (mut ids, mut sum) = (0, 0);
        table.for_each(|id| (ids, sum) = (ids + 1, sum ^ id.as_u128()));
        black_box(sum);
        ids
    });
}

/// Something that meets as many ids as the table has.
fn whole(
    group: &mut Group<'_>,
    table: &mut Filled,
    name: &str,
    read: impl Fn(&BenchTable) -> usize,
) {
    let ids = table.table.capacity();
    let mut presented = 0;
    group.throughput(Throughput::Elements(ids as u64));
    group.bench_function(name, |b| {
        let table = table.by_one();
        b.iter(|| {
            presented += ids as u64;
            assert_eq!(read(table), ids, "all are met");
        });
    });
    report(name, table, presented);
}

criterion_group!(benches, tables);
criterion_main!(benches);
