//! What the stores of the fixtures went through, and what they are asked.
//!
//! Everything is chosen: the clock, the store's name and the key of its identity. So the same calls leave the
//! same bytes, but for sled, whose threads choose where things stand.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::ManualClock;
use firstseen::{Backend, Builder, Clock, IdentityKind, Store, TimeSource, Timestamp, Verdict};

use crate::support::Rng;
use crate::support::files::copy_folder;
use crate::support::found::Founding;

/// A store of the fixtures.
#[derive(Debug, Clone, Copy)]
pub struct Fixture {
    pub name: &'static str,
    pub backend: Backend,
    pub identity: u32,
    pub event_time: bool,
    pub closed: bool,
}

pub const MAPPED_CLOSED: Fixture = Fixture {
    name: "mapped-closed",
    backend: Backend::Mapped,
    identity: 1,
    event_time: false,
    closed: true,
};
pub const MAPPED_KILLED: Fixture = Fixture {
    name: "mapped-killed",
    backend: Backend::Mapped,
    identity: 2,
    event_time: true,
    closed: false,
};
pub const SLED_CLOSED: Fixture =
    Fixture { name: "sled-closed", backend: Backend::Sled, ..MAPPED_CLOSED };
pub const SLED_KILLED: Fixture =
    Fixture { name: "sled-killed", backend: Backend::Sled, ..MAPPED_KILLED };

pub const ALL: &[Fixture] = &[MAPPED_CLOSED, MAPPED_KILLED, SLED_CLOSED, SLED_KILLED];

/// Those that this build can open.
pub fn of_this_build() -> impl Iterator<Item = Fixture> {
    let has = |fixture: &Fixture| fixture.backend == Backend::Mapped || cfg!(feature = "sled");
    ALL.iter().copied().filter(has)
}

const BEGIN: Timestamp = Timestamp::from_secs(1_700_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Cut into eight generations of ten minutes.
const WINDOW: Duration = Duration::from_secs(80 * 60);

/// Opens a store of the fixtures, at a time. What a store keeps is not chosen: it must be found in it.
pub fn builder(clock: &ManualClock) -> Builder {
    Store::builder().clock(Arc::new(clock.clone())).background(false).memory_budget(16 << 20)
}

impl Fixture {
    /// Makes the store in `dir`; says what it answered last, and at what time.
    pub fn make(&self, dir: &Path) -> String {
        let founding = Founding {
            identity: self.identity,
            event_time: self.event_time,
            sled: self.backend == Backend::Sled,
            created: BEGIN,
            window: WINDOW,
        };
        founding.lay(dir);
        let clock = ManualClock::new(BEGIN);
        let store = builder(&clock).open(dir).unwrap();
        assert!(!store.recovery().created);
        let work = Work { store: &store, clock: &clock, event_time: self.event_time };
        work.first_generation();
        work.second_generation();
        work.log(&mut Rng::new(1));
        if self.closed {
            let answers = answers(&store, &clock);
            store.close().unwrap();
            return answers;
        }
        let lives: [PathBuf; 2] = [1, 2].map(|life| dir.with_extension(life.to_string()));
        copy_folder(dir, &lives[0]);
        let again = builder(&clock).open(&lives[0]).unwrap();
        let work = Work { store: &again, ..work };
        work.insert(&["reopened-0", "reopened-1"]);
        again.sync().unwrap();
        work.insert(&["reopened-2"]);
        let answers = answers(&again, &clock);
        copy_folder(&lives[0], &lives[1]);
        drop((store, again));
        fs::remove_dir_all(dir).unwrap();
        fs::remove_dir_all(&lives[0]).unwrap();
        fs::rename(&lives[1], dir).unwrap();
        answers
    }

    pub fn identity(&self) -> IdentityKind {
        if self.identity == 1 { IdentityKind::AesCmac } else { IdentityKind::Xxh3 }
    }

    pub fn time(&self) -> TimeSource {
        if self.event_time { TimeSource::Event } else { TimeSource::System }
    }
}

struct Work<'a> {
    store: &'a Store,
    clock: &'a ManualClock,
    event_time: bool,
}

