//! New ids from one thread and from several, with nothing in the background: identity, filter, table and log.
//!
//! The table takes all ids of a round and is sealed between two rounds, outside of what is timed. So no page is
//! touched for the first time meanwhile, and the filter holds the ids of the rounds before. Ids are made before, so
//! what is timed is calls and nothing else. Numbers of threads take turns, and the median round counts.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use firstseen::Store;
use serde_json::json;

use crate::args::{Args, Threads};
use crate::feed::{self, Folder};
use crate::limits;
use crate::support::ids::{Id, id};
use crate::support::machine;
use crate::tail::Tail;

/// Rounds before the first that counts: each of the tables that take turns is used once.
const WARM_UP: usize = 3;

pub fn run(args: &Args, asked: &Threads) -> Result<(), Box<dyn Error>> {
    let l = limits::line_rate(Duration::from_millis(asked.millis));
    let folder = Folder::new(args)?;
    let counted = asked.rounds * asked.threads.len();
    let all = asked.ids * (WARM_UP + counted) as u64;
    let builder = feed::builder(args.memory, all).active_ids(asked.ids as usize + (1 << 16));
    let store = builder.open(folder.store())?;
    let load = machine::load();
    let bar = feed::bar(all, "threads");
    let mut took = vec![Vec::new(); asked.threads.len()];
    let mut calls: Vec<_> = asked.threads.iter().map(|_| Tail::default()).collect();
    for round in 0..WARM_UP + counted {
        let first = round as u64 * asked.ids;
        let ids: Vec<Id> = (first..first + asked.ids).map(id).collect();
        let turn = round % asked.threads.len();
        let (spent, tail) = present(&store, &ids, args.batch as usize, asked.threads[turn])?;
        if round >= WARM_UP {
            took[turn].push(spent);
            calls[turn].append(tail);
        }
        store.seal()?;
        bar.inc(asked.ids);
    }
    bar.finish_and_clear();
    let medians: Vec<_> = took.iter_mut().map(|took| median(took)).collect();
    for ((&threads, &median), calls) in asked.threads.iter().zip(&medians).zip(calls) {
        let ns = median.as_nanos() as f64 / asked.ids as f64;
        println!(
            "{}",
            json!({
                "what": "threads",
                "threads": threads,
                "n": asked.ids,
                "batch": args.batch,
                "durability": "buffered",
                "load": load,
                "ids_per_s": (1e9 / ns).round(),
                "ns_per_id": ns,
                "ratio_to_l": 1e9 / ns / l,
                "ratio_to_first": medians[0].as_secs_f64() / median.as_secs_f64(),
                "call": calls.report(),
            })
        );
    }
    Ok(store.close()?)
}

/// Presents the ids in batches, which the threads take one after the other; how long that takes, and each call.
fn present(
    store: &Store,
    ids: &[Id],
    batch: usize,
    threads: usize,
) -> firstseen::Result<(Duration, Tail)> {
    let (next, start) = (AtomicU64::new(0), Instant::now());
    let (new, tail) = thread::scope(|scope| {
        let one = || -> firstseen::Result<(u64, Tail)> {
            let (mut verdicts, mut new, mut tail) = (Vec::new(), 0, Tail::default());
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed) as usize * batch;
                let Some(left) = ids.get(at..).filter(|left| !left.is_empty()) else {
                    return Ok((new, tail));
                };
                let begun = Instant::now();
                store.check_and_insert_into(&left[..batch.min(left.len())], &mut verdicts)?;
                tail.add(begun.elapsed());
                new += feed::new(&verdicts);
            }
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one)).collect();
        let (mut new, mut tail) = one()?;
        for other in others {
            let (others_new, others_tail) = other.join().expect("a thread presents ids")?;
            new += others_new;
            tail.append(others_tail);
        }
        Ok::<_, firstseen::Error>((new, tail))
    })?;
    assert_eq!(new, ids.len() as u64, "all are new");
    Ok((start.elapsed(), tail))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
