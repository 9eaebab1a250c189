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

const SKEW: Duration = Duration::from_secs(60);
const OPEN_MAX: usize = 6;
/// So many ids of a bulk insertion make tables rotate; two of them are looked at afterwards.
const BULK: u64 = 60;

/// How the store is opened.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    window: Duration,
    generations: u32,
    active_ids: usize,
    read_mode: ReadMode,
    durability: Durability,
    time: TimeSource,
    identity: IdentityKind,
    lease: Option<Duration>,
    lease_end: LeaseEnd,
}

impl Settings {
    pub fn of([a, b, c, d]: [u8; 4]) -> Settings {
        let window = Duration::from_millis(1_000 + u64::from(b) * 37);
        let interval = Durability::Interval(window / 50);
        Settings {
            window,
            generations: 8 + u32::from(c % 9),
            active_ids: 100 + usize::from(c / 9) * 10,
            read_mode: [ReadMode::Mapped, ReadMode::Positioned][usize::from(d % 2)],
            durability: [Durability::Sync, Durability::Buffered, interval][usize::from(a % 3)],
            time: [TimeSource::System, TimeSource::Event][usize::from(a / 3 % 2)],
            identity: [IdentityKind::AesCmac, IdentityKind::Xxh3][usize::from(d / 2 % 2)],
            lease: [None, Some(whole(window / 32))][usize::from(a / 12 % 2)],
            lease_end: [LeaseEnd::Rerun, LeaseEnd::Block][usize::from(a / 6 % 2)],
        }
    }

    /// A part of the window.
    fn part(&self, parts: u32, of: u32) -> Duration {
        whole(self.window * parts / of)
    }

    fn open(&self, disk: &MemoryDisk, clock: &ManualClock) -> Store {
        let builder = Store::builder()
            .storage(Arc::new(disk.clone()))
            .clock(Arc::new(clock.clone()))
            .background(false)
            .future_skew(SKEW)
            .memory_budget(16 << 20)
            .window(self.window)
            .generations(self.generations)
            .active_ids(self.active_ids)
            .read_mode(self.read_mode)
            .durability(self.durability)
            .time(self.time)
            .identity(self.identity)
            .lease_end(self.lease_end);
        let builder = match self.lease {
            Some(lease) => builder.lease(lease),
            None => builder,
        };
        builder.open("/store").unwrap()
    }
}

/// In microseconds, as the store reckons.
fn whole(time: Duration) -> Duration {
    Duration::from_micros(time.as_micros() as u64)
}

/// An id that a transaction claimed.
struct Item {
    index: usize,
    n: u64,
    kept: Kept,
    released: bool,
}

/// What the model knows of an open transaction.
struct Tx {
    token: u64,
    ids: Vec<Item>,
    len: usize,
    span: Option<Span>,
    /// Position and index of each record that was not read again.
    records: Vec<(u64, usize)>,
    verdicts: Vec<Verdict>,
    changes: Changes,
    misused: bool,
    at: Timestamp,
}

impl Tx {
    fn kept_ids(&self) -> Vec<(u64, Kept)> {
        let kept = self.ids.iter().filter(|item| !item.released);
        kept.map(|item| (item.n, item.kept.clone())).collect()
    }

    /// The positions that a commit settles, and those that it does not.
    fn split(&self) -> (Vec<u64>, Vec<u64>) {
        let released = |i: usize| self.ids.iter().any(|item| item.index == i && item.released);
        let settled = |&(_, i): &(u64, usize)| self.verdicts[i].is_settled() && !released(i);
        let positions = |records: Vec<(u64, usize)>| records.into_iter().map(|r| r.0).collect();
        let (done, left) = self.records.iter().partition::<Vec<_>, _>(|record| settled(record));
        (positions(done), positions(left))
    }
}

