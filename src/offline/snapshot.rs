//! What a store's folder holds at one moment, with every file of it open.
//!
//! The folder's owner may remove files meanwhile: always after a manifest that does not list them
//! any more. So a file that is missing while the manifest has not changed is missing; otherwise one
//! starts over. Once a file is open its removal does no harm, and what is in it stays: runs are
//! immutable, and segments only grow.
//!
//! What is in a database cannot be read beside its owner: see `held`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::held::Held;
use crate::backend::Sealed;
use crate::backend::mapped::{check_run, check_values, list_segments};
use crate::config::Backend;
use crate::error::{Error, Result};
use crate::format::manifest::{Manifest, RunEntry};
use crate::format::superblock::Superblock;
use crate::format::{self, StoreId, names};
use crate::run::{Run, Values};
use crate::state::State;
use crate::store::catalog::read_whole;
use crate::store::layout::{backend_of, read_manifest, read_store};
use crate::sys::{File, Storage};

/// How often one starts over before giving up. Manifests are written some times a second at most,
/// and files are opened in less than a millisecond.
const TRIES: usize = 64;
/// How many missing segments of a row are told, each by its name.
const GAP_MAX: usize = 64;

/// A run of a store.
#[derive(Debug)]
pub(super) enum RunSource {
    /// A file, open and not looked into.
    File(RunFile),
    /// One that a vault has opened.
    Open(Arc<dyn Sealed>),
    /// One that a vault could not open, and why.
    Broken(RunEntry, Error),
}

/// A run file, open and not looked into.
#[derive(Debug)]
pub(super) struct RunFile {
    pub(super) number: u64,
    /// What the manifest says of it, where there is one.
    pub(super) entry: Option<RunEntry>,
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn File>,
    /// What is kept with its ids.
    pub(super) values: Option<ValuesFile>,
}

/// The values beside a run, open and not looked into.
#[derive(Debug)]
pub(super) struct ValuesFile {
    pub(super) number: u64,
    /// What the manifest says of the run, where there is one.
    pub(super) entry: Option<RunEntry>,
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn File>,
}

/// A log segment, open and not looked into.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn File>,
}

/// A state file, open and not looked into.
#[derive(Debug)]
pub(super) struct StateFile {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn File>,
}

/// The data files of a folder.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Oldest first.
    pub(super) runs: Vec<RunSource>,
    /// Ascending.
    pub(super) segments: Vec<SegmentFile>,
    /// The one that the manifest names, if it names one; for want of a manifest, all.
    pub(super) states: Vec<StateFile>,
    /// Those that should be there.
    pub(super) missing: Vec<PathBuf>,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) superblock: Superblock,
    pub(super) manifest: Manifest,
    pub(super) files: Files,
    /// What keeps others away from what is not in files of its own.
    pub(super) held: Option<Held>,
}

impl Snapshot {
    /// A snapshot of a store of which nothing is missing.
    pub(super) fn take(storage: &dyn Storage, dir: &Path) -> Result<Snapshot> {
        let snapshot = Snapshot::take_as_is(storage, dir)?;
        snapshot.check_complete().map(|()| snapshot)
    }

    /// Refuses what lacks something.
    pub(super) fn check_complete(&self) -> Result<()> {
        match self.files.missing.first() {
            Some(missing) => Err(Error::WindowIncomplete { missing: missing.clone() }),
            None => Ok(()),
        }
    }

