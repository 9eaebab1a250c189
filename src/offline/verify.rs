//! Reads every byte of a store and reports every damage.

use std::path::Path;

use super::log::measure;
use super::snapshot::{
    Files, RunFile, RunSource, SegmentFile, Snapshot, StateFile, ValuesFile, open_if_there,
};
use crate::backend::mapped::check_run;
use crate::backend::{Sealed, check_backend};
use crate::config::Backend;
use crate::error::{Corruption, Error, Result};
use crate::format::checksum::Salt;
use crate::format::manifest::Manifest;
use crate::format::run::{MAGIC as RUN_MAGIC, PAGE_U64, check};
use crate::format::segment::MAGIC as SEGMENT_MAGIC;
use crate::format::superblock::Superblock;
use crate::format::{PAGE, StoreId, names};
use crate::log::{Content, Tail, records_of, replay_prefix};
use crate::run::Run;
use crate::store::catalog::read_file;
use crate::store::chain::Chain;
use crate::store::layout::{backend_of, identity_of, read_segment_header, time_source_of};
use crate::sys::{Storage, read_exact_at};
use crate::time::Ticks;

/// What was verified: see [`verify`](super::verify).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Where the store keeps its log and its runs, if its folder still says so.
    pub backend: Option<Backend>,
    /// Files that were read; of a store in a database also its runs and the segments of its log.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Records of runs, and ids in the log.
    pub records: u64,
    /// Damages that were reported.
    pub damages: u64,
    /// Bytes at the ends of log segments that an opening would drop.
    pub torn_bytes: u64,
}

pub(super) fn verify(
    storage: &dyn Storage,
    dir: &Path,
    report: &mut dyn FnMut(&Corruption),
) -> Result<Verified> {
    let mut check = Check { report, verified: Verified::default() };
    let Some(superblock) = check.superblock(storage, dir)? else {
        return Ok(check.verified);
    };
    if let Ok(backend) = backend_of(&superblock) {
        check_backend(backend, storage)?;
    }
    let store = superblock.store;
    let (manifest, files, _held) = match check.note(Snapshot::take_as_is(storage, dir))? {
        Some(Snapshot { manifest, files, held, .. }) => {
            check.read(manifest.encode(&store).len() as u64);
            check.note(time_source_of(&manifest))?;
            (Some(manifest), files, held)
        }
        None => (None, Files::open_listed(storage, dir)?, None),
    };
    for missing in &files.missing {
        check.note(Err::<(), _>(Error::WindowIncomplete { missing: missing.clone() }))?;
    }
    for run in files.runs {
        check.run(storage, run, &store, manifest.as_ref())?;
    }
    for state in &files.states {
        check.state(state, &store)?;
    }
    check.log(files.segments, &store, manifest.as_ref())?;
    Ok(check.verified)
}

struct Check<'a> {
    report: &'a mut dyn FnMut(&Corruption),
    verified: Verified,
}

