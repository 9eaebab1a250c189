//! Random histories against a plain model, with snapshots, and replays from before them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const KEYS: [&[u8]; 4] = [b"", b"a", b"ab", b"b"];
const SOURCES: [&str; 2] = ["s", "t"];
const TOKENS: [&[u8]; 3] = [b"p", b"q", b"r"];

/// What a transaction does, in small numbers.
#[derive(Debug, Clone)]
struct Plan {
    /// Key, and value if it is not deleted.
    writes: Vec<(usize, Option<u8>)>,
    /// Source, position, whether rewound.
    progress: Option<(usize, u64, bool)>,
    /// Key, and before how many steps it was read.
    read: Option<(usize, usize)>,
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Plan),
    Prepare(usize, Plan),
    Settle(usize),
    Abort(usize),
}

/// What the log has.
enum Frame {
    Commit(Vec<u8>),
    Prepare(Vec<u8>),
    Abort(Vec<u8>),
}

fn plan() -> impl Strategy<Value = Plan> {
    let write = (0..KEYS.len(), proptest::option::of(any::<u8>()));
    let progress = (0..SOURCES.len(), 0_u64..6, any::<bool>());
    let read = (0..KEYS.len(), 0_usize..4);
    (
        proptest::collection::vec(write, 0..3),
        proptest::option::of(progress),
        proptest::option::of(read),
    )
        .prop_map(|(writes, progress, read)| Plan { writes, progress, read })
}

fn step() -> impl Strategy<Value = Step> {
    let token = 0..TOKENS.len();
    prop_oneof![
        4 => plan().prop_map(Step::Commit),
        2 => (token.clone(), plan()).prop_map(|(token, plan)| Step::Prepare(token, plan)),
        2 => token.clone().prop_map(Step::Settle),
        1 => token.prop_map(Step::Abort),
    ]
}

/// The state as it should be.
#[derive(Debug, Default, Clone)]
struct Model {
    sources: BTreeMap<usize, u64>,
    /// Value, and the step that put it.
    entries: BTreeMap<usize, (u8, usize)>,
    prepared: BTreeMap<usize, Plan>,
}

impl Model {
    fn held(&self) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let keys = self.prepared.values().flat_map(|p| p.writes.iter().map(|w| w.0)).collect();
        (keys, self.prepared.values().filter_map(|p| p.progress.map(|p| p.0)).collect())
    }

    fn refuses(&self, plan: &Plan, earlier: &[Model]) -> bool {
        let (keys, sources) = self.held();
        let read = plan.read.is_some_and(|(key, before)| {
            let then = &earlier[earlier.len().saturating_sub(1 + before)];
            let stamp = |model: &Model| model.entries.get(&key).map(|entry| entry.1);
            keys.contains(&key) || stamp(then) != stamp(self)
        });
        let progress = plan.progress.is_some_and(|(source, to, rewound)| {
            let back = self.sources.get(&source).is_some_and(|&at| to < at);
            sources.contains(&source) || (back && !rewound)
        });
        read || progress || plan.writes.iter().any(|(key, _)| keys.contains(key))
    }

    fn apply(&mut self, plan: &Plan, step: usize) {
        if let Some((source, to, _)) = plan.progress {
            self.sources.insert(source, to);
        }
        for &(key, value) in &plan.writes {
            match value {
                Some(value) => self.entries.insert(key, (value, step)),
                None => self.entries.remove(&key),
            };
        }
    }

    fn assert_is(&self, state: &State) {
        let sources = self.sources.iter().map(|(&source, &to)| (SOURCES[source].to_owned(), to));
        assert_eq!(state.sources(), sources.collect::<Vec<_>>());
        let found = state.scan(b"");
        let found: Vec<_> = found.iter().map(|found| (&*found.key, &*found.value)).collect();
        let entries: Vec<_> = self.entries.iter().map(|(&k, v)| (KEYS[k], vec![v.0])).collect();
        assert_eq!(found, entries.iter().map(|(key, v)| (*key, &v[..])).collect::<Vec<_>>());
        let tokens: Vec<_> = state.in_doubt().map(|data| data.prepare().token()).collect();
        assert_eq!(tokens, self.prepared.keys().map(|&t| TOKENS[t]).collect::<Vec<_>>());
        let (keys, held) = self.held();
        for (i, key) in KEYS.iter().enumerate() {
            assert_eq!(state.prepared.holder_of_key(key, None).is_some(), keys.contains(&i));
        }
        for (i, source) in SOURCES.iter().enumerate() {
            assert_eq!(state.prepared.holder_of_source(source, None).is_some(), held.contains(&i));
        }
    }
}

/// A run of the state and its model, step by step.
#[derive(Default)]
struct Run {
    state: State,
    model: Model,
    earlier: Vec<Model>,
    /// The versions of all keys before each step.
    versions: Vec<Vec<Option<u64>>>,
    log: Vec<Frame>,
}

impl Run {
    fn changes(&self, plan: &Plan) -> Changes {
        let mut changes = Changes::default();
        for &(key, value) in &plan.writes {
            match value {
                Some(value) => changes.put(KEYS[key], &[value]),
                None => changes.delete(KEYS[key]),
            }
        }
        match plan.progress {
            Some((source, to, true)) => changes.rewind_progress(SOURCES[source], to),
            Some((source, to, false)) => changes.set_progress(SOURCES[source], to),
            None => {}
        }
        if let Some((key, before)) = plan.read {
            let at = self.versions.len().saturating_sub(1 + before);
            changes.note_read(KEYS[key], self.versions[at][key]);
        }
        changes
    }

