//! New ids for so long that sealing, merging and expiry happen all the time.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firstseen::testing::ManualClock;
use firstseen::{Stats, Timestamp};
use serde_json::json;

use crate::args::{self, Args};
use crate::feed::{self, Folder};
use crate::limits;
use crate::support::keys::Random;
use crate::support::machine;
use crate::tail::Tail;

const WINDOW: Duration = Duration::from_secs(86_400);
/// Parts of the run whose rates are told, to see whether it stays flat.
const PARTS: u64 = 10;

pub fn run(args: &Args, sustained: &args::Sustained) -> Result<(), Box<dyn Error>> {
    let l = limits::line_rate(Duration::from_millis(sustained.millis));
    let folder = Folder::new(args)?;
    // Their time is that of the ids: a window is over when so many of them have come.
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let builder = feed::builder(args.memory, sustained.window).window(WINDOW);
    let store = builder.clock(Arc::new(clock.clone())).open(folder.store())?;
    let an_id = WINDOW.as_nanos() / u128::from(sustained.window.max(1));
    let (mut random, mut chunk, mut verdicts) = (Random(1), Vec::new(), Vec::new());
    let (mut tail, mut parts, mut new, mut presented) = (Tail::default(), Vec::new(), 0, 0);
    let bar = feed::bar(sustained.ids, "sustained");
    let (load, processor, start) = (machine::load(), machine::processor(), Instant::now());
    let (mut part, mut counted) = (start, 0);
    while presented < sustained.ids {
        let old = sustained.window.min(new) / 2;
        let mut next = new;
        let count = args.batch.min(sustained.ids - presented);
        feed::fill(
            &mut chunk,
            (0..count).map(|_| {
                if old > 0 && random.word() % 100 < u64::from(sustained.duplicates) {
                    return new - 1 - random.word() % old;
                }
                next += 1;
                next - 1
            }),
        );
        let begun = Instant::now();
        store.check_and_insert_into(&chunk, &mut verdicts)?;
        tail.add(begun.elapsed());
        assert_eq!(feed::new(&verdicts), next - new, "verdicts are right");
        clock.advance(Duration::from_nanos((an_id * u128::from(next - new)) as u64));
        new = next;
        let before = presented * PARTS / sustained.ids;
        presented += count;
        bar.inc(count);
        if presented * PARTS / sustained.ids > before {
            parts.push(((presented - counted) as f64 / part.elapsed().as_secs_f64()).round());
            (part, counted) = (Instant::now(), presented);
        }
    }
    let took = start.elapsed();
    bar.finish_and_clear();
    let memory = machine::memory();
    store.compact()?;
    store.sync()?;
    let (finished, stats) = (start.elapsed(), store.stats());
    let spent = machine::processor().zip(processor).map(|(after, before)| after - before);
    // Making ids and looking verdicts over is the driver's own work, done between the calls.
    let spent = spent.map(|spent| spent.saturating_sub(took.saturating_sub(tail.total())));
    let each = |time: Duration| time.as_nanos() as f64 / sustained.ids as f64;
    let held = |bytes: u64| bytes as f64 / stats.ids.max(1) as f64;
    println!(
        "{}",
        json!({
            "what": "sustained",
            "n": sustained.ids,
            "window": sustained.window,
            "batch": args.batch,
            "duplicates_percent": sustained.duplicates,
            "durability": "buffered",
            "load": load,
            "ids_per_s": (1e9 / each(took)).round(),
            "ns_per_id": each(took),
            "finished_ns_per_id": each(finished),
            "cpu_ns_per_id": spent.map(each),
            "ratio_to_l": 1e9 / each(took) / l,
            "tenths": parts,
            "last_of_first": parts.last().zip(parts.first()).map(|(last, first)| last / first),
            "call": tail.report(),
            "written_per_id": written(&stats) as f64 / sustained.ids as f64,
            "bytes_per_id": held(feed::disk_bytes(&folder.store())?),
            "memory_per_id": memory.map(held),
            "filter_hits_per_id": stats.filter_false_positives as f64 / sustained.ids as f64,
            "pages_per_id": stats.page_reads as f64 / sustained.ids as f64,
            "sealed": stats.sealed,
            "merged": stats.merged,
            "expired": stats.expired,
        })
    );
    Ok(store.close()?)
}

fn written(stats: &Stats) -> u64 {
    stats.log_bytes_written + stats.run_bytes_written
}
