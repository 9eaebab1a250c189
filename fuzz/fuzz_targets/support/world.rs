//! A store on a disk in memory, with a clock of its own, held against the oracle.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{Clock, Durability, ReadMode, Store, TimeSource, Timestamp, Verdict};

use super::oracle::Oracle;

/// 2.56 ms: a tick of a generation is 10 us at one window unit and one slice.
const WINDOW_UNIT: Duration = Duration::from_micros(2_560);
const START: Timestamp = Timestamp::from_secs(1_000_000);

#[derive(Debug, Arbitrary)]
pub struct Config {
    window_units: u8,
    generations: u8,
    active_ids: u8,
    events: bool,
    sync: bool,
    positioned: bool,
}

#[derive(Debug, Arbitrary)]
pub enum Op {
    Insert(Vec<u8>),
    /// Ids, each with how long before the clock, in window sixteenths, its event lies.
    InsertTimed(Vec<(u8, i8)>),
    Check(Vec<u8>),
    Contains(Vec<u8>),
    Forget(Vec<u8>),
    Sync,
    Seal,
    Compact,
    /// In 256ths of the window.
    Advance(u8),
    JumpAhead(u8),
    JumpBack(u8),
    Reopen,
    /// The process dies, or the machine where everything is synced.
    Die(u64),
}

pub struct World {
    config: Config,
    disk: MemoryDisk,
    clock: ManualClock,
    /// Wall-clock time when the monotonic clock stood at zero, as the open store has it.
    epoch: Timestamp,
    skew: Duration,
    store: Option<Store>,
    oracle: Oracle,
}

/// Ids of all the lengths that matter: under, at and over one block, and longer.
fn id(n: u8) -> Vec<u8> {
    let len = [1, 16, 17, 40][usize::from(n % 4)];
    let mut id = vec![0xa5; len];
    id[0] = n;
    id
}

fn ids(numbers: &[u8]) -> Vec<Vec<u8>> {
    numbers.iter().map(|&n| id(n)).collect()
}

impl World {
    pub fn new(config: Config) -> World {
        let window = WINDOW_UNIT * (u32::from(config.window_units) + 1);
        let slice = window / config.slices();
        let tick = slice.as_micros().div_ceil(256) as u64;
        let mut world = World {
            disk: MemoryDisk::new(),
            clock: ManualClock::new(START),
            epoch: START,
            skew: window / 2,
            store: None,
            oracle: Oracle::new(window, Duration::from_micros(tick)),
            config,
        };
        world.open();
        world
    }

    pub fn apply(&mut self, op: &Op) {
        let window = self.oracle.window;
        match op {
            Op::Insert(numbers) => {
                self.look_at_clock();
                let verdicts = self.store().check_and_insert(&ids(numbers)).unwrap();
                assert_eq!(verdicts.len(), numbers.len());
                let judged = numbers.iter().zip(verdicts);
                judged.for_each(|(&n, verdict)| self.oracle.judge(n, verdict, true));
            }
            Op::InsertTimed(events) => self.insert_timed(events),
            Op::Check(numbers) => self.check(numbers),
            Op::Contains(numbers) => {
                self.look_at_clock();
                let found = self.store().contains(&ids(numbers)).unwrap();
                let found = numbers.iter().zip(found);
                found.for_each(|(&n, contained)| self.oracle.judge_contains(n, contained));
            }
            Op::Forget(numbers) => {
                self.look_at_clock();
                let count = self.store().forget(&ids(numbers)).unwrap();
                self.oracle.forget(numbers, count);
            }
            Op::Sync => self.store().sync().unwrap(),
            Op::Seal => self.with_clock(|store| store.seal().unwrap()),
            Op::Compact => self.with_clock(|store| store.compact().unwrap()),
            Op::Advance(part) => self.clock.advance(window * u32::from(*part) / 256),
            Op::JumpAhead(part) => self.clock.jump_ahead(window * u32::from(*part) / 256),
            Op::JumpBack(part) => self.clock.jump_back(window * u32::from(*part) / 256),
            Op::Reopen => {
                self.with_clock(|_| ());
                self.store.take().expect("it is open").close().unwrap();
                self.open();
            }
            Op::Die(seed) => {
                let died =
                    if self.config.sync { self.disk.crash_with(*seed) } else { self.disk.kill() };
                // The store goes on for a moment, on a disk that nobody reads again.
                self.store = None;
                self.disk = died;
                self.oracle.die();
                self.open();
            }
        }
    }

