//! One peer, opened in an empty folder, through all workloads.

use std::fs;
use std::path::Path;
use std::thread;

use crate::peer::{Entry, Opened, Peer, Result, Setup};
use crate::plan::Scenario;
use crate::stopwatch::{Spent, Stopwatch};
use crate::workload::Load;
use crate::yardstick;

/// More than any peer allocates at once: ours takes 64 MiB for a table.
const TOUCHED: u64 = 128 << 20;

/// What one workload took.
pub(crate) struct Timing {
    /// Until the last call returned.
    pub(crate) acknowledged: Spent,
    /// Until postponed work was done as well.
    pub(crate) finished: Spent,
    /// On disk then, for each id that the peer holds.
    pub(crate) bytes_per_id: f64,
}

/// The timings of the loads, in order. `None` if the scenario wants threads that the peer does not
/// take. A verdict that is wrong is an error.
pub(crate) fn run(
    entry: &Entry,
    scenario: Scenario,
    loads: &[Load],
    dir: &Path,
) -> Result<Option<Vec<Timing>>> {
    let folder = tempfile::Builder::new().prefix("firstseen-compare-").tempdir_in(dir)?;
    let expected_ids = loads.iter().map(Load::new_ids).sum();
    let opened = (entry.open)(&Setup { folder: folder.path(), expected_ids })?;
    if matches!(opened, Opened::Alone(_)) && scenario.threads > 1 {
        return Ok(None);
    }
    let mut held = 0;
    let mut timings = Vec::new();
    for load in loads {
        yardstick::touch_memory(TOUCHED);
        let stopwatch = Stopwatch::start();
        let wrong = present(&opened, scenario, load)?;
        let mut acknowledged = stopwatch.spent();
        opened.peer().finish()?;
        let mut finished = stopwatch.spent();
        if !opened.peer().in_this_process() {
            (acknowledged.processors, finished.processors) = (None, None);
        }
        if wrong > 0 {
            let (what, ids) = (load.workload.name(), load.ids.len());
            return Err(format!("{wrong} of {ids} verdicts are wrong for workload {what}").into());
        }
        held += load.new_ids();
        let bytes_per_id = disk_bytes(folder.path())? as f64 / held as f64;
        timings.push(Timing { acknowledged, finished, bytes_per_id });
    }
    Ok(Some(timings))
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
        assert_eq!(new.len(), ids.len(), "a verdict for each id");
        let first = at * scenario.batch;
        let expected = |(i, &new): (usize, &bool)| new == load.workload.is_new(first + i);
        wrong += ids.len() - new.iter().enumerate().filter(|&it| expected(it)).count();
    }
    Ok(wrong)
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