/// What is known of a prepared transaction until the process ends.
struct InDoubt {
    fence: u64,
    span: Option<Span>,
    done: Vec<u64>,
    left: Vec<u64>,
    named: Vec<(&'static str, u64)>,
}

/// How a transaction begins.
#[derive(Debug, Default)]
struct How {
    payloads: Option<Vec<u8>>,
    lease: Option<Duration>,
    at: Option<Timestamp>,
}

pub struct Machine {
    settings: Settings,
    disk: MemoryDisk,
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
}

impl Machine {
    pub fn new(settings: Settings) -> Machine {
        let disk = MemoryDisk::new();
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let store = settings.open(&disk, &clock);
        let committed = Committed::new(Oracle::new(settings.window, settings.generations));
        let mut machine = Machine {
            settings,
            disk,
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
            Kind::Close | Kind::Kill | Kind::PowerCut => self.reopen(kind, [a, b, c]),
        }
        self.check(kind == Kind::PowerCut);
    }

    /// Everything once more, and after a clean end.
    pub fn finish(mut self) {
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

    /// A time of an event, and the moment at which it is judged.
    fn moment(&mut self, at: Option<Timestamp>) -> Timestamp {
        let now = self.now();
        match (at, self.settings.time) {
            (Some(at), TimeSource::Event) => now.max(at.min(self.clock.wall() + SKEW)),
            _ => now,
        }
    }

    fn event_time(&self, choice: u8) -> Option<Timestamp> {
        let (wall, part) = (self.clock.wall(), |of| self.settings.part(choice.into(), of));
        match choice % 8 {
            0..4 => None,
            4 => Some(wall),
            5 => Some(wall - part(200)),
            6 => Some(wall + part(512)),
            _ => Some(wall - self.settings.window * 2),
        }
    }

    fn begin_some(&mut self, a: u8, b: u8, c: u8) {
        let count = u64::from(b % 6);
        let numbers: Vec<u64> =
            (0..count).map(|i| (u64::from(a) + i * u64::from(c % 5)) % UNIVERSE).collect();
        let payload = |i: u64| (b & 64 >> 6) ^ (c >> 7 & i as u8 & 1);
        let payloads = (b / 6 % 3 == 0).then(|| (0..count).map(payload).collect());
        let lease = |part| Some(self.settings.part(1, part));
        let lease = [None, None, lease(64), lease(8)][usize::from(c / 5 % 4)];
        let at = self.event_time(a / 3);
        self.begin(&numbers, How { payloads, lease, at }, None);
    }

    fn begin_from(&mut self, a: u8, b: u8, c: u8) {
        let (source, stride) = [("dense", 1), ("sparse", 3)][usize::from(a % 2)];
        let progress = self.committed.progress(source);
        let frontier = self.frontier.get(source).copied().unwrap_or(progress);
        let unsettled = self.sources.get(source).and_then(|s| s.unsettled.first().copied());
        let start = match b % 4 {
            0 => progress,
            1 => progress.saturating_sub(2 * stride),
            2 => frontier.max(progress),
            _ => unsettled.unwrap_or(frontier),
        };
        let start = start.next_multiple_of(stride);
        let positions: Vec<u64> =
            (0..1 + u64::from(b / 4 % 6)).map(|i| start + i * stride).collect();
        let of = |position: u64| 6 + (position / stride + u64::from(a % 2) * 5) % (UNIVERSE - 6);
        let numbers: Vec<u64> = positions.iter().map(|&position| of(position)).collect();
        let end = positions.last().expect("there is one") + 1;
        self.frontier.insert(source, frontier.max(end));
        let payloads = (c % 4 == 0).then(|| vec![c / 4 % 2; numbers.len()]);
        let lease = [None, None, None, Some(self.settings.part(1, 32))][usize::from(c / 8 % 4)];
        self.begin(&numbers, How { payloads, lease, at: None }, Some((source, positions)));
    }

    fn begin(&mut self, numbers: &[u64], how: How, records: Option<(&'static str, Vec<u64>)>) {
        if self.open.len() == OPEN_MAX {
            let (claim, tx) = self.open.remove(0);
            drop(claim);
            self.roll_back(&tx);
        }
        // Not an id that is remembered now and new at the later moment: where its record lies would
        // decide which of the two verdicts others get.
        let (now, later) = (self.now(), self.moment(how.at));
        let both = |n: &u64| {
            let oracle = &self.committed.oracle;
            oracle.expected(*n, now) != Expected::New
                && !matches!(oracle.expected(*n, later), Expected::Duplicate(_))
        };
        let how =
            if now < later && numbers.iter().any(both) { How { at: None, ..how } } else { how };
        let (moment, mono) = (self.moment(how.at), self.clock.monotonic());
        let mut builder = self.store.claim();
        if let Some(lease) = how.lease {
            builder = builder.lease(lease);
        }
        if let Some(at) = how.at {
            builder = builder.at(at);
        }
        if let Some(payloads) = &how.payloads {
            let payloads: Vec<[u8; 1]> = payloads.iter().map(|&payload| [payload]).collect();
            builder = builder.payloads(&payloads);
        }
        let all = ids(numbers);
        let claim = match &records {
            None => builder.begin(&all),
            Some((source, positions)) => {
                let pairs: Vec<_> = positions.iter().copied().zip(&all).collect();
                builder.begin_from(source, &pairs)
            }
        };
        let claim = claim.unwrap();
        assert!(claim.token() > self.last_token, "token {} is not the highest", claim.token());
        self.last_token = claim.token();
        assert_eq!(claim.verdicts().len(), numbers.len());
        let (source, positions) = records.unwrap_or(("", Vec::new()));
        let progress = self.committed.progress(source);
        let replayed = positions.partition_point(|&position| position < progress);
        let mut tx = Tx {
            token: claim.token(),
            ids: Vec::new(),
            len: numbers.len(),
            span: positions.get(replayed).map(|&first| {
                let end = positions.last().expect("there is one") + 1;
                Span { source, first, end }
            }),
            records: positions.iter().copied().zip(0..).skip(replayed).collect(),
            verdicts: claim.verdicts().to_vec(),
            changes: Changes::default(),
            misused: false,
            at: if numbers.is_empty() { Timestamp::MIN } else { moment },
        };
        self.claims.begin(tx.token, mono, how.lease.or(self.settings.lease));
        let mut after = Vec::new();
        for (i, &n) in numbers.iter().enumerate() {
            let verdict = claim.verdicts()[i];
            if i < replayed {
                assert_eq!(verdict, Verdict::Replay { progress }, "record {i}");
                continue;
            }
            let payload = how.payloads.as_ref().map(|payloads| payloads[i]);
            let taken = self.judge_claim(&mut tx, (n, verdict), (moment, how.at), payload);
            if taken {
                tx.ids.push(Item {
                    index: i,
                    n,
                    kept: Kept { payload, outcome: None },
                    released: false,
                });
                after.extend(self.claims.meet(n).map(|token| (i, token)));
                self.claims.take(n, tx.token, payload);
            }
        }
        assert_eq!(claim.attempted_before().collect::<Vec<_>>(), after, "attempted before");
        let fresh: Vec<usize> = tx.ids.iter().map(|item| item.index).collect();
        assert_eq!(claim.fresh().collect::<Vec<_>>(), fresh);
        if let Some(span) = &tx.span {
            let source = self.sources.entry(span.source).or_default();
            source.begin(span, tx.token);
            for &(position, i) in &tx.records {
                let own = tx.ids.iter().any(|item| item.n == numbers[i]);
                if own || !tx.verdicts[i].is_settled() {
                    source.unsettled.insert(position);
                } else {
                    source.unsettled.remove(&position);
                }
            }
        }
        self.open.push((claim, tx));
    }

    /// Judges the verdict on an id that is to be claimed. Whether it was.
    fn judge_claim(
        &mut self,
        tx: &mut Tx,
        (n, verdict): (u64, Verdict),
        (moment, event): (Timestamp, Option<Timestamp>),
        payload: Option<u8>,
    ) -> bool {
        let differ = |other: Option<u8>| matches!((other, payload), (Some(a), Some(b)) if a != b);
        if let Some(own) = tx.ids.iter().find(|item| item.n == n) {
            let expected = match differ(own.kept.payload) {
                true => Verdict::Mismatch { first_seen: moment },
                false => Verdict::Duplicate { first_seen: moment },
            };
            assert_eq!(verdict, expected, "id {n} is twice in the batch");
            return false;
        }
        let held = self.claims.held(n, self.clock.monotonic());
        let verdict = match (verdict, held) {
            (Verdict::Mismatch { first_seen }, Some(Held::InFlight { payload, .. }))
                if differ(payload) && first_seen == moment =>
            {
                let judged = self.committed.oracle.judge(n, moment, event, false, Verdict::New);
                judged.unwrap_or_else(|wrong| panic!("{wrong}"));
                return false;
            }
            (Verdict::InFlight(_), Some(Held::InFlight { payload, .. })) => {
                assert!(!differ(payload), "id {n} is in flight with another payload");
                verdict
            }
            (Verdict::Mismatch { first_seen }, _) => {
                let known = self.committed.kept.get(&n).and_then(|kept| kept.payload);
                assert!(differ(known), "id {n}: {payload:?} is no mismatch to {known:?}");
                Verdict::Duplicate { first_seen }
            }
            (Verdict::Duplicate { .. }, _) => {
                let known = self.committed.kept.get(&n).and_then(|kept| kept.payload);
                assert!(!differ(known), "id {n}: {payload:?} is a mismatch to {known:?}");
                verdict
            }
            _ => verdict,
        };
        self.judge(n, verdict, (moment, event), false);
        verdict.is_new()
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

    fn read(&mut self, which: u8, key: &[u8]) {
        let count = self.open.len();
        if count == 0 {
            return;
        }
        let (claim, tx) = &mut self.open[usize::from(which) % count];
        let said = claim.state(key).unwrap();
        if let Some(own) = tx.changes.writes.get(key) {
            assert_eq!(said, *own, "a transaction's own write of {key:?}");
            return;
        }
        let known = self.committed.state.get(key);
        assert_eq!(said.as_ref(), known.map(|(value, _)| value));
        tx.changes.reads.entry(key.to_vec()).or_insert(known.map(|&(_, version)| version));
    }

    fn roll_back(&mut self, tx: &Tx) {
        let mono = self.clock.monotonic();
        let held = tx.ids.iter().filter(|item| !item.released).map(|item| item.n);
        self.claims.give_back(held, tx.token, mono);
        if let Some(span) = &tx.span {
            self.sources.entry(span.source).or_default().give_back(span, tx.token);
        }
    }

    /// The changes of a transaction with the progress that it brings by itself.
    fn changes(&self, tx: &Tx, left: &[u64]) -> Changes {
        let mut changes = tx.changes.clone();
        if let Some(span) = &tx.span
            && !changes.sources.contains_key(span.source)
        {
            let progress = self.committed.progress(span.source);
            let next = self.sources[span.source].reach(span, tx.token, left, progress);
            if progress < next {
                changes.sources.insert(span.source, (next, None));
            }
        }
        changes
    }

    /// The error that a commit or a prepare must end with, if it must; of several refusals any.
    fn assert_refused(&self, tx: &Tx, refusals: &[Refusal], error: Option<&Error>) -> bool {
        let over = self.claims.over_by(tx.token, self.clock.monotonic());
        match (tx.misused, over, error) {
            (true, _, Some(Error::Misuse(_))) => true,
            (false, Some(ended), Some(&Error::LeaseEnded { token, by }))
                if (token, by) == (tx.token, ended) =>
            {
                true
            }
            (false, None, Some(Error::Refused(refusal))) if refusals.contains(refusal) => true,
            (false, None, None) if refusals.is_empty() => false,
            _ => panic!("{error:?}; misused {}, over {over:?}, {refusals:?}", tx.misused),
        }
    }

    fn commit(&mut self, which: u8) {
        let Some((claim, tx)) = self.take_open(which) else { return };
        let at = self.now().max(tx.at);
        let (done, left) = tx.split();
        let (kept, changes) = (tx.kept_ids(), self.changes(&tx, &left));
        let refusals = self.committed.refusals(&changes);
        let result = claim.commit();
        if self.assert_refused(&tx, &refusals, result.as_ref().err()) {
            return self.refused(&tx, at, result.is_err_and(|e| matches!(e, Error::Refused(_))));
        }
        self.claims.give_back(kept.iter().map(|&(n, _)| n), tx.token, self.clock.monotonic());
        self.settle_span(tx.span.as_ref(), tx.token, &done, &left);
        for (&source, &(next, _)) in &tx.changes.sources {
            self.sources.entry(source).or_default().set(next);
        }
        let kept_something = tx.ids.iter().any(|item| item.kept != Kept::default());
        let changed = !(changes.sources.is_empty() && changes.writes.is_empty());
        if !kept.is_empty() || changed || kept_something {
            self.committed.commit(at, &kept, &changes);
        }
        self.committed.oracle.advance(at);
        self.acknowledged();
    }

    /// What comes so far that the state refuses it moves store time all the same.
    fn refused(&mut self, tx: &Tx, at: Timestamp, by_state: bool) {
        self.roll_back(tx);
        if by_state {
            self.committed.oracle.advance(at);
            self.acknowledged();
        }
    }

    fn settle_span(&mut self, span: Option<&Span>, token: u64, done: &[u64], left: &[u64]) {
        let Some(span) = span else { return };
        let progress = self.committed.progress(span.source);
        let source = self.sources.entry(span.source).or_default();
        source.commit(span, token, left, progress);
        source.unsettled.retain(|position| !done.contains(position));
    }

    fn prepare(&mut self, which: u8, name: u8) {
        let Some((claim, tx)) = self.take_open(which) else { return };
        let time = self.now().max(tx.at);
        let token = format!("token {}", name % 3).into_bytes();
        let (done, left) = tx.split();
        let (kept, changes) = (tx.kept_ids(), self.changes(&tx, &left));
        let refusals = match self.committed.prepared.contains_key(&token) {
            true => vec![Refusal::AlreadyPrepared { token: token.clone() }],
            false => self.committed.refusals(&changes),
        };
        let result = claim.prepare(&token);
        if self.assert_refused(&tx, &refusals, result.as_ref().err()) {
            let by_state = matches!(result, Err(Error::Refused(_)));
            return self.refused(&tx, time, by_state);
        }
        let handle = result.expect("it was not refused");
        assert_eq!((handle.token(), handle.fence()), (&token[..], tx.token));
        self.handles.push((handle, tx.token));
        self.claims.prepare(tx.token);
        let named = tx.changes.sources.iter().map(|(&source, &(next, _))| (source, next)).collect();
        let known = InDoubt { fence: tx.token, span: tx.span, done, left, named };
        self.in_doubt.insert(token.clone(), known);
        let prepared = PreparedTx { fence: tx.token, time, ids: kept, changes };
        self.committed.oracle.advance(time);
        self.committed.prepared.insert(token, prepared);
        self.past = vec![self.committed.clone()];
    }

    fn settle(&mut self, which: u8, through: u8, commit: bool) {
        let mut in_doubt = self.store.in_doubt();
        if in_doubt.is_empty() {
            return;
        }
        let at = usize::from(which) % in_doubt.len();
        let mut handle = in_doubt.swap_remove(at);
        let token = handle.token().to_vec();
        let fence = self.committed.prepared[&token].fence;
        if let Some((own, _)) = self.handles.iter().find(|(_, other)| *other == fence)
            && through % 2 == 0
        {
            handle = own.clone();
        }
        self.handles.push((handle.clone(), fence));
        let now = self.now();
        if commit { handle.commit() } else { handle.abort() }.unwrap();
        let tx = self.committed.prepared.remove(&token).expect("it was in doubt");
        self.claims.give_back(tx.ids.iter().map(|&(n, _)| n), fence, self.clock.monotonic());
        let known = self.in_doubt.remove(&token).unwrap_or_else(|| {
            let named = tx.changes.sources.iter().map(|(&source, &(next, _))| (source, next));
            let named = named.collect();
            InDoubt { fence, span: None, done: Vec::new(), left: Vec::new(), named }
        });
        assert_eq!(known.fence, fence);
        if commit {
            self.settle_span(known.span.as_ref(), fence, &known.done, &known.left);
            for (source, next) in known.named {
                self.sources.entry(source).or_default().set(next);
            }
            self.committed.commit(now.max(tx.time), &tx.ids, &tx.changes);
        } else if let Some(span) = &known.span {
            self.sources.entry(span.source).or_default().give_back(span, fence);
        }
        self.acknowledged();
    }

    /// A handle of what is settled can do nothing, also if its token is in use again.
    fn settle_again(&mut self, which: u8, how: u8) {
        let live: BTreeSet<u64> = self.committed.prepared.values().map(|tx| tx.fence).collect();
        self.handles.retain(|(_, fence)| !live.contains(fence) || *fence + 50 > self.last_token);
        let settled: Vec<_> =
            self.handles.iter().filter(|(_, fence)| !live.contains(fence)).collect();
        if settled.is_empty() {
            return;
        }
        let handle = settled[usize::from(which) % settled.len()].0.clone();
        assert!(handle.ids().is_empty() && handle.since().is_none());
        let token = handle.token().to_vec();
        let done = if how % 2 == 0 { handle.commit() } else { handle.abort() };
        assert!(matches!(done, Err(Error::NotPrepared { token: said }) if said == token));
    }

    fn renew(&mut self, which: u8, lease: u8) {
        let (lease, mono) = (self.settings.part(lease.into(), 1_024), self.clock.monotonic());
        if self.open.is_empty() {
            return;
        }
        let (claim, tx) = &self.open[usize::from(which) % self.open.len()];
        let done = claim.renew(lease);
        match self.claims.over_by(tx.token, mono) {
            None => {
                done.unwrap();
                self.claims.renew(tx.token, mono, lease);
            }
            Some(over) => assert!(
                matches!(done, Err(Error::LeaseEnded { token, by }) if (token, by) == (tx.token, over))
            ),
        }
    }

    fn resolve(&mut self, from: u8, how: u8) {
        let now = self.now();
        let numbers: Vec<u64> = (0..5).map(|i| (u64::from(from) + i) % UNIVERSE).collect();
        let mono = self.clock.monotonic();
        let unknown = |n: &u64| matches!(self.claims.held(*n, mono), Some(Held::Unknown { .. }));
        let unknown: Vec<u64> = numbers.iter().copied().filter(unknown).collect();
        // An id that was claimed for a later time may be known still.
        let known = self.store.contains(&ids(&unknown)).unwrap().contains(&true);
        let done = how % 2 == 0 && !known;
        let resolution = if done { Resolution::Done } else { Resolution::Retry };
        let resolved = self.store.resolve(&ids(&numbers), resolution).unwrap();
        assert_eq!(resolved, unknown.len() as u64, "resolved of {numbers:?}");
        for &n in &unknown {
            self.claims.meet(n);
        }
        if done && resolved > 0 {
            let unknown: Vec<_> = unknown.into_iter().map(|n| (n, Kept::default())).collect();
            self.committed.commit(now, &unknown, &Changes::default());
        }
        self.acknowledged();
    }

    fn insert(&mut self, a: u8, b: u8, c: u8) {
        let numbers: Vec<u64> = if c % 5 == 0 {
            let first = 1_000 + self.serial * BULK;
            self.tracked = vec![first, first + BULK - 1];
            (first..first + BULK).collect()
        } else {
            (0..u64::from(b % 7))
                .map(|i| (u64::from(a) + i * u64::from(c % 3)) % UNIVERSE)
                .collect()
        };
        let event = self.event_time(b);
        let moment = self.moment(event);
        let verdicts = match event {
            Some(time) => self.store.check_and_insert_at(&ids(&numbers), time),
            None => self.store.check_and_insert(&ids(&numbers)),
        };
        let verdicts = verdicts.unwrap();
        assert_eq!(verdicts.len(), numbers.len());
        if !numbers.is_empty() {
            self.committed.oracle.advance(moment);
        }
        for (&n, verdict) in numbers.iter().zip(verdicts) {
            self.judge(n, verdict, (moment, event), true);
            if verdict.is_new() {
                self.claims.meet(n);
                self.committed.kept.remove(&n);
            }
        }
        self.acknowledged();
    }

    fn forget(&mut self, a: u8, b: u8) {
        self.now();
        let numbers: BTreeSet<u64> =
            (0..1 + u64::from(b % 3)).map(|i| (u64::from(a) + i * 7) % UNIVERSE).collect();
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let forgotten = self.store.forget(&ids(&numbers)).unwrap();
        let (least, most) = self.committed.oracle.forget(&numbers);
        assert!((least..=most).contains(&forgotten), "forgot {forgotten}, not {least}..={most}");
        let now = self.committed.oracle.now();
        for n in numbers {
            if self.committed.oracle.expected(n, now) == Expected::New {
                self.committed.kept.remove(&n);
            }
        }
        self.acknowledged();
    }

    fn reopen(&mut self, kind: Kind, seed: [u8; 3]) {
        self.now();
        let seed = u64::from(u32::from_le_bytes([seed[0], seed[1], seed[2], 0]));
        let disk = match kind {
            Kind::Close => {
                self.store.clone().close().unwrap();
                self.disk.clone()
            }
            Kind::Kill => self.disk.kill(),
            _ if seed % 3 == 0 => self.disk.crash(),
            _ => self.disk.crash_with(seed),
        };
        // They go on for a moment, on a disk that nobody reads again.
        self.open.clear();
        self.handles.clear();
        self.in_doubt.clear();
        self.sources.clear();
        self.frontier.clear();
        self.store = self.settings.open(&disk, &self.clock);
        self.disk = disk;
        if kind == Kind::PowerCut {
            self.find_past();
        } else {
            self.committed.oracle.resume_at(self.store.stats().now);
            self.recover();
        }
        self.past = vec![self.committed.clone()];
    }

    fn recover(&mut self) {
        let (mono, end) = (self.clock.monotonic(), self.settings.lease_end);
        self.claims = Claims::recover(end, &self.committed, mono);
    }

    /// After a power cut everything is as it was at one moment since the last sync.
    fn find_past(&mut self) {
        let now = self.store.stats().now;
        let mut wrong = Vec::new();
        for mut candidate in std::mem::take(&mut self.past).into_iter().rev() {
            if self.settings.time == TimeSource::Event && candidate.oracle.now() != now {
                wrong.push(format!("store time {now}, not {}", candidate.oracle.now()));
                continue;
            }
            candidate.oracle.resume_at(now);
            self.committed = candidate;
            self.recover();
            let mono = self.clock.monotonic();
            let Machine { store, committed, claims, tracked, .. } = self;
            match compare(store, committed, claims, mono, tracked, true) {
                Ok(()) => return,
                Err(error) => wrong.push(error),
            }
        }
        panic!("what a power cut left is no moment of the past: {}", wrong.join("\n or "));
    }
}

/// An id of the batch, nearly always one that is claimed.
fn pick_index(tx: &Tx, b: u8) -> Option<usize> {
    let claimed: Vec<usize> =
        tx.ids.iter().filter(|item| !item.released).map(|item| item.index).collect();
    match b {
        0..8 if tx.len > 0 => Some(usize::from(b) % (tx.len + 1)),
        _ if claimed.is_empty() => None,
        _ => Some(claimed[usize::from(b) % claimed.len()]),
    }
}
