//! Everything at once on a real disk, for hours: memory, disk and answers watched.
//!
//! | module | what it is |
//! |---|---|
//! | `stream` | ids of which it is known when each was first presented |
//! | `account` | transactions of which it is known how far they got |
//! | `gauge` | memory of the process, bytes on the disk |
//!
//! The window is short and the cap on the disk low, so that tables rotate, runs merge and generations expire all
//! the time, and the cap cuts the window. Every so often the store is closed and opened again, and a checkpoint
//! is made, verified and removed.

mod account;
mod gauge;
mod stream;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use firstseen::{Durability, Store, offline};
use serde_json::json;

use crate::args::Soak;
use crate::case::{Promise, ensure};
use crate::report::say;
use crate::support::Rng;

use account::Account;
use gauge::{disk_bytes, memory_bytes};
use stream::Stream;

const WINDOW: Duration = Duration::from_secs(40);
const MEMORY_BUDGET: u64 = 128 << 20;
const MAX_BYTES: u64 = 1 << 30;
/// What the process may hold beside the budget: the streams' own memory, and the pages of mapped runs that the
/// system counts as ours.
const MEMORY_BESIDE: u64 = 256 << 20;
/// The store stays open for so long.
const TERM: Duration = Duration::from_secs(30);
/// Every so many terms a checkpoint is made.
const CHECKPOINT_EVERY: u64 = 4;
const STREAMS: u64 = 2;

/// Runs a soak. Whether all promises were kept.
pub(crate) fn run(asked: &Soak) -> bool {
    match soak(asked) {
        Ok(()) => true,
        Err(broken) => {
            say(&json!({ "soak": "broken", "what": broken }));
            eprintln!("broken: {broken}");
            false
        }
    }
}

fn soak(asked: &Soak) -> Promise {
    let text = |error: std::io::Error| error.to_string();
    let made = match &asked.dir {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    let folder = made.map_err(text)?;
    let path = folder.path().join("store");
    let mut random = Rng::new(asked.seed);
    let mut streams: Vec<Stream> = (0..STREAMS).map(|n| Stream::new(n, random.next())).collect();
    let mut account = Account::new(random.next());
    let (started, end) = (Instant::now(), Duration::from_secs(asked.seconds));
    let mut terms = Vec::new();
    while started.elapsed() < end {
        let left = end.saturating_sub(started.elapsed());
        let term = terms.len() as u64;
        let ids = one_term(&path, &mut streams, &mut account, TERM.min(left))?;
        let (memory, disk) = (memory_bytes().unwrap_or(0), disk_bytes(&path).map_err(text)?);
        if term % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1 {
            checkpoint(&path, &folder.path().join("checkpoint"))?;
        }
        let checked: u64 = streams.iter().map(Stream::checked).sum();
        let elapsed = started.elapsed().as_secs();
        say(&json!({
            "soak": "term", "term": term, "elapsed_s": elapsed, "ids": ids, "checked": checked,
            "commits": account.commits(), "memory_bytes": memory, "disk_bytes": disk,
        }));
        terms.push((ids, memory));
        ensure(disk <= MAX_BYTES, || {
            format!("{disk} bytes on the disk, {MAX_BYTES} were allowed")
        })?;
        ensure(memory <= MEMORY_BUDGET + MEMORY_BESIDE, || format!("{memory} bytes of memory"))?;
    }
    let tenth = terms.len().div_ceil(10);
    let rate = |terms: &[(u64, u64)]| terms.iter().map(|&(ids, _)| ids).sum::<u64>() / tenth as u64;
    let most = terms.iter().map(|&(_, memory)| memory).max();
    say(&json!({
        "soak": "kept", "seconds": started.elapsed().as_secs(), "terms": terms.len(),
        "ids": terms.iter().map(|&(ids, _)| ids).sum::<u64>(), "commits": account.commits(),
        "first_tenth_ids": rate(&terms[..tenth]), "last_tenth_ids": rate(&terms[terms.len() - tenth..]),
        "memory_most_bytes": most,
    }));
    Ok(())
}

/// Opens the store, works, and closes it. How many ids were let in.
fn one_term(
    path: &Path,
    streams: &mut [Stream],
    account: &mut Account,
    term: Duration,
) -> Promise<u64> {
    let store = Store::builder()
        .window(WINDOW)
        .durability(Durability::Interval(Duration::from_millis(200)))
        .memory_budget(MEMORY_BUDGET)
        .max_bytes(MAX_BYTES)
        .open(path)
        .map_err(|error| format!("cannot open: {error}"))?;
    account.agrees(&store)?;
    let over = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        let (store, over) = (&store, &over);
        let mut threads = Vec::new();
        for stream in streams.iter_mut() {
            threads.push(scope.spawn(move || stream.flow(store, over)));
        }
        threads.push(scope.spawn(move || account.flow(store, over)));
        let started = Instant::now();
        while started.elapsed() < term && threads.iter().all(|thread| !thread.is_finished()) {
            thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
        let join = |thread: thread::ScopedJoinHandle<'_, Promise>| {
            thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))
        };
        threads.into_iter().map(join).fold(Ok(()), Promise::and)
    });
    outcome?;
    let new = store.stats().new;
    store.close().map_err(|error| format!("cannot close: {error}"))?;
    Ok(new)
}

/// Makes a checkpoint, verifies it, and removes it.
fn checkpoint(path: &Path, dest: &Path) -> Promise {
    offline::checkpoint(path, dest)
        .map_err(|error| format!("cannot make a checkpoint: {error}"))?;
    let mut damage = Vec::new();
    let verified = offline::verify(dest, &mut |damaged| damage.push(damaged.to_string()));
    verified.map_err(|error| format!("cannot verify a checkpoint: {error}"))?;
    ensure(damage.is_empty(), || format!("a checkpoint is damaged: {}", damage.join("; ")))?;
    std::fs::remove_dir_all(dest).map_err(|error| error.to_string())
}
