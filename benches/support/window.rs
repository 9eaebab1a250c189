//! A store whose window stays as large as it is: time passes with the new ids, and not by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use firstseen::testing::ManualClock;
use firstseen::{Durability, Stats, Store, Timestamp};
use tempfile::TempDir;

use super::feed;
use super::ids::{Id, id};
use super::keys::Random;
use super::setting;

const WINDOW: Duration = Duration::from_secs(86_400);
const GENERATIONS: u64 = 8;
/// About so many ids are made at a time, before they are presented.
const BLOCK: u64 = 8_192;
/// The most new ids after which time passes: less than a table takes with the default memory.
const TURN_MAX: u64 = 2_000_000;

/// Which ids are presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// New ones.
    New,
    /// Ids of the active table.
    Young,
    /// Ids of runs, of seven generations of the eight. All is sealed and merged.
    Old,
    /// Of a hundred so many that were seen, half a window ago; the others are new.
    Duplicates(u64),
}

/// How ids are presented.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) work: Work,
    pub(crate) batch: u64,
    pub(crate) threads: u64,
    /// Whether time passes while ids are presented, so that callers feel the sealing, merging and dropping. Or else it
    /// passes in between, and all of that is done before they go on.
    pub(crate) sealing: bool,
}

impl Row {
    /// Ids that are presented when each thread presents a batch.
    pub(crate) fn ids(&self) -> u64 {
        self.batch * self.threads
    }
}

/// What a store is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Ids of the window.
    pub(crate) ids: u64,
    /// Ids of [`Work::Young`].
    pub(crate) young: u64,
    pub(crate) durability: Durability,
    /// How many ids the active table takes; `None` for what the memory gives.
    pub(crate) active_ids: Option<usize>,
}

pub(crate) struct Window {
    store: Store,
    clock: ManualClock,
    shape: Shape,
    /// After so many new ids time passes.
    turn: u64,
    /// New ids since it has.
    since: u64,
    /// The next id that is new. Those before were presented.
    next: AtomicU64,
    /// Those before are sealed.
    sealed: u64,
    _folder: TempDir,
}

impl Window {
    /// A store that has seen nothing, and whose time stands still: all ids go into one table.
    pub(crate) fn empty(shape: Shape) -> Window {
        let folder = setting::folder();
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let memory = if shape.ids > 50_000_000 { 2 << 30 } else { 512 << 20 };
        let mut builder = Store::builder().window(WINDOW).clock(Arc::new(clock.clone()));
        builder = builder.durability(shape.durability).memory_budget(memory);
        builder = builder.expected_ids(shape.ids);
        if let Some(ids) = shape.active_ids {
            builder = builder.active_ids(ids);
        }
        Window {
            store: builder.open(folder.path()).expect("a store opens"),
            clock,
            shape,
            turn: u64::MAX,
            since: 0,
            next: AtomicU64::new(0),
            sealed: 0,
            _folder: folder,
        }
    }

    /// A store whose window is full, and has begun to expire.
    pub(crate) fn full(shape: Shape) -> Window {
        let generation = shape.ids / GENERATIONS;
        let mut window = Window { turn: generation.min(TURN_MAX), ..Window::empty(shape) };
        let row = Row { work: Work::New, batch: BLOCK, threads: 1, sealing: true };
        window.present(row, (shape.ids + generation).div_ceil(BLOCK));
        window
    }

    pub(crate) fn stats(&self) -> Stats {
        self.store.stats()
    }

    /// Seals and merges what there is, and makes sure that there are ids of the kind that is going to be presented.
    pub(crate) fn prepare(&mut self, work: Work) {
        self.tidy();
        if work == Work::Young {
            let all = self.sealed + self.shape.young;
            // Time stands still, so they do not leave the table.
            feed::fill(&self.store, self.sealed..all, BLOCK);
            *self.next.get_mut() = all;
            let frozen = self.store.stats().frozen_tables;
            assert_eq!(frozen, 0, "the active table takes them all");
        }
    }

    /// Presents so many batches from each thread. The time of the longest, without that of making ids.
    pub(crate) fn present(&mut self, row: Row, mut batches: u64) -> Duration {
        let mut spent = Duration::ZERO;
        while batches > 0 {
            if self.since >= self.turn {
                self.pass(self.since);
                self.tidy();
            }
            let turn = batches.min((self.turn - self.since).div_ceil(row.ids()));
            batches -= turn;
            let before = *self.next.get_mut();
            spent += self.present_turn(row, turn);
            if !row.sealing {
                self.since += *self.next.get_mut() - before;
            }
        }
        spent
    }

    fn present_turn(&self, row: Row, batches: u64) -> Duration {
        if row.threads == 1 {
            return self.present_alone(row, batches, 1);
        }
        thread::scope(|scope| {
            let threads: Vec<_> = (1..=row.threads)
                .map(|seed| scope.spawn(move || self.present_alone(row, batches, seed)))
                .collect();
            let times = threads.into_iter().map(|thread| thread.join().expect("a thread ends"));
            times.max().expect("there are threads")
        })
    }

    fn present_alone(&self, row: Row, mut batches: u64, seed: u64) -> Duration {
        let mut random = Random(seed << 32 | self.next.load(Ordering::Relaxed));
        let (mut ids, mut verdicts) = (Vec::new(), Vec::new());
        let mut spent = Duration::ZERO;
        while batches > 0 {
            let block = batches.min((BLOCK / row.batch).max(1));
            batches -= block;
            let expected = self.choose(row.work, block * row.batch, &mut random, &mut ids);
            let mut new = 0;
            let start = Instant::now();
            for batch in ids.chunks(row.batch as usize) {
                self.store.check_and_insert_into(batch, &mut verdicts).expect("the call succeeds");
                new += feed::new(&verdicts);
            }
            spent += start.elapsed();
            assert_eq!(new, expected, "{:?} of {} ids", row.work, ids.len());
            if row.sealing {
                self.pass(new);
            }
        }
        spent
    }

    /// Makes ids; returns how many of them are new.
    fn choose(&self, work: Work, count: u64, random: &mut Random, ids: &mut Vec<Id>) -> u64 {
        let (window, young) = (self.shape.ids, self.shape.young);
        let new = match work {
            Work::New => count,
            Work::Young | Work::Old => 0,
            Work::Duplicates(percent) => (0..count).filter(|n| n % 100 >= percent).count() as u64,
        };
        let mut next = self.next.fetch_add(new, Ordering::Relaxed);
        let older = next - next.min(window * 5 / 8);
        ids.clear();
        ids.extend((0..count).map(|n| match work {
            Work::Young => id(self.sealed + random.word() % young),
            Work::Old => id(self.sealed - 1 - random.word() % (window * 7 / 8)),
            Work::Duplicates(percent) if n % 100 < percent => {
                id(older + random.word() % (window / 4))
            }
            Work::New | Work::Duplicates(_) => {
                next += 1;
                id(next - 1)
            }
        }));
        new
    }

    /// As much time passes as a full window takes for so many new ids.
    fn pass(&self, new: u64) {
        let an_id = WINDOW.as_nanos() / u128::from(self.shape.ids);
        self.clock.advance(Duration::from_nanos((an_id * u128::from(new)) as u64));
    }

    /// Seals, merges and drops what there is.
    fn tidy(&mut self) {
        self.store.compact().expect("compaction");
        self.sealed = *self.next.get_mut();
        self.since = 0;
    }
}
