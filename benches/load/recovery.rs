//! From an opening after a SIGKILL to the first verdict. The files are in the page cache, as after the death of a
//! process.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firstseen::Verdict;
use serde_json::json;

use crate::args::{Args, Die, Recovery};
use crate::feed::{self, Folder};
use crate::support::ids::id;
use crate::support::machine;

/// What the child says when its ids are acknowledged.
const FILLED: &str = "filled";
/// How long the filter may take to be rebuilt.
const PATIENCE: Duration = Duration::from_secs(600);

pub fn run(args: &Args, recovery: &Recovery) -> Result<(), Box<dyn Error>> {
    let folder = Folder::new(args)?;
    let child = Command::new(std::env::current_exe()?)
        .arg("die")
        .arg(folder.store())
        .args([recovery.ids, args.memory, args.batch].map(|number| number.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if killed_when_it_said(child)?.trim() != FILLED {
        return Err("the child has not filled its store".into());
    }
    let load = machine::load();
    let start = Instant::now();
    let store = feed::builder(args.memory, recovery.ids).open(folder.store())?;
    let opened = start.elapsed();
    let verdict = store.check_and_insert(&[id(0)])?;
    let first = start.elapsed();
    assert!(verdict[0].is_duplicate(), "the oldest id is known");
    while store.stats().filter_ready < 1.0 {
        if start.elapsed() > PATIENCE {
            return Err("the filter was not built".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let ready = start.elapsed();
    let mut lost = 0;
    for n in (0..recovery.ids).step_by((recovery.ids / 10_000).max(1) as usize) {
        let verdict = store.check_and_insert(&[id(n)])?;
        lost += u64::from(verdict[0] == Verdict::New);
    }
    assert_eq!(lost, 0, "acknowledged ids are known");
    let told = store.recovery();
    println!(
        "{}",
        json!({
            "what": "recovery",
            "n": recovery.ids,
            "load": load,
            "open_ms": millis(opened),
            "first_verdict_ms": millis(first),
            "filter_ready_ms": millis(ready),
            "segments": told.segments,
            "replayed_ids": told.ids,
        })
    );
    Ok(store.close()?)
}

/// What the child said first. It is killed then, and also if nothing could be read.
fn killed_when_it_said(mut child: Child) -> std::io::Result<String> {
    let mut said = String::new();
    let read = BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut said);
    child.kill()?;
    child.wait()?;
    read.map(|_| said)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The child: fills a store, says so, and waits.
pub fn die(die: &Die) -> Result<(), Box<dyn Error>> {
    let store = feed::builder(die.memory, die.ids).open(&die.store)?;
    feed::fill_store(&store, die.ids, die.batch, "filling")?;
    println!("{FILLED}");
    // Until it is killed, or has nobody any more who would kill it.
    let mut end = String::new();
    while std::io::stdin().read_line(&mut end)? > 0 {}
    std::process::abort()
}
