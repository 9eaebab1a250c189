//! Runs that memory does not hold: what the disk is told of, in which order, and how much. Nothing here takes time: the
//! disk moves the clock.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firstseen::testing::{File, Lock, ManualClock, MemoryDisk, Region, Storage};
use firstseen::{Clock, Error, ReadMode, Store, Timestamp};

/// The ids of the benches.
#[path = "../benches/support/ids.rs"]
mod ids;
mod support;

use ids::id;
use support::disk::DIR;

const PAGE: u64 = 4_096;
const WINDOW: Duration = Duration::from_secs(360_000);
const RUNS: u64 = 12;
const BATCH: u64 = 1_024;
/// Ids of a run.
const SLICE: u64 = 32 * BATCH;
/// Ids of a call: so few of a run that they are on pages apart.
const ASKED: u64 = 512;
/// How many reads are under way, about.
const READS: usize = 128;
/// For how many calls the disk is told at first.
const CALLS: usize = 64;

/// What happened to a run, by the name of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    /// These pages will be read.
    Told(PathBuf, Range<u64>),
    /// This one was.
    Read(PathBuf, u64),
}

/// What the disk does with single pages of runs, and what it saw.
#[derive(Debug, Default)]
struct Mood {
    /// How long a page takes that it was not told of.
    seek: Duration,
    /// How long a look at the clock takes.
    step: Duration,
    /// What becomes of a page.
    spoil: Option<Spoil>,
    events: Vec<Event>,
    told: HashSet<(PathBuf, u64)>,
}

#[derive(Debug, Clone, Copy)]
enum Spoil {
    Flip,
    Fail,
}

#[derive(Debug, Clone)]
struct ColdDisk {
    disk: MemoryDisk,
    clock: ManualClock,
    mood: Arc<Mutex<Mood>>,
}

impl ColdDisk {
    fn file(&self, path: &Path, file: io::Result<Box<dyn File>>) -> io::Result<Box<dyn File>> {
        Ok(Box::new(ColdFile { file: file?, path: path.to_path_buf(), disk: self.clone() }))
    }

    /// What happened since it was asked last.
    fn events(&self) -> Vec<Event> {
        let mut mood = self.mood.lock().unwrap();
        mood.told.clear();
        std::mem::take(&mut mood.events)
    }

    fn set(&self, change: impl FnOnce(&mut Mood)) {
        change(&mut self.mood.lock().unwrap());
    }
}

impl Storage for ColdDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.file(path, self.disk.open(path))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.disk.open_write(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.link(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.disk.lock(path)
    }
}

#[derive(Debug)]
struct ColdFile {
    file: Box<dyn File>,
    path: PathBuf,
    disk: ColdDisk,
}

impl File for ColdFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buf, offset)?;
        if buf.len() as u64 == PAGE {
            let mut mood = self.disk.mood.lock().unwrap();
            let place = (self.path.clone(), offset / PAGE);
            if !mood.told.contains(&place) {
                self.disk.clock.advance(mood.seek);
            }
            mood.events.push(Event::Read(place.0, place.1));
            match mood.spoil {
                Some(Spoil::Flip) => buf[9] ^= 1,
                Some(Spoil::Fail) => return Err(io::Error::other("a bad sector")),
                None => {}
            }
        }
        Ok(read)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(buf, offset)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.allocate(offset, len)
    }

    fn will_read(&self, offset: u64, len: u64) {
        assert!(offset.is_multiple_of(PAGE) && len.is_multiple_of(PAGE), "{offset}, {len}");
        let pages = offset / PAGE..(offset + len) / PAGE;
        assert!(pages.end * PAGE <= self.len().unwrap(), "{pages:?}");
        let mut mood = self.disk.mood.lock().unwrap();
        for page in pages.clone() {
            assert!(mood.told.insert((self.path.clone(), page)), "page {page} is told of once");
        }
        mood.events.push(Event::Told(self.path.clone(), pages));
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn map(&self, len: usize) -> io::Result<Region> {
        self.file.map(len)
    }
}

/// A clock that a disk moves.
#[derive(Debug)]
struct ColdClock(ColdDisk);

impl Clock for ColdClock {
    fn wall(&self) -> Timestamp {
        self.0.clock.wall()
    }

    fn monotonic(&self) -> Duration {
        self.0.clock.advance(self.0.mood.lock().unwrap().step);
        self.0.clock.monotonic()
    }
}

/// A store with a window in many runs.
struct World {
    store: Store,
    disk: ColdDisk,
    calls: u64,
}

impl World {
    fn new(mode: ReadMode) -> World {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let disk = ColdDisk { disk: MemoryDisk::new(), clock, mood: Arc::default() };
        let builder = Store::builder().storage(Arc::new(disk.clone())).background(false);
        let builder = builder.clock(Arc::new(ColdClock(disk.clone()))).window(WINDOW);
        let builder = builder.memory_budget(64 << 20).active_ids(SLICE as usize).read_mode(mode);
        let store = builder.open(DIR).unwrap();
        for slice in 0..RUNS {
            for from in (slice * SLICE..(slice + 1) * SLICE).step_by(BATCH as usize) {
                let batch: Vec<_> = (from..from + BATCH).map(id).collect();
                assert!(store.check_and_insert(&batch).unwrap().iter().all(|v| v.is_new()));
            }
            store.compact().unwrap();
        }
        assert_eq!(store.stats().runs, RUNS, "of a generation that still grows");
        disk.events();
        World { store, disk, calls: 0 }
    }

