//! What transactions promise, as plain maps: what is committed, who holds which id, and how far the
//! records of a source are settled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use firstseen::testing::{Expected, Oracle};
use firstseen::{LeaseEnd, Refusal, Timestamp, Verdict};

/// What is kept with an id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    pub payload: Option<u8>,
    pub outcome: Option<Vec<u8>>,
}

/// What a transaction changes beside its ids, and what it has read.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The next position, and the one that the source was rewound to.
    pub sources: BTreeMap<&'static str, (u64, Option<u64>)>,
    pub writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pub reads: BTreeMap<Vec<u8>, Option<u64>>,
}

/// The records of a source that a transaction presented and that were not read again.
#[derive(Debug, Clone)]
pub struct Span {
    pub source: &'static str,
    /// Their positions, ascending; at least one.
    pub positions: Vec<u64>,
}

impl Span {
    fn first(&self) -> u64 {
        self.positions[0]
    }

    fn end(&self) -> u64 {
        self.positions[self.positions.len() - 1] + 1
    }
}

/// A transaction that is prepared.
#[derive(Debug, Clone)]
pub struct PreparedTx {
    pub fence: u64,
    pub time: Timestamp,
    pub ids: Vec<(u64, Kept)>,
    pub changes: Changes,
}

/// Everything that a crash may leave, or take: the effect of a prefix of what was acknowledged.
#[derive(Debug, Clone)]
pub struct Committed {
    pub oracle: Oracle,
    pub kept: BTreeMap<u64, Kept>,
    pub sources: BTreeMap<&'static str, u64>,
    /// Each key's value and its version.
    pub state: BTreeMap<Vec<u8>, (Vec<u8>, u64)>,
    pub prepared: BTreeMap<Vec<u8>, PreparedTx>,
    versions: u64,
}

impl Committed {
    pub fn new(oracle: Oracle) -> Committed {
        Committed {
            oracle,
            kept: BTreeMap::new(),
            sources: BTreeMap::new(),
            state: BTreeMap::new(),
            prepared: BTreeMap::new(),
            versions: 0,
        }
    }

    pub fn progress(&self, source: &str) -> u64 {
        self.sources.get(source).copied().unwrap_or(0)
    }

    /// Everything that refuses these changes.
    pub fn refusals(&self, changes: &Changes) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let holder = |holds: &dyn Fn(&Changes) -> bool| {
            let mut holders = self.prepared.iter().filter(|(_, tx)| holds(&tx.changes));
            holders.next().map(|(token, _)| token.clone())
        };
        for (&source, &(to, rewound)) in &changes.sources {
            let name = source.to_owned();
            if let Some(token) = holder(&|held| held.sources.contains_key(source)) {
                refusals.push(Refusal::SourceLocked { name, token });
                continue;
            }
            let at = rewound.unwrap_or(self.progress(source));
            if to < at {
                refusals.push(Refusal::Backwards { name, at, to });
            }
        }
        for key in changes.reads.keys().chain(changes.writes.keys()) {
            if let Some(token) = holder(&|held| held.writes.contains_key(key)) {
                refusals.push(Refusal::Locked { key: key.clone(), token });
            }
        }
        for (key, &version) in &changes.reads {
            if self.state.get(key).map(|&(_, version)| version) != version {
                refusals.push(Refusal::Conflict { key: key.clone() });
            }
        }
        refusals
    }

    /// Lets ids in at `now`, with what is kept of them, and makes changes.
    pub fn commit(&mut self, now: Timestamp, ids: &[(u64, Kept)], changes: &Changes) {
        let now = self.oracle.advance(now);
        for (n, kept) in ids {
            let judged = self.oracle.judge(*n, now, None, true, Verdict::New);
            judged.unwrap_or_else(|wrong| panic!("committed twice: {wrong}"));
            self.kept.remove(n);
            if *kept != Kept::default() {
                self.kept.insert(*n, kept.clone());
            }
        }
        for (&source, &(next, _)) in &changes.sources {
            self.sources.insert(source, next);
        }
        for (key, value) in &changes.writes {
            match value {
                Some(value) => {
                    self.versions += 1;
                    self.state.insert(key.clone(), (value.clone(), self.versions));
                }
                None => drop(self.state.remove(key)),
            }
        }
    }

    /// What an export takes along: ids, and what is kept with them.
    pub fn keep_ids_only(&mut self) {
        self.sources.clear();
        self.state.clear();
        self.prepared.clear();
    }

    /// What is kept with an id that is remembered now.
    pub fn kept(&self, n: u64) -> Option<&Kept> {
        match self.oracle.expected(n, self.oracle.now()) {
            Expected::New => None,
            _ => self.kept.get(&n),
        }
    }
}

