//! What claims cost: calls beside claims, and transactions, by batch size.
//!
//! ```sh
//! cargo bench --bench transactions
//! cargo bench --bench transactions -- outcome    # the rows whose name has this word
//! ```
//!
//! 16-byte ids, one thread, `Buffered`, a fresh store for each figure, on the folder named by
//! `FIRSTSEEN_BENCH_DIR` (default: the system's temporary folder). The rows are measured in turns, round
//! after round, and the median of the rounds is told, with the lowest and the highest.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use firstseen::{Claim, Store};

use support::ids::{Id, id};
use support::setting;

/// A way of putting a batch of new ids through a store.
type Put = fn(&Store, u64, &[Id]);

struct Way {
    name: &'static str,
    put: Put,
    /// Whether a claim of another id is open meanwhile.
    beside: bool,
    /// How many batches are measured at the most.
    batches: u64,
}

const fn way(name: &'static str, put: Put) -> Way {
    Way { name, put, beside: false, batches: 20_000 }
}

const WAYS: &[Way] = &[
    way("check_and_insert, nothing claimed", check_and_insert),
    Way { beside: true, ..way("check_and_insert, one id claimed", check_and_insert) },
    way("begin, abort", begin_and_abort),
    way("begin, commit", begin_and_commit),
    way("begin_from, a key of the state, commit", with_state),
    way("begin, an outcome of 32 bytes for each id, commit", with_outcomes),
    Way { batches: 200, ..way("begin, prepare (synced), commit", two_phase) },
];

fn main() {
    let (quick, dir) = (setting::quick(), setting::dir());
    let (rounds, most) = if quick { (1, 2_000) } else { (5, 1_000_000) };
    let word = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let ways: Vec<&Way> = WAYS.iter().filter(|way| way.name.contains(&word)).collect();
    println!("| what | batch | ns an id | lowest to highest |\n|---|---|---|---|");
    for batch in [1, 16, 1_024] {
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); ways.len()];
        for _ in 0..rounds {
            for (times, way) in times.iter_mut().zip(&ways) {
                times.push(measure(&dir, batch, most.min(batch as u64 * way.batches), way));
            }
        }
        for (mut times, Way { name, .. }) in times.into_iter().zip(&ways) {
            times.sort_by(f64::total_cmp);
            let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
            println!("| {name} | {batch} | {median:.0} | {:.0} to {last:.0} |", times[0]);
        }
    }
}

/// Nanoseconds an id.
fn measure(dir: &Path, batch: usize, ids: u64, way: &Way) -> f64 {
    let folder = dir.join(format!("firstseen-bench-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let store = Store::open(&folder).expect("a store opens");
    let claim: Option<Claim> = way.beside.then(|| store.begin(&["another"]).expect("a claim"));
    let mut chunk = Vec::with_capacity(batch);
    let mut spent = Duration::ZERO;
    for first in (0..ids).step_by(batch) {
        chunk.clear();
        chunk.extend((first..(first + batch as u64).min(ids)).map(id));
        let start = Instant::now();
        (way.put)(&store, first, &chunk);
        spent += start.elapsed();
    }
    let stats = store.stats();
    assert!(stats.new == ids || stats.new == 0, "{} of {ids} are new", stats.new);
    drop(claim);
    store.close().expect("a store closes");
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    spent.as_nanos() as f64 / ids as f64
}

fn check_and_insert(store: &Store, _: u64, ids: &[Id]) {
    assert_eq!(store.check_and_insert(ids).expect("the call succeeds").len(), ids.len());
}

fn begin_and_abort(store: &Store, _: u64, ids: &[Id]) {
    store.begin(ids).expect("a claim").abort();
}

fn begin_and_commit(store: &Store, _: u64, ids: &[Id]) {
    store.begin(ids).expect("a claim").commit().expect("a commit");
}

fn with_state(store: &Store, first: u64, ids: &[Id]) {
    let records: Vec<(u64, Id)> = (first..).zip(ids.iter().copied()).collect();
    let mut tx = store.begin_from("source", &records).expect("a claim");
    let before = tx.state("total").expect("a state").map_or(0, |bytes| bytes.len());
    tx.put_state("total", vec![before as u8; 8]);
    tx.commit().expect("a commit");
}

fn with_outcomes(store: &Store, _: u64, ids: &[Id]) {
    let mut tx = store.begin(ids).expect("a claim");
    for i in tx.fresh() {
        tx.set_outcome(i, [7; 32]);
    }
    tx.commit().expect("a commit");
}

fn two_phase(store: &Store, first: u64, ids: &[Id]) {
    let tx = store.begin(ids).expect("a claim");
    tx.prepare(first.to_le_bytes()).expect("a prepare").commit().expect("a commit");
}
