//! What an id's fingerprint costs, in batches of 1024: our CMAC abreast, XXH3-128, and the `cmac`
//! crate one id at a time. Throughput counts ids, so the inverse of the rate is the time an id.

use std::hint::black_box;

use cmac::{KeyInit, Mac};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firstseen::IdentityKind;
use firstseen::testing::Fingerprinter;

const BATCH: usize = 1024;

/// A binary uuid, a uuid as text, a long composite id.
const SIZES: [usize; 3] = [16, 36, 100];

fn ids(count: usize, size: usize) -> Vec<Vec<u8>> {
    let id = |i: usize| (0..size).map(|at| (i * 31 + at * 7) as u8).collect();
    (0..count).map(id).collect()
}

fn batches(c: &mut Criterion) {
    let key = [7; 16];
    for kind in [IdentityKind::AesCmac, IdentityKind::Xxh3] {
        let mut group = c.benchmark_group(kind.to_string());
        let fingerprinter = Fingerprinter::new(kind, key);
        let mut out = Vec::new();
        for (count, size) in SIZES.map(|size| (BATCH, size)).into_iter().chain([(16, 16), (1, 16)])
        {
            let ids = ids(count, size);
            group.throughput(Throughput::Elements(count as u64));
            let name = BenchmarkId::new(format!("batch {count}"), size);
            group.bench_with_input(name, &ids, |b, ids| {
                b.iter(|| {
                    fingerprinter.batch(black_box(ids), &mut out);
                    black_box(&mut out);
                });
            });
        }
        // What callers with fixed-size ids have: no pointer to follow for each.
        let flat: Vec<[u8; 16]> = (0..BATCH as u128).map(u128::to_be_bytes).collect();
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("batch 1024, flat/16", |b| {
            b.iter(|| {
                fingerprinter.batch(black_box(&flat), &mut out);
                black_box(&mut out);
            });
        });
        group.finish();
    }
}

fn cmac_crate(c: &mut Criterion) {
    let mut group = c.benchmark_group("cmac crate");
    group.throughput(Throughput::Elements(BATCH as u64));
    let keyed = cmac::Cmac::<aes::Aes128>::new(&[7; 16].into());
    for size in SIZES {
        let ids = ids(BATCH, size);
        group.bench_with_input(BenchmarkId::new("one by one", size), &ids, |b, ids| {
            b.iter(|| {
                for id in ids {
                    black_box(keyed.clone().chain_update(id).finalize());
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, batches, cmac_crate);
criterion_main!(benches);
