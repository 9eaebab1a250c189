//! Ids, and stores to present them to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use firstseen::{Builder, Store};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Args;
pub use crate::support::feed::new;
use crate::support::ids::{Id, id};

/// The ids from `first` on, into `batch`.
pub fn fill(batch: &mut Vec<Id>, ids: impl Iterator<Item = u64>) {
    batch.clear();
    batch.extend(ids.map(id));
}

/// A folder for one store, gone when it is dropped.
#[derive(Debug)]
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new(args: &Args) -> std::io::Result<Folder> {
        let dir = args.dir.clone().unwrap_or_else(std::env::temp_dir);
        tempfile::Builder::new().prefix("firstseen-load-").tempdir_in(dir).map(Folder)
    }

    pub fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }
}

pub fn builder(memory: u64, window: u64) -> Builder {
    Store::builder().memory_budget(memory).expected_ids(window).window(Duration::from_secs(86_400))
}

/// Presents the ids `0..ids` in batches.
pub fn fill_store(store: &Store, ids: u64, batch: u64, what: &str) -> firstseen::Result<()> {
    let bar = bar(ids, what);
    let (mut chunk, mut verdicts) = (Vec::new(), Vec::new());
    for first in (0..ids).step_by(batch as usize) {
        fill(&mut chunk, first..(first + batch).min(ids));
        store.check_and_insert_into(&chunk, &mut verdicts)?;
        assert_eq!(new(&verdicts), chunk.len() as u64, "all are new");
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

/// A progress bar, on a terminal only.
pub fn bar(ids: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len} {eta}");
    let bar = ProgressBar::new(ids).with_style(style.expect("a template"));
    bar.with_message(what.to_owned())
}

/// Bytes of all files in a store's folder.
pub fn disk_bytes(store: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(store)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}