    /// Every id once more, after a clean close.
    pub fn finish(mut self) {
        self.apply(&Op::Reopen);
        self.apply(&Op::Insert((0..=255).collect()));
        self.apply(&Op::Contains((0..=255).collect()));
    }

    fn insert_timed(&mut self, events: &[(u8, i8)]) {
        self.look_at_clock();
        let sixteenth = self.oracle.window / 16;
        let time = |before: i8| match u32::from(before.unsigned_abs()) {
            ahead if before < 0 => self.clock.wall() + sixteenth * ahead,
            behind => self.clock.wall() - sixteenth * behind,
        };
        let times: Vec<Timestamp> = events.iter().map(|&(_, before)| time(before)).collect();
        let numbers: Vec<u8> = events.iter().map(|&(n, _)| n).collect();
        let latest = self.believed_wall() + self.skew;
        let mut verdicts = vec![Verdict::New; 3];
        self.store().check_and_insert_timed_into(&ids(&numbers), &times, &mut verdicts).unwrap();
        assert_eq!(verdicts.len(), numbers.len());
        for ((n, time), verdict) in numbers.into_iter().zip(times).zip(verdicts) {
            let believed = time.min(latest);
            if self.config.events {
                self.oracle.now.advance(believed);
            }
            if let Some(late) = self.oracle.is_late(believed) {
                assert_eq!(verdict.is_late(), late, "at {believed}: {:?}", self.oracle);
            }
            if !verdict.is_late() {
                self.oracle.judge(n, verdict, true);
            }
        }
    }

    /// Checks each id once: an id that is twice in a batch is judged by the batch.
    fn check(&mut self, numbers: &[u8]) {
        self.look_at_clock();
        let mut verdicts = Vec::new();
        self.store().check(&ids(numbers), &mut verdicts).unwrap();
        assert_eq!(verdicts.len(), numbers.len());
        for (i, (&n, verdict)) in numbers.iter().zip(&verdicts).enumerate() {
            if numbers[..i].contains(&n) {
                assert!(verdict.is_duplicate(), "{n} is twice in a batch");
            } else {
                self.oracle.judge(n, *verdict, false);
            }
        }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open")
    }

    fn with_clock(&mut self, f: impl FnOnce(&Store)) {
        self.look_at_clock();
        f(self.store());
    }

    /// Store time advances as it does at the start of a call.
    fn look_at_clock(&mut self) {
        if !self.config.events {
            self.oracle.now.advance(self.believed_wall());
        }
    }

    fn believed_wall(&self) -> Timestamp {
        let (wall, passed) = (self.clock.wall(), self.epoch + self.clock.monotonic());
        if wall - passed > self.skew { passed } else { wall.max(passed) }
    }

    fn open(&mut self) {
        self.epoch = self.clock.wall() - self.clock.monotonic();
        let config = &self.config;
        let store = Store::builder()
            .window(self.oracle.window)
            .generations(config.slices())
            .active_ids(usize::from(config.active_ids % 64) + 1)
            .memory_budget(16 << 20)
            .future_skew(self.skew)
            .time(if config.events { TimeSource::Event } else { TimeSource::System })
            .durability(if config.sync { Durability::Sync } else { Durability::Buffered })
            .read_mode(if config.positioned { ReadMode::Positioned } else { ReadMode::Mapped })
            .background(false)
            .storage(Arc::new(self.disk.clone()))
            .clock(Arc::new(self.clock.clone()))
            .open(Path::new("store"));
        self.store = Some(store.unwrap());
        if !self.config.events {
            // Where the clock is behind, time goes on from what the store knew.
            self.epoch = self.store().stats().now - self.clock.monotonic();
        }
        self.look_at_clock();
    }
}

impl Config {
    fn slices(&self) -> u32 {
        8 + u32::from(self.generations % 25)
    }
}
