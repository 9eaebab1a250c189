//! A store, its world and its clock, with the oracle beside it: every answer is held against it.

use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk, Oracle};
use firstseen::{Clock, Durability, IdentityKind, ReadMode, Store, TimeSource, Timestamp, Verdict};

use super::world::World;
use super::{Rng, id, ids};

pub const SKEW: Duration = Duration::from_secs(60);

/// How the store is opened.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub window: Duration,
    pub generations: u32,
    pub active_ids: usize,
    pub read_mode: ReadMode,
    pub durability: Durability,
    pub time: TimeSource,
    pub identity: IdentityKind,
}

impl Settings {
    pub fn random(rng: &mut Rng) -> Settings {
        let kinds = [IdentityKind::AesCmac, IdentityKind::Xxh3];
        let durabilities =
            [Durability::Buffered, Durability::Sync, Durability::Interval(Duration::from_secs(1))];
        Settings {
            window: Duration::from_millis(1 + rng.pick(&[10, 1_000, 3_600_000]) + rng.below(500)),
            generations: 8 + rng.below(9) as u32,
            active_ids: 100 + rng.below(5_000) as usize,
            read_mode: rng.pick(&[ReadMode::Mapped, ReadMode::Positioned]),
            durability: rng.pick(&durabilities),
            time: rng.pick(&[TimeSource::System, TimeSource::Event]),
            identity: rng.pick(&kinds),
        }
    }

    /// Another way to open the same store.
    pub fn change(self, rng: &mut Rng) -> Settings {
        let Settings { time, identity, mut window, .. } = self;
        let other = Settings::random(rng);
        if rng.one_in(3) {
            let millis = window.as_millis() as u64 * (1 + rng.below(8)) / 4;
            window = Duration::from_millis(millis + 1);
        }
        Settings { time, identity, window, ..other }
    }
}

/// How a store ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Close,
    Kill,
    PowerCut(Option<u64>),
}

pub struct Machine {
    pub world: World,
    pub clock: ManualClock,
    pub settings: Settings,
    pub store: Store,
    pub oracle: Oracle,
    /// Wall-clock time less monotonic time when the store was opened.
    epoch: Timestamp,
    /// The store time of the last call that wrote something.
    logged: Timestamp,
    pub steps: u64,
}

impl Machine {
    pub fn new(settings: Settings) -> Machine {
        Machine::in_world(World::Memory(MemoryDisk::new()), settings)
    }

    /// A machine whose store is anywhere.
    pub fn in_world(world: World, settings: Settings) -> Machine {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let store = open(&world, &clock, settings);
        let oracle = Oracle::new(settings.window, settings.generations);
        let epoch = clock.wall() - clock.monotonic();
        let mut machine = Machine {
            world,
            clock,
            settings,
            store,
            oracle,
            epoch,
            logged: Timestamp::MIN,
            steps: 0,
        };
        machine.now();
        machine
    }

    /// The wall clock, as far as it is to be believed.
    fn believed(&self) -> Timestamp {
        let (wall, passed) = (self.clock.wall(), self.epoch + self.clock.monotonic());
        if wall - passed > SKEW { passed } else { wall.max(passed) }
    }

    /// Store time, which must be what the clock makes it.
    pub fn now(&mut self) -> Timestamp {
        if self.settings.time == TimeSource::System {
            self.oracle.advance(self.believed());
        }
        assert_eq!(self.store.stats().now, self.oracle.now(), "store time");
        self.oracle.now()
    }

    pub fn insert(&mut self, numbers: &[u64]) {
        let now = self.now();
        let verdicts = self.store.check_and_insert(&ids(numbers)).unwrap();
        assert_eq!(verdicts.len(), numbers.len());
        for (&n, &verdict) in numbers.iter().zip(&verdicts) {
            self.judge(n, now, None, true, verdict);
        }
        self.steps += numbers.len() as u64;
    }

    pub fn insert_timed(&mut self, numbers: &[u64], times: &[Timestamp]) {
        let moments = self.moments(times);
        let mut verdicts = Vec::new();
        let ids = ids(numbers);
        self.store.check_and_insert_timed_into(&ids, times, &mut verdicts).unwrap();
        assert_eq!(verdicts.len(), numbers.len());
        for (i, &n) in numbers.iter().enumerate() {
            self.oracle.advance(moments[i]);
            self.judge(n, moments[i], Some(times[i]), true, verdicts[i]);
        }
        self.now();
        self.steps += numbers.len() as u64;
    }

