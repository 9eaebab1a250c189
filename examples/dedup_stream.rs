//! A stream of ids from standard input, each printed once, in batches and by event time.
//!
//! ```sh
//! printf '%s\n' '10 a' '11 b' '12 a' '95 a' '20 c' | cargo run --example dedup_stream
//! ```
//!
//! A line is a time in seconds and an id. With the window of 60 seconds this prints `a`, `b`, and `a`
//! again, because 95 is more than a window after 10. `20 c` comes too late: at 95 the window begins at
//! 35. On standard error: `3 new, 1 duplicates, 1 late`.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use firstseen::{Store, TimeSource, Timestamp, Verdict};

/// Ids of a call: enough that what a call costs by itself does not count.
const BATCH: usize = 1024;

type Failure = Box<dyn std::error::Error>;

#[derive(Default)]
struct Counts {
    new: u64,
    duplicates: u64,
    late: u64,
}

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let store = Store::builder()
        .window(Duration::from_secs(60))
        .time(TimeSource::Event)
        .open(folder.path().join("seen"))?;
    let (mut ids, mut times, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    let mut counts = Counts::default();
    let mut out = io::stdout().lock();
    let mut lines = io::stdin().lock().lines();
    loop {
        ids.clear();
        times.clear();
        for line in lines.by_ref().take(BATCH) {
            let line = line?;
            let (time, id) = line.split_once(' ').ok_or("a line is a time and an id")?;
            times.push(Timestamp::from_secs(time.parse()?));
            ids.push(id.to_owned());
        }
        if ids.is_empty() {
            break;
        }
        // `verdicts` keeps its memory from batch to batch.
        store.check_and_insert_timed_into(&ids, &times, &mut verdicts)?;
        for (id, verdict) in ids.iter().zip(&verdicts) {
            match verdict {
                Verdict::New => {
                    writeln!(out, "{id}")?;
                    counts.new += 1;
                }
                Verdict::Duplicate { .. } => counts.duplicates += 1,
                _ => counts.late += 1,
            }
        }
    }
    store.close()?;
    let Counts { new, duplicates, late } = counts;
    eprintln!("{new} new, {duplicates} duplicates, {late} late");
    Ok(())
}