impl Work<'_> {
    fn insert(&self, ids: &[impl AsRef<[u8]>]) {
        let verdicts = self.store.check_and_insert_at(ids, self.clock.wall()).unwrap();
        assert!(verdicts.iter().all(Verdict::is_new), "{verdicts:?}");
    }

    fn claim(&self, source: &str, from: u64, ids: &[&str]) -> firstseen::Claim {
        let records: Vec<(u64, &str)> = (from..).zip(ids.iter().copied()).collect();
        let payloads: Vec<String> = ids.iter().map(|id| format!("payload of {id}")).collect();
        let claim = self.store.claim().at(self.clock.wall()).payloads(&payloads);
        claim.begin_from(source, &records).unwrap()
    }

    /// Two runs, of which one is made of two, with values; and a state.
    fn first_generation(&self) {
        self.insert(&named("first", 0..40));
        self.store.seal().unwrap();
        assert_eq!(self.store.forget(&named("first", 0..3)).unwrap(), 3);
        self.clock.advance(MINUTE);
        self.insert(&named("first", 0..1));
        let mut tx = self.claim("orders/0", 0, &["paid-0", "paid-1", "exactly 16 bytes"]);
        tx.set_outcome(0, "receipt 0");
        tx.set_outcome(1, "");
        tx.put_state("total", "3");
        tx.put_state("gone", "soon");
        tx.commit().unwrap();
        self.store.seal().unwrap();
    }

    fn second_generation(&self) {
        self.clock.advance(10 * MINUTE);
        self.insert(&named("second", 0..20));
        self.store.compact().unwrap();
        let mut tx = self.claim("orders/0", 3, &["prepared-0", "prepared-1"]);
        tx.put_state("prepared", "not yet");
        tx.set_outcome(0, vec![7; 3_000]);
        let _ = tx.prepare("in the state").unwrap();
        let mut tx = self.claim("orders/1", 41, &["paid-2"]);
        tx.set_outcome(0, "receipt 2");
        tx.delete_state("gone");
        tx.commit().unwrap();
        self.store.seal().unwrap();
    }

    /// Frames of every kind.
    fn log(&self, rng: &mut Rng) {
        self.clock.advance(MINUTE);
        self.insert(&named("logged", 0..10));
        self.store.sync().unwrap();
        let ids: Vec<[u8; 16]> = (0..5)
            .map(|_| (u128::from(rng.next()) << 64 | u128::from(rng.next())).to_le_bytes())
            .collect();
        self.insert(&ids);
        if self.event_time {
            let times: Vec<Timestamp> =
                (0..3).map(|n| self.clock.wall() + n * 10 * SECOND).collect();
            let mut out = Vec::new();
            self.store
                .check_and_insert_timed_into(&named("timed", 0..3), &times, &mut out)
                .unwrap();
            assert!(out.iter().all(Verdict::is_new));
            self.clock.advance(20 * SECOND);
        }
        assert_eq!(self.store.forget(&["second-0", "logged-0", "never"]).unwrap(), 2);
        let mut tx = self.claim("orders/1", 42, &["paid-3", "paid-4"]);
        tx.set_outcome(1, "receipt 4");
        tx.put_state(b"\xff\0", "two bytes");
        tx.commit().unwrap();
        self.claim("orders/2", 0, &["given up"]).prepare("aborted").unwrap().abort().unwrap();
        self.claim("orders/2", 0, &["settled"]).prepare("committed").unwrap().commit().unwrap();
        let mut tx = self.claim("orders/2", 1, &["logged-prepared"]);
        tx.put_state("total", "9");
        let _ = tx.prepare("in the log").unwrap();
    }
}

pub fn named(name: &str, numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|n| format!("{name}-{n}")).collect()
}

/// All ids that the stores were told, and some that they were not.
fn ids() -> Vec<Vec<u8>> {
    let named = [
        named("first", 0..42),
        named("second", 0..22),
        named("logged", 0..12),
        named("timed", 0..4),
        named("reopened", 0..4),
        named("paid", 0..6),
        named("prepared", 0..3),
        ["exactly 16 bytes", "given up", "settled", "logged-prepared", "never", ""]
            .map(String::from)
            .to_vec(),
    ];
    let mut ids: Vec<Vec<u8>> = named.concat().into_iter().map(String::into_bytes).collect();
    let mut rng = Rng::new(1);
    ids.extend(
        (0..6).map(|_| {
            (u128::from(rng.next()) << 64 | u128::from(rng.next())).to_le_bytes().to_vec()
        }),
    );
    ids
}

/// When the answers were given.
pub fn time_of(answers: &str) -> Timestamp {
    let time = answers.lines().next().and_then(|line| line.strip_prefix("at "));
    Timestamp::from_micros(time.unwrap().parse().unwrap())
}

/// What a store says of everything that the stores were told.
pub fn answers(store: &Store, clock: &ManualClock) -> String {
    let mut said = format!("at {}\n", clock.wall().as_micros());
    let windows = [store.window(), store.effective_window()].map(|window| window.as_micros());
    writeln!(said, "window {}, of which is known {}", windows[0], windows[1]).unwrap();
    let (ids, mut verdicts) = (ids(), Vec::new());
    store.check(&ids, &mut verdicts).unwrap();
    for (id, verdict) in ids.iter().zip(verdicts) {
        let name = id.escape_ascii();
        match verdict {
            Verdict::New => writeln!(said, "`{name}` is new"),
            Verdict::InFlight(_) => writeln!(said, "`{name}` is in flight"),
            Verdict::Duplicate { first_seen } => {
                writeln!(said, "`{name}` was first seen at {}", first_seen.as_micros())
            }
            other => panic!("{name}: {other:?}"),
        }
        .unwrap();
        if let Some(outcome) = store.outcome(id).unwrap() {
            let (shown, len) = (outcome[..outcome.len().min(20)].escape_ascii(), outcome.len());
            writeln!(said, "  with the outcome `{shown}`, {len} bytes").unwrap();
        }
    }
    for id in ["paid-0", "paid-3", "exactly 16 bytes", "prepared-0"] {
        let told = [format!("payload of {id}"), "another".into()].map(|payload| {
            let claim = store.claim().payloads(&[payload]).begin(&[id]).unwrap();
            match claim.verdicts()[0] {
                Verdict::New => "new",
                Verdict::Duplicate { .. } => "a duplicate",
                Verdict::InFlight(_) => "in flight",
                Verdict::Mismatch { .. } => "a mismatch",
                other => panic!("{id}: {other:?}"),
            }
        });
        let [own, other] = told;
        writeln!(said, "`{id}` is {own} with its payload, {other} with another").unwrap();
    }
    for (source, next) in store.sources().unwrap() {
        writeln!(said, "source `{source}` goes on at {next}").unwrap();
    }
    for (key, value) in store.scan_state("").unwrap() {
        writeln!(said, "key `{}` is `{}`", key.escape_ascii(), value.escape_ascii()).unwrap();
    }
    for prepared in store.in_doubt() {
        let (token, ids) = (prepared.token().escape_ascii().to_string(), prepared.ids());
        let ids: Vec<String> = ids.iter().map(|id| id.escape_ascii().to_string()).collect();
        writeln!(said, "in doubt is `{token}`, fence {}, of {ids:?}", prepared.fence()).unwrap();
    }
    said
}
