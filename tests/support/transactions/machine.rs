//! A store, its disk and its clock, with the model beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{Expected, ManualClock, MemoryDisk, Oracle};
use firstseen::{
    Claim, Clock, Durability, Error, IdentityKind, LeaseEnd, Prepared, ReadMode, Refusal,
    Resolution, Store, TimeSource, Timestamp, Verdict,
};

use super::compare::{SOURCES, UNIVERSE, compare, id, ids, judge, key};
use super::model::{Changes, Claims, Committed, Held, Kept, PreparedTx, Source, Span};
use super::{Kind, Op};

mod begin;
mod calls;
mod crash;
mod ground;
mod settings;
mod settle;
mod tx;

pub use ground::Ground;
pub use settings::Settings;
use tx::{InDoubt, Item, Tx, pick_index};

const SKEW: Duration = Duration::from_secs(60);
const OPEN_MAX: usize = 6;
/// So many ids of a bulk insertion make tables rotate; two of them are looked at afterwards.
const BULK: u64 = 60;

/// How a transaction begins.
#[derive(Debug, Default)]
struct How {
    payloads: Option<Vec<u8>>,
    lease: Option<Duration>,
    at: Option<Timestamp>,
}

pub struct Machine {
    settings: Settings,
    ground: Ground,
    clock: ManualClock,
    store: Store,
    committed: Committed,
    claims: Claims,
    sources: BTreeMap<&'static str, Source>,
    /// How far each source was read since the last opening.
    frontier: BTreeMap<&'static str, u64>,
    open: Vec<(Claim, Tx)>,
    in_doubt: BTreeMap<Vec<u8>, InDoubt>,
    /// Handles of what was prepared, settled or not, with the fences.
    handles: Vec<(Prepared, u64)>,
    /// What a power cut may leave, oldest first.
    past: Vec<Committed>,
    last_token: u64,
    serial: u64,
    tracked: Vec<u64>,
    /// What the store has answered since that was last taken.
    heard: Vec<String>,
}

impl Machine {
    pub fn new(settings: Settings, ground: Ground) -> Machine {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let store = settings.open(&ground, &clock);
        let committed = Committed::new(Oracle::new(settings.window, settings.generations));
        let mut machine = Machine {
            settings,
            ground,
            clock,
            store,
            past: vec![committed.clone()],
            committed,
            claims: Claims::new(settings.lease_end),
            sources: BTreeMap::new(),
            frontier: BTreeMap::new(),
            open: Vec::new(),
            in_doubt: BTreeMap::new(),
            handles: Vec::new(),
            last_token: 0,
            serial: 0,
            tracked: Vec::new(),
            heard: Vec::new(),
        };
        machine.now();
        machine
    }