/// Who holds an id, as others are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    InFlight { age: Duration, left: Option<Duration>, payload: Option<u8> },
    Unknown { token: u64 },
}

impl Held {
    pub fn is(self, verdict: Verdict) -> bool {
        let millis = |d: Duration| Duration::from_millis(d.as_millis() as u64);
        match (self, verdict) {
            (Held::InFlight { age, left, .. }, Verdict::InFlight(said)) => {
                (millis(age), left.map(millis)) == (said.age(), said.lease_left())
            }
            (Held::Unknown { token }, Verdict::Unknown { token: said }) => token == said,
            _ => false,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Ticket {
    begun: Duration,
    /// `None`: it does not end by itself.
    deadline: Option<Duration>,
}

/// Who holds which id, by the monotonic clock. Dies with the process.
#[derive(Debug, Clone)]
pub struct Claims {
    on_end: LeaseEnd,
    tickets: BTreeMap<u64, Ticket>,
    /// The token of the holder, and the payload that the id came with.
    holders: BTreeMap<u64, (u64, Option<u8>)>,
}

impl Claims {
    pub fn new(on_end: LeaseEnd) -> Claims {
        Claims { on_end, tickets: BTreeMap::new(), holders: BTreeMap::new() }
    }

    /// What is prepared holds its ids after a crash.
    pub fn recover(on_end: LeaseEnd, committed: &Committed, now: Duration) -> Claims {
        let mut claims = Claims::new(on_end);
        for tx in committed.prepared.values() {
            claims.begin(tx.fence, now, None);
            tx.ids.iter().for_each(|(n, kept)| claims.take(*n, tx.fence, kept.payload));
        }
        claims
    }

    pub fn begin(&mut self, token: u64, now: Duration, lease: Option<Duration>) {
        let deadline = lease.map(|lease| now + lease);
        self.tickets.insert(token, Ticket { begun: now, deadline });
    }

    /// Gives an id to a ticket. The token of one before it, whose lease has ended.
    pub fn take(&mut self, n: u64, token: u64, payload: Option<u8>) {
        self.holders.insert(n, (token, payload));
    }

    /// An id was met that nobody holds. The token of the holder whose lease has ended.
    pub fn meet(&mut self, n: u64) -> Option<u64> {
        self.holders.remove(&n).map(|(token, _)| token)
    }

    pub fn held(&self, n: u64, now: Duration) -> Option<Held> {
        let &(token, payload) = self.holders.get(&n)?;
        if !self.is_over(token, now) {
            let Ticket { begun, deadline } = self.tickets[&token];
            let left = deadline.map(|deadline| deadline - now);
            return Some(Held::InFlight { age: now - begun, left, payload });
        }
        (self.on_end == LeaseEnd::Block).then_some(Held::Unknown { token })
    }

    /// How long ago the lease ended.
    pub fn over_by(&self, token: u64, now: Duration) -> Option<Duration> {
        let deadline = self.tickets[&token].deadline?;
        (deadline <= now).then(|| now - deadline)
    }

    pub fn is_over(&self, token: u64, now: Duration) -> bool {
        self.over_by(token, now).is_some()
    }

    pub fn renew(&mut self, token: u64, now: Duration, lease: Duration) {
        let ticket = self.tickets.get_mut(&token).expect("it is open");
        ticket.deadline = ticket.deadline.map(|deadline| deadline.max(now + lease));
    }

    /// It cannot end by itself any more.
    pub fn prepare(&mut self, token: u64) {
        self.tickets.get_mut(&token).expect("it is open").deadline = None;
    }

    /// Gives back what a ticket holds of these ids. What its end has barred stays barred.
    pub fn give_back(&mut self, ids: impl IntoIterator<Item = u64>, token: u64, now: Duration) {
        if self.on_end == LeaseEnd::Block && self.is_over(token, now) {
            return;
        }
        for n in ids {
            if self.holders.get(&n).is_some_and(|&(holder, _)| holder == token) {
                self.holders.remove(&n);
            }
        }
    }

    /// How many ids stand in the table.
    pub fn len(&self) -> usize {
        self.holders.len()
    }
}

/// How far the records of a source are settled, as far as this process was shown.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The transactions under way, by token, and whether the source was rewound since they began.
    open: BTreeMap<u64, (Span, bool)>,
    /// Positions that were given back or left unsettled, and not presented since.
    holes: BTreeSet<u64>,
    reached: u64,
    /// Positions that were presented and are settled by nobody: progress must not pass them.
    pub unsettled: BTreeSet<u64>,
}

impl Source {
    /// Those of which the lease is over hold only what is not presented again.
    pub fn begin(&mut self, span: &Span, token: u64, is_over: impl Fn(u64) -> bool) {
        for other in self.open.keys().copied().filter(|&other| is_over(other)).collect::<Vec<_>>() {
            let (span, _) = self.open.remove(&other).expect("it was there");
            self.holes.extend(span.positions);
        }
        self.holes.retain(|hole| !span.positions.contains(hole));
        self.open.insert(token, (span.clone(), false));
    }

    /// The progress that a commit brings, if it is more than there is.
    pub fn reach(&self, span: &Span, token: u64, left: &[u64], progress: u64) -> u64 {
        if self.open.get(&token).is_some_and(|&(_, rewound)| rewound) {
            return progress;
        }
        let open = self.open.iter().filter(|&(&other, _)| other != token);
        let open = open.map(|(_, (other, _))| other.first());
        let holes = self.holes.iter().filter(|hole| !span.positions.contains(hole));
        let holes = holes.chain(left).copied().filter(|&hole| hole >= progress);
        open.chain(holes).fold(self.reached.max(span.end()), u64::min)
    }

    /// A transaction is committed but for the positions `left`; `progress` is there now.
    pub fn commit(&mut self, span: &Span, token: u64, left: &[u64], progress: u64) {
        if self.open.remove(&token).is_some_and(|(_, rewound)| !rewound) {
            self.reached = self.reached.max(span.end());
        }
        self.holes.retain(|hole| !span.positions.contains(hole));
        self.holes.extend(left);
        self.holes.retain(|&hole| hole >= progress);
        self.forget_if_idle();
    }

    pub fn give_back(&mut self, token: u64) {
        if let Some((span, _)) = self.open.remove(&token) {
            self.holes.extend(span.positions);
        }
        self.forget_if_idle();
    }

    /// The progress was set by name.
    pub fn set(&mut self, progress: u64, before: u64) {
        self.holes.retain(|&hole| hole >= progress);
        self.unsettled.retain(|&position| position >= progress);
        self.reached = progress;
        if progress < before {
            self.open.values_mut().for_each(|(_, rewound)| *rewound = true);
        }
        self.forget_if_idle();
    }

    fn forget_if_idle(&mut self) {
        if self.open.is_empty() && self.holes.is_empty() {
            self.reached = 0;
        }
    }
}