    /// A store that has found out that its disk is slow, by two calls.
    fn cold(mode: ReadMode) -> World {
        let mut world = World::new(mode);
        world.disk.set(|mood| mood.seek = Duration::from_micros(100));
        for _ in 0..2 {
            assert!(world.ask().iter().all(is_read));
        }
        world
    }

    /// Presents ids from all over the window once more. Returns what the disk saw.
    fn ask(&mut self) -> Vec<Event> {
        let verdicts = self.store.check_and_insert(&self.batch()).unwrap();
        assert!(verdicts.iter().all(|verdict| verdict.is_duplicate()));
        self.calls += 1;
        self.disk.events()
    }

    fn batch(&self) -> Vec<ids::Id> {
        let stride = RUNS * SLICE / ASKED;
        (0..ASKED).map(|n| id(n * stride + self.calls % stride)).collect()
    }
}

fn is_read(event: &Event) -> bool {
    matches!(event, Event::Read(..))
}

#[test]
fn a_cold_store_is_told_what_it_will_read_while_it_reads() {
    let mut world = World::cold(ReadMode::Positioned);
    let before = world.store.stats();
    let events = world.ask();
    let last_told = events.iter().rposition(|event| !is_read(event)).unwrap();
    let (mut told, mut pages_told, mut under_way) = (Vec::new(), 0, Vec::new());
    for event in &events[..last_told] {
        match event {
            Event::Told(path, pages) => {
                told.push((path, pages, true));
                pages_told += pages.end - pages.start;
            }
            Event::Read(path, page) => {
                let at = told.iter().position(|(p, pages, _)| *p == path && pages.contains(page));
                under_way.push(told.iter().filter(|told| told.2).count());
                told[at.expect("a page is told of before it is read")].2 = false;
            }
        }
    }
    let (least, most) = (*under_way.iter().min().unwrap(), *under_way.iter().max().unwrap());
    let of_a_run = (2 * ASKED / RUNS) as usize;
    assert!(least + of_a_run >= READS, "as few as {least} reads under way");
    assert!(most <= READS + of_a_run, "as many as {most} reads under way");
    let stats = world.store.stats();
    let pages = (stats.page_reads - before.page_reads) as f64 / ASKED as f64;
    assert!(pages < 1.0 + 0.02 * RUNS as f64, "{pages} pages a duplicate");
    let told = pages_told as f64 / ASKED as f64;
    assert!(told <= pages + 0.1, "{told} pages told of, and {pages} read");
}

#[test]
fn where_memory_holds_the_runs_the_disk_is_told_nothing() {
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let mut world = World::new(mode);
        for _ in 0..2 * CALLS {
            assert!(world.ask().iter().all(is_read));
        }
    }
}

#[test]
fn the_disk_is_told_no_more_once_memory_holds_the_runs() {
    let mut world = World::cold(ReadMode::Positioned);
    let telling = |world: &mut World| world.ask().iter().any(|event| !is_read(event));
    assert!((0..CALLS).all(|_| telling(&mut world)));
    assert!(!telling(&mut world), "to see whether it still is slow");
    assert!((0..2 * CALLS).all(|_| telling(&mut world)), "it is, so for longer");
    world.disk.set(|mood| mood.seek = Duration::ZERO);
    assert!((0..4 * CALLS).all(|_| !telling(&mut world)));
}

#[test]
fn one_slow_call_is_no_reason_to_tell() {
    let mut world = World::new(ReadMode::Positioned);
    for call in 0..20 {
        let seek = Duration::from_micros(if call % 2 == 0 { 100 } else { 0 });
        world.disk.set(|mood| mood.seek = seek);
        assert!(world.ask().iter().all(is_read));
    }
}

/// The disk moves no clock when a mapping is read, so here every look of the clock does.
#[test]
fn through_mappings_the_filters_are_told_of_too() {
    let mut world = World::new(ReadMode::Mapped);
    world.disk.set(|mood| mood.step = Duration::from_millis(100));
    for _ in 0..2 {
        assert_eq!(world.ask(), []);
    }
    let mut told: HashMap<PathBuf, Vec<u64>> = HashMap::new();
    for event in world.ask() {
        let Event::Told(path, pages) = event else { panic!("no page is read by position") };
        told.entry(path).or_default().extend(pages);
    }
    assert_eq!(told.len(), RUNS as usize, "each run");
    let filter_pages = SLICE * 10 / 8 / PAGE;
    for pages in told.values() {
        assert!((1..=filter_pages).all(|page| pages.contains(&page)), "its filter: {pages:?}");
        assert!(pages.iter().any(|&page| page > filter_pages + 1), "and its pages: {pages:?}");
    }
}

#[test]
fn damage_and_failures_are_errors_also_in_what_was_told_of() {
    let mut world = World::cold(ReadMode::Positioned);
    let mut ask_spoilt = |spoil| {
        world.disk.set(|mood| mood.spoil = Some(spoil));
        let error = world.store.check_and_insert(&world.batch()).unwrap_err();
        assert!(world.disk.events().iter().any(|event| !is_read(event)), "ahead");
        world.disk.set(|mood| mood.spoil = None);
        assert!(world.ask().iter().any(|event| !is_read(event)), "all is known again");
        error
    };
    let error = ask_spoilt(Spoil::Flip);
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
    let error = ask_spoilt(Spoil::Fail);
    assert!(matches!(error, Error::Io { .. }), "{error}");
}
