//! New ids and duplicates over a window that memory may not hold.

use std::error::Error;
use std::time::{Duration, Instant};

use firstseen::ReadMode;
use serde_json::json;

use crate::args::{Args, Cold};
use crate::feed::{self, Folder};
use crate::support::ids::Id;
use crate::support::keys::Random;
use crate::support::machine;
use crate::tail::Tail;

/// How long duplicates are presented.
const ASK: Duration = Duration::from_secs(20);

pub fn run(args: &Args, cold: &Cold) -> Result<(), Box<dyn Error>> {
    let folder = Folder::new(args)?;
    let mode = if cold.positioned { ReadMode::Positioned } else { ReadMode::Mapped };
    let store = feed::builder(args.memory, cold.ids).read_mode(mode).open(folder.store())?;
    let (load, start) = (machine::load(), Instant::now());
    feed::fill_store(&store, cold.ids, args.batch, "new")?;
    let filled = start.elapsed();
    store.compact()?;
    let sealed = start.elapsed();
    let pages = store.stats().page_reads;
    let (mut random, mut chunk, mut verdicts) = (Random(3), Vec::<Id>::new(), Vec::new());
    let (mut tail, mut asked, start) = (Tail::default(), 0, Instant::now());
    while start.elapsed() < ASK && asked < cold.ids {
        feed::fill(&mut chunk, (0..args.batch).map(|_| random.word() % cold.ids));
        let begun = Instant::now();
        store.check_and_insert_into(&chunk, &mut verdicts)?;
        tail.add(begun.elapsed());
        assert_eq!(feed::new(&verdicts), 0, "all are known");
        asked += args.batch;
    }
    let took = start.elapsed();
    println!(
        "{}",
        json!({
            "what": "cold",
            "n": cold.ids,
            "batch": args.batch,
            "read_mode": format!("{mode:?}"),
            "load": load,
            "bytes": feed::disk_bytes(&folder.store())?,
            "memory": machine::memory(),
            "new_per_s": (cold.ids as f64 / filled.as_secs_f64()).round(),
            "sealed_per_s": (cold.ids as f64 / sealed.as_secs_f64()).round(),
            "duplicates_per_s": (asked as f64 / took.as_secs_f64()).round(),
            "pages_per_duplicate": (store.stats().page_reads - pages) as f64 / asked as f64,
            "call": tail.report(),
        })
    );
    Ok(store.close()?)
}