    /// Looks without inserting, in both ways, with times or without.
    pub fn check(&mut self, numbers: &[u64], times: Option<&[Timestamp]>) {
        let now = self.now();
        let moments = match times {
            Some(times) => self.moments(times),
            None => vec![now; numbers.len()],
        };
        let (ids, mut verdicts) = (ids(numbers), Vec::new());
        match times {
            Some(times) => self.store.check_timed(&ids, times, &mut verdicts).unwrap(),
            None => self.store.check(&ids, &mut verdicts).unwrap(),
        }
        let mut trial = self.oracle.clone();
        let mut looked_at = std::collections::HashSet::new();
        for (i, &n) in numbers.iter().enumerate() {
            let event = times.map(|times| times[i]);
            let judged = trial.judge(n, moments[i], event, true, verdicts[i]);
            judged.unwrap_or_else(|wrong| panic!("check: {wrong}"));
            if looked_at.insert(n) {
                self.judge(n, moments[i], event, false, verdicts[i]);
            }
        }
        if times.is_none() {
            for (&n, known) in numbers.iter().zip(self.store.contains(&ids).unwrap()) {
                let judged = self.oracle.judge_known(n, known);
                judged.unwrap_or_else(|wrong| panic!("contains: {wrong}"));
            }
        }
        self.steps += numbers.len() as u64;
    }

    pub fn forget(&mut self, numbers: &[u64]) {
        self.now();
        let forgotten = self.store.forget(&ids(numbers)).unwrap();
        let (least, most) = self.oracle.forget(numbers);
        assert!((least..=most).contains(&forgotten), "forgot {forgotten}, not {least}..={most}");
    }

    /// Ends the store and opens what is left, with these settings.
    pub fn reopen(&mut self, end: End, settings: Settings) {
        let before = self.now();
        let world = match end {
            End::Close => {
                self.store.clone().close().unwrap();
                self.world.clone()
            }
            End::Kill => self.world.kill(),
            End::PowerCut(seed) => self.world.power_cut(seed),
        };
        self.store = open(&world, &self.clock, settings);
        self.world = world;
        self.epoch = self.clock.wall() - self.clock.monotonic();
        let now = self.store.stats().now;
        let (least, most) = match self.settings.time {
            TimeSource::Event => (before, before),
            // What a clock said that was set back since, and nobody wrote down, is forgotten.
            TimeSource::System => {
                let written = if matches!(end, End::Close) { before } else { self.logged };
                (written.max(self.believed()), before.max(self.believed()))
            }
        };
        assert!(
            (least..=most).contains(&now),
            "store time {now} after {end:?}, not {least}..={most}"
        );
        if self.settings.time == TimeSource::System {
            // Where the clock is behind, time goes on from what the store knew.
            self.epoch = now - self.clock.monotonic();
        }
        self.oracle.resume_at(now);
        let Settings { window, generations, .. } = settings;
        let known_for = self.store.effective_window();
        if (window, generations) != (self.settings.window, self.settings.generations) {
            self.oracle.set_window(window, generations, now - known_for);
        }
        if known_for < window {
            self.oracle.set_complete_since(now - known_for);
        }
        self.settings = settings;
    }

    /// Looks at every id that was ever seen.
    pub fn check_all(&mut self) {
        let mut known: Vec<u64> = self.oracle.known().collect();
        known.sort_unstable();
        known.chunks(3_000).for_each(|chunk| self.check(chunk, None));
    }

    /// The time at which each of the events is judged.
    fn moments(&mut self, times: &[Timestamp]) -> Vec<Timestamp> {
        let mut now = self.now();
        if self.settings.time == TimeSource::System {
            return vec![now; times.len()];
        }
        let latest = self.believed() + SKEW;
        let each = times.iter().map(|&time| {
            now = now.max(time.min(latest));
            now
        });
        each.collect()
    }

    fn judge(
        &mut self,
        n: u64,
        now: Timestamp,
        event: Option<Timestamp>,
        inserts: bool,
        verdict: Verdict,
    ) {
        let judged = self.oracle.judge(n, now, event, inserts, verdict);
        judged.unwrap_or_else(|wrong| panic!("{wrong}\nwith {:?}", self.settings));
        if inserts && verdict.is_new() {
            self.logged = self.logged.max(now);
        }
    }
}

pub fn open(world: &World, clock: &ManualClock, settings: Settings) -> Store {
    let builder = world
        .builder(clock)
        .background(false)
        .future_skew(SKEW)
        .memory_budget(32 << 20)
        .window(settings.window)
        .generations(settings.generations)
        .active_ids(settings.active_ids)
        .read_mode(settings.read_mode)
        .durability(settings.durability)
        .time(settings.time)
        .identity(settings.identity);
    builder.open(world.path()).unwrap()
}

/// One id, for the tests that need no more.
pub fn one(n: u64) -> [Vec<u8>; 1] {
    [id(n)]
}
