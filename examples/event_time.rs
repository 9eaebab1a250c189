//! What a window by event time remembers, forgets, and cannot know.
//!
//! ```sh
//! cargo run --example event_time
//! ```
//!
//! Prints a line for each event: its minute, its id, the verdict, and how far back the window begins.
//! The last two show that one event from the far future does not close the window for the others.

use std::time::Duration;

use firstseen::{Store, TimeSource, Timestamp, Verdict};

const MINUTE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = Store::builder()
        .time(TimeSource::Event)
        .window(10 * MINUTE)
        .future_skew(2 * MINUTE)
        .open(folder.path().join("seen"))?;

    // The wall clock bounds what is believed, so the events start half an hour ago.
    let start = Timestamp::now() - 30 * MINUTE;
    let events = [
        (0, "a", "the first"),
        (4, "a", "inside the window of 10 minutes"),
        (9, "b", "time moves on"),
        (3, "c", "out of order, but inside the window"),
        (12, "a", "seen at 0; its window has passed"),
        (1, "d", "before the window, which begins at 2"),
        (5_000_000, "e", "ten years ahead: taken as two minutes from now"),
        (29, "f", "still inside the window"),
    ];
    for (minute, id, what) in events {
        let time = start + minute * MINUTE;
        let verdict = store.check_and_insert_at(&[id], time)?[0];
        let verdict = match verdict {
            Verdict::New => "new".to_owned(),
            Verdict::Duplicate { first_seen } => {
                // The time is kept in steps of 1/2048 of the window: here 0.3 seconds.
                let seconds = (first_seen - start).as_secs_f64();
                format!("duplicate, first seen at {:.0} min", seconds / 60.0)
            }
            Verdict::Late { by } => format!("late by {} min", by.as_secs() / 60),
            other => format!("{other:?}"),
        };
        println!("{minute:>8} {id}  {verdict:<32} {what}");
    }
    let stats = store.stats();
    println!("times that were not believed: {}", stats.disbelieved_times);
    store.close()?;
    Ok(())
}
