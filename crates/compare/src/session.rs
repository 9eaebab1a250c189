//! One peer, opened in an empty folder, through all workloads.

use std::fs;
use std::path::Path;
use std::thread;

use crate::course::Course;
use crate::peer::{Entry, Opened, Peer, Result, Setup};
use crate::plan::Scenario;
use crate::stopwatch::{Spent, Stopwatch};
use crate::workload::{self, Load, Workload};
use crate::yardstick;

/// More than any peer allocates at once: ours takes 64 MiB for a table.
const TOUCHED: u64 = 128 << 20;

/// What one workload took.
pub(crate) struct Timing {
    /// Until the last call returned.
    pub(crate) acknowledged: Spent,
    /// Until postponed work was done as well.
    pub(crate) finished: Spent,
    /// On disk then, for each id that the peer holds; for each id of the window if it forgets, though it may hold more.
    pub(crate) bytes_per_id: f64,
}

/// The timings of the loads, in order. `None` if the scenario wants threads that the peer does not
/// take, or wants it to forget, and it does not. A verdict that is wrong is an error.
pub(crate) fn run(
    entry: &Entry,
    scenario: Scenario,
    loads: &[Load],
    dir: &Path,
) -> Result<Option<Vec<Timing>>> {
    let Some(open) = entry.opener(scenario.course) else { return Ok(None) };
    let folder = tempfile::Builder::new().prefix("firstseen-compare-").tempdir_in(dir)?;
    let expected_ids = match scenario.course {
        Course::Window => loads.iter().map(Load::new_ids).sum(),
        Course::Sustained => scenario.window,
    };
    let opened = open(&Setup { folder: folder.path(), expected_ids })?;
    if matches!(opened, Opened::Alone(_)) && scenario.threads > 1 {
        return Ok(None);
    }
    let mut inserted = 0;
    if scenario.course == Course::Sustained {
        // What is timed begins with a full window.
        inserted += fill(opened.peer(), scenario)?;
    }
    let mut timings = Vec::new();
    for load in loads {
        yardstick::touch_memory(TOUCHED);
        let stopwatch = Stopwatch::start();
        let wrong = match scenario.course {
            Course::Window => present(&opened, scenario, load)?,
            Course::Sustained => sustain(opened.peer(), scenario, load, inserted)?,
        };
        let mut acknowledged = stopwatch.spent();
        opened.peer().finish()?;
        let mut finished = stopwatch.spent();
        all_right(load, wrong)?;
        if !opened.peer().in_this_process() {
            (acknowledged.processors, finished.processors) = (None, None);
        }
        inserted += load.new_ids();
        let held = match scenario.course {
            Course::Window => inserted,
            Course::Sustained => scenario.window,
        };
        let bytes_per_id = disk_bytes(folder.path())? as f64 / held as f64;
        timings.push(Timing { acknowledged, finished, bytes_per_id });
    }
    if scenario.course == Course::Sustained {
        has_forgotten(opened.peer(), scenario)?;
    }
    Ok(Some(timings))
}

/// Fills a window of ids that are going to be forgotten, and lets the peer do what it puts off; tells how many
/// there are.
fn fill(peer: &dyn Peer, scenario: Scenario) -> Result<usize> {
    let load = Load::new(Workload::New, scenario.window);
    all_right(&load, sustain(peer, scenario, &load, 0)?)?;
    peer.finish()?;
    Ok(load.ids.len())
}

/// Fails if the peer still knows one of the first ids of all, which came some windows ago: it would have been
/// measured without the work of forgetting.
fn has_forgotten(peer: &dyn Peer, scenario: Scenario) -> Result<()> {
    let first: Vec<_> = (0..scenario.window.min(scenario.batch)).map(workload::id).collect();
    let mut new = Vec::new();
    peer.check_and_insert(&first, &mut new)?;
    match new.into_iter().filter(|new| !new).count() {
        0 => Ok(()),
        known => Err(format!("{known} ids that came some windows ago are not forgotten").into()),
    }
}

fn all_right(load: &Load, wrong: usize) -> Result<()> {
    let (what, ids) = (load.workload.name(), load.ids.len());
    match wrong {
        0 => Ok(()),
        _ => Err(format!("{wrong} of {ids} verdicts are wrong for workload {what}").into()),
    }
}

/// Presents the load, its batches dealt out to the threads in turns; tells how many verdicts are
/// wrong.
fn present(opened: &Opened, scenario: Scenario, load: &Load) -> Result<usize> {
    match opened {
        Opened::Shared(peer) if scenario.threads > 1 => {
            let peer = &**peer;
            thread::scope(|scope| {
                let call = |thread| scope.spawn(move || feed(peer, scenario, load, thread));
                let callers: Vec<_> = (0..scenario.threads).map(call).collect();
                callers.into_iter().map(|caller| caller.join().expect("a caller panicked")).sum()
            })
        }
        _ => feed(opened.peer(), scenario, load, 0),
    }
}

fn feed(peer: &dyn Peer, scenario: Scenario, load: &Load, thread: usize) -> Result<usize> {
    let (mut new, mut wrong) = (Vec::with_capacity(scenario.batch), 0);
    let batches = load.ids.chunks(scenario.batch).enumerate();
    for (at, ids) in batches.skip(thread).step_by(scenario.threads) {
        peer.check_and_insert(ids, &mut new)?;
        wrong += wrong_among(&new, load, at * scenario.batch, ids.len());
    }
    Ok(wrong)
}

/// Presents the load from one thread, and lets the peer forget after each batch. So many ids were `inserted` before.
fn sustain(peer: &dyn Peer, scenario: Scenario, load: &Load, mut inserted: usize) -> Result<usize> {
    let (mut new, mut wrong) = (Vec::with_capacity(scenario.batch), 0);
    for (at, ids) in load.ids.chunks(scenario.batch).enumerate() {
        peer.check_and_insert(ids, &mut new)?;
        wrong += wrong_among(&new, load, at * scenario.batch, ids.len());
        inserted += new.iter().filter(|&&new| new).count();
        peer.forget(inserted)?;
    }
    Ok(wrong)
}

/// How many of the verdicts on so many ids, the first of them at this place of the load, are wrong.
fn wrong_among(new: &[bool], load: &Load, first: usize, ids: usize) -> usize {
    assert_eq!(new.len(), ids, "a verdict for each id");
    let wrong = |(i, &new): (usize, &bool)| new != load.workload.is_new(first + i);
    new.iter().enumerate().filter(|&it| wrong(it)).count()
}

/// What the files below a folder take on disk, reserved space included.
fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { taken(&metadata) };
    }
    Ok(bytes)
}

#[cfg(unix)]
fn taken(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn taken(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}