    /// A snapshot that lists what is missing.
    pub(super) fn take_as_is(storage: &dyn Storage, dir: &Path) -> Result<Snapshot> {
        check_is_store(storage, dir)?;
        for _ in 0..TRIES {
            let (superblock, manifest) = read_store(storage, dir)?;
            if backend_of(&superblock)? != Backend::Mapped {
                return Held::open(storage, dir, &superblock)?.into_snapshot(storage, dir);
            }
            let files = Files::open(storage, dir, &manifest)?;
            let now = read_manifest(storage, dir, &superblock.store)?;
            // The first segment that was not seen: was it replaced by a run that was not seen?
            let unseen = files.segments.last().map_or(manifest.first_segment, |s| s.number + 1);
            let overtaken = now.sequence != manifest.sequence
                && (!files.missing.is_empty() || now.first_segment > unseen);
            if !overtaken {
                return Ok(Snapshot { superblock, manifest, files, held: None });
            }
        }
        Err(Error::Misuse(format!(
            "the store in {} changes faster than it can be read; call again",
            dir.display()
        )))
    }

    /// The state that the log is to be replayed over.
    pub(super) fn state(&self) -> Result<State> {
        let file = self.files.states.first();
        file.map_or(Ok(State::default()), |file| file.read(&self.superblock.store))
    }
}

/// Tells a folder of something else from a store that lacks a file.
fn check_is_store(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let entries = storage.list(dir).map_err(|e| Error::io("read", dir, e))?;
    if entries.iter().any(|name| name == names::STORE || name == names::MANIFEST) {
        return Ok(());
    }
    let found = "it has neither STORE nor MANIFEST".into();
    Err(Error::NotAStore { path: dir.to_path_buf(), found })
}

impl Files {
    /// Opens what a manifest lists, and all segments since.
    fn open(storage: &dyn Storage, dir: &Path, manifest: &Manifest) -> Result<Files> {
        let mut files = Files::default();
        for &entry in &manifest.runs {
            files.open_run(storage, dir, entry.number, Some(entry))?;
        }
        if manifest.state != 0 {
            files.open_state(storage, dir, manifest.state)?;
        }
        // One that was created while the folder was listed may be in the list before an earlier one.
        let listed = list_segments(storage, dir, manifest.first_segment)?;
        let last = listed.last().copied().unwrap_or(0).max(manifest.last_segment);
        for number in expected_segments(&listed, manifest.first_segment, last) {
            files.open_segment(storage, dir, number)?;
        }
        Ok(files)
    }

    /// Opens whatever is there, for want of a manifest.
    pub(super) fn open_listed(storage: &dyn Storage, dir: &Path) -> Result<Files> {
        let mut files = Files::default();
        let entries = storage.list(dir).map_err(|e| Error::io("read", dir, e))?;
        let (mut runs, mut states) = (Vec::new(), Vec::new());
        for name in &entries {
            match names::parse(name) {
                names::Kind::Run(number) => runs.push(number),
                names::Kind::State(number) => states.push(number),
                _ => {}
            }
        }
        runs.sort_unstable();
        states.sort_unstable();
        for number in runs {
            files.open_run(storage, dir, number, None)?;
        }
        for number in states {
            files.open_state(storage, dir, number)?;
        }
        for number in list_segments(storage, dir, 0)? {
            files.open_segment(storage, dir, number)?;
        }
        Ok(files)
    }

    fn open_run(
        &mut self,
        storage: &dyn Storage,
        dir: &Path,
        number: u64,
        entry: Option<RunEntry>,
    ) -> Result<()> {
        let values = self.open_values(storage, dir, number, entry)?;
        let path = names::run(dir, number);
        match open_if_there(storage, &path)? {
            Some(file) => {
                self.runs.push(RunSource::File(RunFile { number, entry, path, file, values }))
            }
            None => self.missing.push(path),
        }
        Ok(())
    }

    /// The values beside a run; for want of a manifest, if they are there.
    fn open_values(
        &mut self,
        storage: &dyn Storage,
        dir: &Path,
        number: u64,
        entry: Option<RunEntry>,
    ) -> Result<Option<ValuesFile>> {
        if entry.is_some_and(|entry| entry.values == 0) {
            return Ok(None);
        }
        let path = names::values(dir, number);
        let file = open_if_there(storage, &path)?;
        if file.is_none() && entry.is_some() {
            self.missing.push(path.clone());
        }
        Ok(file.map(|file| ValuesFile { number, entry, path, file }))
    }

