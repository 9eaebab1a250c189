//! One history on two stores, one in each backend: they must say the same at every step, and what the
//! model of `transactions` allows.

use firstseen::{Backend, Store};

use super::transactions::compare::{KEYS, SOURCES, UNIVERSE, id, ids, key};
use super::transactions::machine::{Ground, Machine, Settings};
use super::transactions::{Kind, Op, Shares};

/// What happens to a store on real files.
pub const ON_FILES: Shares = &[
    (Kind::Begin, 20),
    (Kind::BeginFrom, 24),
    (Kind::Release, 4),
    (Kind::Outcome, 12),
    (Kind::Put, 12),
    (Kind::Delete, 4),
    (Kind::Read, 5),
    (Kind::SetProgress, 4),
    (Kind::Rewind, 2),
    (Kind::Commit, 30),
    (Kind::Abort, 5),
    (Kind::Prepare, 10),
    (Kind::CommitPrepared, 7),
    (Kind::AbortPrepared, 4),
    (Kind::SettleAgain, 2),
    (Kind::Renew, 3),
    (Kind::Resolve, 5),
    (Kind::Insert, 27),
    (Kind::InsertTimed, 12),
    (Kind::Forget, 10),
    (Kind::Wait, 2),
    (Kind::Seal, 9),
    (Kind::Compact, 7),
    (Kind::Sync, 2),
    (Kind::Advance, 20),
    (Kind::Close, 4),
    (Kind::Kill, 4),
    (Kind::Checkpoint, 2),
    (Kind::Migrate, 2),
    (Kind::Transfer, 2),
];

/// Goes through a history; panics where the stores part, or one of them and the model.
pub fn go(settings: [u8; 4], ops: &[Op]) {
    // Each has a clock of its own; what moves them is the same.
    let new = |backend| Machine::new(Settings::of(settings), Ground::folder(backend));
    let (mut one, mut other) = (new(Backend::Mapped), new(Backend::Sled));
    for &op in ops {
        one.apply(op);
        other.apply(op);
        compare(op.0, &mut one, &mut other);
    }
    one.finish();
    other.finish();
    compare(Kind::Close, &mut one, &mut other);
}

fn compare(kind: Kind, one: &mut Machine, other: &mut Machine) {
    let (heard, other_heard) = (one.take_heard(), other.take_heard());
    assert_eq!(heard, other_heard, "the two stores answer {kind:?} otherwise");
    let tracked = one.tracked();
    let (said, other_said) = (everything(one.store(), tracked), everything(other.store(), tracked));
    for (what, other_what) in said.into_iter().zip(other_said) {
        assert_eq!(what, other_what, "the two stores part after {kind:?}");
    }
}

/// Everything that a store can be asked and does not depend on where its bytes are.
fn everything(store: &Store, tracked: &[u64]) -> Vec<String> {
    let numbers: Vec<u64> = (0..UNIVERSE).chain(tracked.iter().copied()).collect();
    let (all, mut verdicts) = (ids(&numbers), Vec::new());
    store.check(&all, &mut verdicts).unwrap();
    let outcomes: Vec<_> = (0..UNIVERSE).map(|n| store.outcome(id(n)).unwrap()).collect();
    let progress = SOURCES.map(|source| store.progress(source).unwrap());
    let state: Vec<_> = (0..KEYS).map(|n| store.state(key(n)).unwrap()).collect();
    let in_doubt = store.in_doubt();
    let in_doubt: Vec<_> =
        in_doubt.iter().map(|p| (p.token().to_vec(), p.fence(), p.since(), p.ids())).collect();
    let stats = store.stats();
    vec![
        format!("verdicts {verdicts:?}"),
        format!("contains {:?}", store.contains(&all).unwrap()),
        format!("outcomes {outcomes:?}"),
        format!("progress {progress:?} of {:?}", store.sources().unwrap()),
        format!("state {state:?} of {:?}", store.scan_state("").unwrap()),
        format!("in doubt {in_doubt:?}"),
        format!("window {:?} of {:?}", store.effective_window(), store.window()),
        format!("now {}, claimed {}", stats.now, stats.claimed),
    ]
}