    pub fn apply(&mut self, Op(kind, [a, b, c]): Op) {
        self.serial += 1;
        match kind {
            Kind::Begin => self.begin_some(a, b, c),
            Kind::BeginFrom => self.begin_from(a, b, c),
            Kind::Release => self.with_claim(a, |claim, tx, claims, mono| {
                let Some(i) = pick_index(tx, b) else { return };
                claim.release(i);
                let token = tx.token;
                match tx.ids.iter_mut().find(|item| item.index == i && !item.released) {
                    Some(item) => {
                        item.released = true;
                        claims.give_back([item.n], token, mono);
                    }
                    None => tx.misused = true,
                }
            }),
            Kind::Outcome => {
                let outcome = format!("outcome {}", self.serial).into_bytes();
                self.with_claim(a, |claim, tx, _, _| {
                    let Some(i) = pick_index(tx, b) else { return };
                    claim.set_outcome(i, outcome.clone());
                    match tx.ids.iter_mut().find(|item| item.index == i && !item.released) {
                        Some(item) => item.kept.outcome = Some(outcome),
                        None => tx.misused = true,
                    }
                });
            }
            Kind::Put => {
                let value = format!("value {}", self.serial).into_bytes();
                self.with_claim(a, |claim, tx, _, _| {
                    claim.put_state(key(b.into()), value.clone());
                    tx.changes.writes.insert(key(b.into()), Some(value));
                });
            }
            Kind::Delete => self.with_claim(a, |claim, tx, _, _| {
                claim.delete_state(key(b.into()));
                tx.changes.writes.insert(key(b.into()), None);
            }),
            Kind::Read => self.read(a, &key(b.into())),
            Kind::SetProgress => {
                let source = SOURCES[usize::from(b % 3)];
                let at = self.committed.progress(source);
                let next = if c % 8 == 7 { at.saturating_sub(1) } else { at + u64::from(c % 5) };
                self.with_claim(a, |claim, tx, _, _| {
                    claim.set_progress(source, next);
                    let rewound = tx.changes.sources.get(source).and_then(|&(_, rewound)| rewound);
                    tx.changes.sources.insert(source, (next, rewound));
                });
            }
            Kind::Rewind => {
                let source = SOURCES[usize::from(b % 3)];
                let next = self.committed.progress(source).saturating_sub((c % 8).into());
                self.with_claim(a, |claim, tx, _, _| {
                    claim.rewind_progress(source, next);
                    tx.changes.sources.insert(source, (next, Some(next)));
                });
            }
            Kind::Commit => self.commit(a),
            Kind::Abort => {
                if let Some((claim, tx)) = self.take_open(a) {
                    if b % 2 == 0 {
                        claim.abort()
                    } else {
                        drop(claim)
                    }
                    self.roll_back(&tx);
                }
            }
            Kind::Prepare => self.prepare(a, b),
            Kind::CommitPrepared => self.settle(a, b, true),
            Kind::AbortPrepared => self.settle(a, b, false),
            Kind::SettleAgain => self.settle_again(a, b),
            Kind::Renew => self.renew(a, b),
            Kind::Resolve => self.resolve(a, b),
            Kind::Insert => self.insert(a, b, c),
            Kind::Forget => self.forget(a, b),
            Kind::Wait => {
                let (n, now) = (u64::from(a) % UNIVERSE, self.now());
                let verdict = self.store.wait(id(n), Duration::ZERO).unwrap();
                self.hear(verdict);
                self.judge(n, verdict, (now, None), false);
            }
            Kind::Seal => {
                self.store.seal().unwrap();
                self.past = vec![self.committed.clone()];
            }
            Kind::Compact => self.store.compact().unwrap(),
            Kind::Sync => {
                self.store.sync().unwrap();
                self.past = vec![self.committed.clone()];
            }
            Kind::Advance => {
                let most = [2_048, 64, 64, 1][usize::from(a % 4)];
                self.clock.advance(self.settings.part(u32::from(b), 128 * most));
            }
            Kind::InsertTimed => self.insert_timed(a, b, c),
            Kind::Close
            | Kind::Kill
            | Kind::PowerCut
            | Kind::Checkpoint
            | Kind::Migrate
            | Kind::Transfer => self.reopen(kind, [a, b, c]),
        }
        self.check(kind == Kind::PowerCut);
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Ids beside the usual ones that are worth a look.
    pub fn tracked(&self) -> &[u64] {
        &self.tracked
    }

    /// What the store has answered since this was asked for last.
    pub fn take_heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    fn hear(&mut self, answer: impl std::fmt::Debug) {
        self.heard.push(format!("{answer:?}"));
    }

    /// Everything once more, and after a clean end.
    pub fn finish(&mut self) {
        self.check(true);
        self.reopen(Kind::Close, [0; 3]);
        self.check(true);
    }

    fn check(&mut self, deep: bool) {
        self.now();
        let mono = self.clock.monotonic();
        let Machine { store, committed, claims, tracked, .. } = self;
        compare(store, committed, claims, mono, tracked, deep)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        for (source, model) in &self.sources {
            let progress = self.committed.progress(source);
            if let Some(&first) = model.unsettled.first() {
                assert!(progress <= first, "{source} is at {progress}, {first} is not settled");
            }
        }
    }

    /// Store time, which must be what the clock makes it.
    fn now(&mut self) -> Timestamp {
        if self.settings.time == TimeSource::System {
            self.committed.oracle.advance(self.clock.wall());
        }
        assert_eq!(self.store.stats().now, self.committed.oracle.now(), "store time");
        self.committed.oracle.now()
    }

    /// What was acknowledged just now is what a kill leaves.
    fn acknowledged(&mut self) {
        if self.settings.durability == Durability::Sync {
            self.past.clear();
        }
        self.past.push(self.committed.clone());
    }

    fn judge(
        &mut self,
        n: u64,
        verdict: Verdict,
        when: (Timestamp, Option<Timestamp>),
        inserts: bool,
    ) {
        let (mono, Machine { committed, claims, .. }) = (self.clock.monotonic(), self);
        let judged = judge(committed, claims, mono, (n, verdict), when, inserts);
        judged.unwrap_or_else(|wrong| panic!("{wrong}"));
    }

    fn with_claim(
        &mut self,
        which: u8,
        act: impl FnOnce(&mut Claim, &mut Tx, &mut Claims, Duration),
    ) {
        let (count, mono) = (self.open.len(), self.clock.monotonic());
        if count > 0 {
            let (claim, tx) = &mut self.open[usize::from(which) % count];
            act(claim, tx, &mut self.claims, mono);
        }
    }

    fn take_open(&mut self, which: u8) -> Option<(Claim, Tx)> {
        let count = self.open.len();
        (count > 0).then(|| self.open.remove(usize::from(which) % count))
    }
}
