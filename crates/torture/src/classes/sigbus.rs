//! A run that is cut short from outside while it is read.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use firstseen::{ReadMode, Verdict, offline};

use crate::case::{Case, Counts, Promise, ensure};
use crate::child::look::Look;
use crate::class::Class;
use crate::real::life::{Life, signal};
use crate::support::Rng;

const SIGBUS: i32 = 7;
/// Runs, and ids in each.
const RUNS: u64 = 3;
const IDS: u64 = 10_000;

pub(crate) struct Sigbus;

impl Class for Sigbus {
    fn name(&self) -> &'static str {
        "sigbus"
    }

    fn about(&self) -> &'static str {
        "a run is cut short while it is read: an error, or with mappings a death that harms no other file"
    }

    fn weight(&self) -> u32 {
        1
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let mut random = Rng::new(case.number() ^ 6);
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mode = random.pick(&[ReadMode::Mapped, ReadMode::Positioned]);
        let look = Look { mode, ids: RUNS * IDS, dir: folder.path().join("store") };
        make(&look).map_err(|error| error.to_string())?;
        let mut runs = runs(&look.dir)?;
        ensure(runs.len() as u64 == RUNS, || format!("{} runs", runs.len()))?;
        let mut child = Life::start(&look.errand())?;
        child.wait_for("open")?;
        thread::sleep(Duration::from_millis(random.below(5)));
        let which = random.below(RUNS);
        let cut = runs.remove(which as usize);
        let length = fs::metadata(&cut).map_err(|error| error.to_string())?.len();
        // Its last quarter is filter and directory, which may be read at opening only.
        let to = random.below(length / 2);
        File::options()
            .write(true)
            .open(&cut)
            .and_then(|file| file.set_len(to))
            .map_err(|error| error.to_string())?;
        let death = child.finish()?;
        let told = |wrong: &str| format!("{mode:?}, cut to {to} of {length} bytes: {wrong}");
        let last = death.said.last().map_or("", String::as_str);
        if mode == ReadMode::Mapped && signal(death.status) == Some(SIGBUS) {
            counts.add("died", 1);
        } else {
            let name = cut.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let typed = last.starts_with("error") && last.contains(&name);
            ensure(typed && death.status.success(), || {
                told(&format!("{}: {last}: {}", death.status, death.complaint))
            })?;
            counts.add("errors", 1);
        }
        others_are_sound(&look, &cut, which).map_err(|wrong| told(&wrong))
    }
}

/// A store with some runs, each with ids of its own.
fn make(look: &Look) -> firstseen::Result<()> {
    let store = look.builder().open(&look.dir)?;
    for run in 0..RUNS {
        let ids: Vec<_> = (run * IDS..(run + 1) * IDS).map(u64::to_le_bytes).collect();
        store.check_and_insert(&ids)?;
        store.seal()?;
    }
    store.close()
}

/// The runs of a store, oldest first.
fn runs(dir: &Path) -> Promise<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).map_err(|error| error.to_string())?.flatten();
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    runs.retain(|path| path.extension().is_some_and(|extension| extension == "run"));
    runs.sort();
    Ok(runs)
}

/// The damage is noticed and is in one file. Without it the store opens, says that its window is shorter, and
/// has what was in the others.
fn others_are_sound(look: &Look, cut: &Path, which: u64) -> Promise {
    let mut damaged = Vec::new();
    let verified = offline::verify(&look.dir, &mut |damage| damaged.push(damage.path.clone()));
    ensure(verified.is_err() || !damaged.is_empty(), || "nobody noticed the damage".to_owned())?;
    ensure(damaged.iter().all(|path| path == cut), || format!("damaged: {damaged:?}"))?;
    let opened = look.builder().open(&look.dir);
    ensure(opened.is_err(), || "it opens in spite of the damage".to_owned())?;
    fs::remove_file(cut).map_err(|error| error.to_string())?;
    let store = look.builder().accept_incomplete(true).open(&look.dir);
    let store = store.map_err(|error| format!("without it: {error}"))?;
    ensure(store.effective_window() < store.window(), || "the window is whole".to_owned())?;
    for run in 0..RUNS {
        let ids: Vec<_> = (run * IDS..(run + 1) * IDS).map(u64::to_le_bytes).collect();
        let verdicts = store.check_and_insert(&ids).map_err(|error| error.to_string())?;
        let known = verdicts.iter().filter(|verdict| Verdict::is_duplicate(verdict)).count();
        let expected = if run == which { 0 } else { IDS as usize };
        ensure(known == expected, || {
            format!("{known} ids of run {run} are known, not {expected}")
        })?;
    }
    store.close().map_err(|error| error.to_string())
}