impl Check<'_> {
    fn tell(&mut self, damage: &Corruption) {
        self.verified.damages += 1;
        (self.report)(damage);
    }

    fn read(&mut self, bytes: u64) {
        self.verified.files += 1;
        self.verified.bytes += bytes;
    }

    /// Reports what is about the store's bytes; only the medium's errors are errors.
    fn note<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        let damage = |path: &Path, what, expected: &str, found: String| {
            let (path, expected) = (path.to_path_buf(), expected.to_string());
            Corruption { path, offset: 0, what, expected, found }
        };
        let damage = match result {
            Ok(value) => return Ok(Some(value)),
            Err(Error::Corrupt(damage)) => damage,
            Err(Error::WindowIncomplete { missing }) => {
                damage(&missing, "file", "a file that is there", "none".into())
            }
            Err(Error::Version { path, found, supported }) => {
                let expected = format!("version {supported}");
                damage(&path, "version", &expected, format!("version {found}"))
            }
            Err(Error::InvalidOption { option, reason }) => {
                damage(Path::new(names::STORE), option, "a known one", reason)
            }
            Err(error) => return Err(error),
        };
        self.tell(&damage);
        Ok(None)
    }

    fn superblock(&mut self, storage: &dyn Storage, dir: &Path) -> Result<Option<Superblock>> {
        let path = dir.join(names::STORE);
        let manifest = read_file(storage, &dir.join(names::MANIFEST))?;
        let read = match read_file(storage, &path)? {
            None if manifest.is_none() => {
                storage.list(dir).map_err(|e| Error::io("read", dir, e))?;
                let found = "it has neither STORE nor MANIFEST".into();
                return Err(Error::NotAStore { path: dir.to_path_buf(), found });
            }
            None => Err(Error::WindowIncomplete { missing: path }),
            Some(bytes) => {
                self.read(bytes.len() as u64);
                match Superblock::decode(&bytes, &path) {
                    // With a manifest beside it, it was one.
                    Err(Error::NotAStore { found, .. }) if manifest.is_some() => {
                        let expected = "a store file's first bytes".into();
                        let what = "store file";
                        Err(Corruption { path, offset: 0, what, expected, found }.into())
                    }
                    decoded => decoded,
                }
            }
        };
        let superblock = self.note(read)?;
        if let Some(superblock) = &superblock {
            self.note(identity_of(superblock))?;
            self.verified.backend = self.note(backend_of(superblock))?;
        }
        Ok(superblock)
    }

    fn run(
        &mut self,
        storage: &dyn Storage,
        source: RunSource,
        store: &StoreId,
        manifest: Option<&Manifest>,
    ) -> Result<()> {
        let path = source.path();
        match source {
            RunSource::File(file) => self.run_file(storage, file, store, manifest),
            RunSource::Open(run) => self.open_run(&path, &*run, manifest),
            RunSource::Broken(_, error) => self.note(Err::<(), _>(error)).map(drop),
        }
    }

    /// Checks a run that is not in a file of its own.
    fn open_run(
        &mut self,
        path: &Path,
        run: &dyn Sealed,
        manifest: Option<&Manifest>,
    ) -> Result<()> {
        self.read(run.entry().total_bytes());
        let before = self.verified.damages;
        run.verify(&mut |damage| self.tell(&damage))?;
        self.verified.records += run.records();
        if self.verified.damages == before {
            self.times(path, run, manifest);
        }
        Ok(())
    }

    /// Holds the times that a run has against the manifest.
    fn times(&mut self, path: &Path, run: &dyn Sealed, manifest: Option<&Manifest>) {
        let Some(manifest) = manifest else { return };
        self.ticks(path, manifest, run.generation(), run.ticks(), true);
        let latest = run.ticks().start_of(run.tick_range().1);
        if run.records() > 0 && latest > manifest.high_water {
            let expected = format!("times up to {}", manifest.high_water);
            let (what, found) = ("ticks of a run", format!("{latest}"));
            let path = path.to_path_buf();
            self.tell(&Corruption { path, offset: 0, what, expected, found });
        }
    }

    fn run_file(
        &mut self,
        storage: &dyn Storage,
        run: RunFile,
        store: &StoreId,
        manifest: Option<&Manifest>,
    ) -> Result<()> {
        let RunFile { number, entry, path, file, values } = run;
        if let Some(values) = values {
            self.values(values, store)?;
        }
        let len = file.len().map_err(|e| Error::io("measure", &path, e))?;
        self.read(len);
        let before = self.verified.damages;
        let run = match Run::open_in_order(file, path.clone(), store, number) {
            Ok(run) => run,
            Err(error) => return self.pages(storage, &path, store, number, error),
        };
        if let Some(entry) = &entry {
            self.note(check_run(&run, &path, entry))?;
        }
        run.verify(&mut |damage| self.tell(&damage))?;
        self.verified.records += run.records();
        if self.verified.damages == before {
            self.times(&path, &run, manifest);
        }
        Ok(())
    }

    fn state(&mut self, state: &StateFile, store: &StoreId) -> Result<()> {
        let len = state.file.len().map_err(|e| Error::io("measure", &state.path, e))?;
        self.read(len);
        self.note(state.read(store)).map(drop)
    }

    fn values(&mut self, values: ValuesFile, store: &StoreId) -> Result<()> {
        let len = values.file.len().map_err(|e| Error::io("measure", &values.path, e))?;
        self.read(len);
        match self.note(values.open(store))? {
            Some(values) => values.verify(&mut |damage| self.tell(&damage)),
            None => Ok(()),
        }
    }

    /// Checks every page of a run that does not open for itself; all have the same checksum.
    fn pages(
        &mut self,
        storage: &dyn Storage,
        path: &Path,
        store: &StoreId,
        number: u64,
        error: Error,
    ) -> Result<()> {
        let known = match &error {
            Error::Corrupt(damage) => Some(damage.offset / PAGE_U64),
            _ => None,
        };
        self.note(Err::<(), _>(error))?;
        let Some(file) = open_if_there(storage, path)? else {
            return Ok(());
        };
        let len = file.len().map_err(|e| Error::io("measure", path, e))?;
        let salt = Salt::new(store, &RUN_MAGIC, number);
        let mut page = [0; PAGE];
        for number in (0..len / PAGE_U64).filter(|&number| Some(number) != known) {
            let offset = number * PAGE_U64;
            read_exact_at(&*file, &mut page, offset).map_err(|e| Error::io("read", path, e))?;
            if let Err(flaw) = check(&page, salt, offset, "run page") {
                self.tell(&flaw.of(path));
            }
        }
        Ok(())
    }

    /// Holds the ticks that a file says its generation has against the manifest's.
    fn ticks(&mut self, path: &Path, manifest: &Manifest, number: u64, ticks: Ticks, listed: bool) {
        let known = manifest.generations.iter().find(|g| g.number == number).map(|g| g.ticks);
        if known == Some(ticks) || (known.is_none() && !listed) {
            return;
        }
        self.tell(&Corruption {
            path: path.to_path_buf(),
            offset: 0,
            what: "ticks of a generation",
            expected: format!("{known:?}"),
            found: format!("{ticks:?} of generation {number}"),
        });
    }

    fn log(
        &mut self,
        segments: Vec<SegmentFile>,
        store: &StoreId,
        manifest: Option<&Manifest>,
    ) -> Result<()> {
        let mut headers = Vec::with_capacity(segments.len());
        for segment in &segments {
            let header = read_segment_header(&*segment.file, &segment.path, store, segment.number);
            headers.push(self.note(header)?);
        }
        let mut chain = Chain::new(store, manifest);
        let mut ended = false;
        for (position, (segment, header)) in segments.iter().zip(headers).enumerate() {
            let SegmentFile { number, path, file } = segment;
            let len = file.len().map_err(|e| Error::io("measure", path, e))?;
            self.read(len);
            // Where the header is damaged, or the log has ended before, frames are checked all the same.
            if let Some(header) = header.filter(|_| !ended)
                && let Some(None) = self.note(chain.follow(&**file, path, *number, header))?
            {
                ended = true;
                let behind = segments[position + 1..].iter();
                let behind = behind.map(|later| Ok((later.number, &later.path, &later.file)));
                self.note(chain.check_all_dropped(&**file, path, *number, header, behind))?;
            }
            if let (Some(Some(header)), Some(manifest)) = (header, manifest) {
                self.ticks(path, manifest, header.generation, header.ticks, false);
            }
            let tail = self.segment(segment, store)?;
            if let Some(tail) = tail {
                self.note(chain.check_end(path, *number, tail))?;
            }
            chain.push(*number, tail);
        }
        Ok(())
    }

    /// Reads the frames of a segment; how it ends, unless it is damaged.
    fn segment(&mut self, segment: &SegmentFile, store: &StoreId) -> Result<Option<Tail>> {
        let SegmentFile { number, path, file } = segment;
        let salt = Salt::new(store, SEGMENT_MAGIC, *number);
        let Some(tail) = self.note(measure(&**file, path, salt))? else {
            return Ok(None);
        };
        self.verified.torn_bytes += tail.torn;
        replay_prefix(&**file, path, salt, tail.end, &mut |offset, frame, payload| {
            let Some(content) = self.note(Content::of(path, offset, frame, payload))? else {
                return Ok(());
            };
            let records = self.note(records_of(path, offset, frame, payload))?;
            if let Some(records) = records.filter(|_| !matches!(content, Content::Forget)) {
                self.verified.records += records.count() as u64;
            }
            Ok(())
        })?;
        Ok(Some(tail))
    }
}
