//! A store that nobody calls ages: what has expired is dropped, and its files are given back.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use firstseen::Store;
use firstseen::testing::MemoryDisk;

use super::text;
use crate::case::{Counts, Promise, ensure};
use crate::support::Rng;
use crate::support::disk::{DIR, files};
use crate::support::ids;

/// Many times what it takes.
const AT_MOST: Duration = Duration::from_secs(10);

pub(super) fn run(random: &mut Rng, counts: &mut Counts) -> Promise {
    let disk = MemoryDisk::seeded(random.next());
    let window = Duration::from_millis(200 + random.below(300));
    let store = Store::builder().storage(Arc::new(disk.clone())).memory_budget(16 << 20);
    let store = store.window(window).active_ids(100).open(DIR).map_err(text)?;
    let count = 1 + random.below(500);
    store.check_and_insert(&ids(&(0..count).collect::<Vec<_>>())).map_err(text)?;
    // Those with ids: a fresh one may stay, for as long as nobody calls.
    let logs = files(&disk, ".log");
    if random.one_in(2) {
        store.seal().map_err(text)?;
    }
    let started = Instant::now();
    loop {
        let stats = store.stats();
        let stale = files(&disk, ".log").iter().filter(|name| logs.contains(name)).count();
        if stats.ids == 0 && stats.runs == 0 && (stale == 0 || stats.log_bytes == 0) {
            break;
        }
        ensure(started.elapsed() < AT_MOST, || {
            format!("idle for {AT_MOST:?} with a window of {window:?}, {stale} old logs: {stats:?}")
        })?;
        thread::sleep(Duration::from_millis(10));
    }
    counts.add("ids that aged", count);
    Ok(())
}