    pub(super) fn open_state(
        &mut self,
        storage: &dyn Storage,
        dir: &Path,
        number: u64,
    ) -> Result<()> {
        let path = names::state(dir, number);
        match open_if_there(storage, &path)? {
            Some(file) => self.states.push(StateFile { number, path, file }),
            None => self.missing.push(path),
        }
        Ok(())
    }

    fn open_segment(&mut self, storage: &dyn Storage, dir: &Path, number: u64) -> Result<()> {
        let path = names::segment(dir, number);
        match open_if_there(storage, &path)? {
            Some(file) => self.segments.push(SegmentFile { number, path, file }),
            None => self.missing.push(path),
        }
        Ok(())
    }
}

impl StateFile {
    /// The state that it holds: that of a point of the log, over which the log is to be replayed.
    pub(super) fn read(&self, store: &StoreId) -> Result<State> {
        let bytes = read_whole(&*self.file, &self.path)?;
        Ok(State::restore(&format::snapshot::Snapshot::decode(
            &bytes,
            store,
            self.number,
            &self.path,
        )?))
    }
}

impl RunSource {
    /// The run, to be read in order, held against the manifest.
    pub(super) fn open(self, superblock: &Superblock) -> Result<Arc<dyn Sealed>> {
        match self {
            RunSource::File(file) => Ok(Arc::new(file.open(superblock)?)),
            RunSource::Open(run) => Ok(run),
            RunSource::Broken(_, error) => Err(error),
        }
    }

    /// What messages call it.
    pub(super) fn path(&self) -> PathBuf {
        let inside = |number| Path::new(names::SLED).join(format!("run {number}"));
        match self {
            RunSource::File(file) => file.path.clone(),
            RunSource::Open(run) => inside(run.number()),
            RunSource::Broken(entry, _) => inside(entry.number),
        }
    }

    /// What the manifest says of it, where there is one.
    pub(super) fn entry(&self) -> Option<RunEntry> {
        match self {
            RunSource::File(file) => file.entry,
            RunSource::Open(run) => Some(run.entry()),
            RunSource::Broken(entry, _) => Some(*entry),
        }
    }
}

impl RunFile {
    /// The run with its values, to be read in order, held against the manifest.
    pub(super) fn open(self, superblock: &Superblock) -> Result<Run> {
        let RunFile { number, entry, path, file, values } = self;
        let run = Run::open_in_order(file, path.clone(), &superblock.store, number)?;
        if let Some(entry) = &entry {
            check_run(&run, &path, entry)?;
        }
        Ok(match values {
            Some(values) => run.with_values(values.open(&superblock.store)?),
            None => run,
        })
    }
}

impl ValuesFile {
    /// The values, held against the manifest.
    pub(super) fn open(self, store: &StoreId) -> Result<Values> {
        let ValuesFile { number, entry, path, file } = self;
        let values = Values::open(file, path.clone(), store, number)?;
        if let Some(entry) = &entry {
            check_values(&values, &path, entry)?;
        }
        Ok(values)
    }
}

/// The numbers of the segments that should be there, `listed` among them, ascending. Of a gap, which one
/// stray name can make as wide as numbers are, the first ones.
pub(super) fn expected_segments(listed: &[u64], first: u64, last: u64) -> Vec<u64> {
    let (mut expected, mut next) = (Vec::new(), first);
    for &number in listed.iter().chain(&[last]).filter(|&&number| number >= first) {
        if number >= next {
            expected.extend((next..number).take(GAP_MAX));
            expected.push(number);
            next = number + 1;
        }
    }
    expected
}

/// Opens a file; `None` if there is none.
pub(super) fn open_if_there(storage: &dyn Storage, path: &Path) -> Result<Option<Box<dyn File>>> {
    match storage.open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(|e| Error::io("open", path, e)),
    }
}