    fn step(&mut self, step: &Step) {
        let versions = KEYS.map(|key| self.state.get(key).map(|(_, version)| version));
        self.versions.push(versions.to_vec());
        self.earlier.push(self.model.clone());
        let number = self.earlier.len();
        match step {
            Step::Commit(plan) => {
                let changes = self.changes(plan);
                let refused = check(&self.state, &changes).is_err();
                assert_eq!(refused, self.model.refuses(plan, &self.earlier), "{plan:?}");
                if !refused {
                    self.add(Frame::Commit(payload(&changes, None)));
                    self.model.apply(plan, number);
                }
            }
            Step::Prepare(token, plan) => {
                let changes = self.changes(plan);
                let payload = payload(&changes, Some(TOKENS[*token]));
                let refused = self.state.check_prepare(&changes, payload.len(), TOKENS[*token]);
                let taken = self.model.prepared.contains_key(token);
                let refuses = taken || self.model.refuses(plan, &self.earlier);
                assert_eq!(refused.is_err(), refuses, "{plan:?}");
                if !refuses {
                    self.add(Frame::Prepare(payload));
                    self.model.prepared.insert(*token, plan.clone());
                }
            }
            Step::Settle(token) => {
                if let Some(plan) = self.model.prepared.remove(token) {
                    let data = self.state.prepared(TOKENS[*token]).unwrap();
                    let payload = data.prepare().settlement();
                    self.add(Frame::Commit(payload));
                    self.model.apply(&plan, number);
                }
            }
            Step::Abort(token) => {
                if self.model.prepared.remove(token).is_some() {
                    let payload = crate::format::commit::abort_payload(TOKENS[*token]);
                    self.add(Frame::Abort(payload));
                }
            }
        }
        self.model.assert_is(&self.state);
    }

    fn add(&mut self, frame: Frame) {
        replay(&mut self.state, &frame);
        self.log.push(frame);
    }
}

fn replay(state: &mut State, frame: &Frame) {
    match frame {
        Frame::Commit(payload) => state.apply(&Commit::decode(payload).unwrap()),
        Frame::Prepare(payload) => {
            let prepare = Prepare::decode(payload).unwrap();
            state.prepare(PreparedData::new(&prepare, Timestamp::from_secs(3)));
        }
        Frame::Abort(payload) => {
            let token = crate::format::commit::decode_abort(payload).unwrap();
            state.abort(token);
        }
    }
}

fn snapshot(state: &State) -> Vec<u8> {
    state.encode(&[9; 16], 3)
}

fn restore(bytes: &[u8]) -> State {
    let snapshot = Snapshot::decode(bytes, &[9; 16], 3, Path::new("3.state"));
    State::restore(&snapshot.unwrap())
}

fn assert_same(a: &State, b: &State) {
    assert_eq!(snapshot(a), snapshot(b));
    assert_eq!(a.prepared, b.prepared, "what is held and set aside");
    assert_eq!((a.bytes, a.memory_bytes()), (b.bytes, b.memory_bytes()));
}

proptest! {
    #[test]
    fn a_snapshot_and_any_replay_over_it_give_the_state(
        steps in proptest::collection::vec(step(), 1..40),
        at in any::<proptest::sample::Index>(),
    ) {
        let mut run = Run::default();
        let mut taken = (0, snapshot(&run.state));
        let at = at.index(steps.len());
        for (i, step) in steps.iter().enumerate() {
            if i == at {
                taken = (run.log.len(), snapshot(&run.state));
            }
            run.step(step);
        }
        assert_same(&restore(&snapshot(&run.state)), &run.state);
        let (covered, bytes) = taken;
        for from in 0..=covered {
            let mut state = restore(&bytes);
            run.log[from..].iter().for_each(|frame| replay(&mut state, frame));
            assert_same(&state, &run.state);
        }
    }

    #[test]
    fn what_is_rolled_back_was_never_there(
        plans in proptest::collection::vec((plan(), 0..4_u8, any::<bool>()), 0..12),
    ) {
        let (run, mut tx) = (Run { versions: vec![vec![None; KEYS.len()]], ..Run::default() }, Changes::default());
        let mut open: Vec<(super::super::changes::Savepoint, Vec<u8>)> = Vec::new();
        for (plan, end, outcome) in &plans {
            match end {
                0 => open.push((tx.savepoint(), told(&tx))),
                1 => {
                    if let Some((savepoint, before)) = open.pop() {
                        tx.roll_back_to(savepoint);
                        prop_assert_eq!(told(&tx), before);
                    }
                }
                2 => {
                    if let Some((savepoint, _)) = open.pop() {
                        tx.release(savepoint);
                    }
                }
                _ => {}
            }
            let more = run.changes(plan);
            for (source, advance) in more.sources() {
                tx.set_progress(source, advance.next);
            }
            for (key, value) in more.writes() {
                match value {
                    Some(value) => tx.put(key, value),
                    None => tx.delete(key),
                }
            }
            match (plan.progress, outcome) {
                (Some((i, next, _)), true) => tx.set_outcome(i as u32, &[next as u8]),
                (Some((i, next, _)), false) => tx.set_payload(i as u32, Fingerprint::from_u128(next.into())),
                (None, _) => {}
            }
        }
        if let Some((savepoint, before)) = open.into_iter().next() {
            tx.roll_back_to(savepoint);
            prop_assert_eq!(told(&tx), before);
        }
    }
}

/// Everything that a transaction changes, as bytes.
fn told(changes: &Changes) -> Vec<u8> {
    let mut out = Vec::new();
    changes.encode_into(&Some, &mut out);
    assert_eq!(out.len(), changes.encoded_len());
    out
}
