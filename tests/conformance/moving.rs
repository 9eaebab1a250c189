//! Into another backend and back: what a store tells is the same, and the offline tools tell the same
//! as it.

use std::path::Path;

use firstseen::testing::ManualClock;
use firstseen::{Store, Timestamp, Verdict, offline};

use crate::setting::{BACKENDS, HOUR, SECOND, Setting, clock, under_all};
use crate::support::{id, ids};

const IDS: u64 = 9_000;
/// Ids that were forgotten; the last of them was let in again.
const FORGOTTEN: [u64; 4] = [3, 4_000, 7_990, 4_001];

/// A store that has something of everything, in runs and in its log.
fn build(setting: Setting, clock: &ManualClock, dir: &Path) {
    let store = setting.timed(clock).open(dir).unwrap();
    for from in (0..IDS).step_by(500) {
        let numbers: Vec<u64> = (from..from + 500).collect();
        assert!(store.check_and_insert(&ids(&numbers)).unwrap().iter().all(Verdict::is_new));
        commit(&store, from);
        clock.advance(HOUR / 4);
        if from == 3_000 {
            store.compact().unwrap();
        }
    }
    assert_eq!(store.forget(&ids(&FORGOTTEN)).unwrap(), 4);
    clock.advance(SECOND);
    assert!(store.check_and_insert(&[id(FORGOTTEN[3])]).unwrap()[0].is_new());
    for token in ["ledger-1", "ledger-2"] {
        let mut tx = store.begin_from(token, &[(5, format!("{token}-a"))]).unwrap();
        tx.put_state(token, "pending");
        tx.set_outcome(0, vec![1; 70_000]);
        let _ = tx.prepare(token).unwrap();
    }
    store.close().unwrap();
}

/// A commit with a payload, an outcome, which is sometimes long, progress and state.
fn commit(store: &Store, from: u64) {
    let order = format!("order-{from}");
    let mut tx = store.claim().payloads(&["paid"]).begin_from("orders", &[(from, &order)]).unwrap();
    let len = if from.is_multiple_of(2_000) { 300_000 } else { 30 };
    tx.set_outcome(0, vec![(from / 500) as u8; len]);
    tx.put_state(format!("key-{}", from % 3_500), order);
    tx.commit().unwrap();
}

/// What is in doubt: token, fencing token, since when, ids.
type InDoubt = (Vec<u8>, u64, Option<Timestamp>, Vec<Vec<u8>>);

/// All that a store tells.
#[derive(Debug, PartialEq)]
struct Told {
    verdicts: Vec<Verdict>,
    outcomes: Vec<Option<Vec<u8>>>,
    mismatches: usize,
    sources: Vec<(String, u64)>,
    state: Vec<(Vec<u8>, Vec<u8>)>,
    in_doubt: Vec<InDoubt>,
    now: Timestamp,
    forgotten: u64,
    ids: u64,
}

fn ask(store: &Store) -> Told {
    let mut verdicts = Vec::new();
    let numbers: Vec<u64> = (0..IDS + 1_000).collect();
    store.check(&ids(&numbers), &mut verdicts).unwrap();
    let orders = (0..IDS).step_by(500).map(|n| format!("order-{n}"));
    let mismatch = |order: &String| {
        let claim = store.claim().payloads(&["unpaid"]).begin(&[order]).unwrap();
        matches!(claim.verdicts()[0], Verdict::Mismatch { .. })
    };
    let in_doubt = store.in_doubt();
    let in_doubt = in_doubt.iter().map(|p| (p.token().to_vec(), p.fence(), p.since(), p.ids()));
    let stats = store.stats();
    Told {
        verdicts,
        outcomes: orders.clone().map(|order| store.outcome(order).unwrap()).collect(),
        mismatches: orders.filter(mismatch).count(),
        sources: store.sources().unwrap(),
        state: store.scan_state("").unwrap(),
        in_doubt: in_doubt.collect(),
        now: stats.now,
        forgotten: stats.forgotten,
        ids: stats.ids,
    }
}

/// The offline tools tell what the store, which is closed, has told.
fn compare_offline(setting: Setting, dir: &Path, told: &Told) {
    let mut damages = Vec::new();
    let verified = offline::verify(dir, &mut |damage| damages.push(damage.to_string())).unwrap();
    assert!(verified.damages == 0, "{damages:?}");
    let found = offline::inspect(dir).unwrap();
    assert_eq!((found.backend, found.identity), (setting.backend, setting.identity));
    assert_eq!((found.forgotten, verified.records), (told.forgotten, found.ids()));
    // The log has records of ids that were forgotten since, which an opening leaves out.
    let more = found.ids() - told.ids;
    assert!(more <= 2 * FORGOTTEN.len() as u64, "{} ids, {} told", found.ids(), told.ids);
    assert_eq!((found.window, found.high_water), (8 * HOUR, told.now));
    assert_eq!(found.sources, told.sources);
    let state = offline::state(dir).unwrap();
    assert_eq!((&state.sources, &state.entries), (&told.sources, &told.state));
    let in_doubt = state.in_doubt.into_iter().map(|p| (p.token, p.fence, Some(p.since), p.ids));
    assert_eq!(in_doubt.collect::<Vec<_>>(), told.in_doubt);
    let dumped = offline::dump(dir, &mut |_| Ok(())).unwrap();
    assert!(dumped.abs_diff(told.ids) <= 2 * FORGOTTEN.len() as u64, "{dumped}, {}", told.ids);
}

/// Opens it without upkeep, which would change what is counted, and asks.
fn open_and_ask(setting: Setting, clock: &ManualClock, dir: &Path) -> Told {
    let store = setting.timed(clock).background(false).open(dir).unwrap();
    let told = ask(&store);
    store.close().unwrap();
    told
}

#[test]
fn into_each_backend_and_back() {
    under_all(|setting, dir| {
        let clock = clock();
        build(setting, &clock, dir);
        let told = open_and_ask(setting, &clock, dir);
        assert!(told.verdicts.iter().filter(|verdict| verdict.is_duplicate()).count() > 7_000);
        assert!(told.mismatches > 12 && told.in_doubt.len() == 2, "{}", told.mismatches);
        assert!(told.outcomes.iter().flatten().any(|outcome| outcome.len() == 300_000));
        compare_offline(setting, dir, &told);
        for &backend in BACKENDS {
            let there = dir.with_file_name(format!("there-{backend}"));
            let back = dir.with_file_name(format!("back-{backend}"));
            offline::migrate(dir, &there, backend).unwrap();
            offline::migrate(&there, &back, setting.backend).unwrap();
            let moved = Setting { backend, ..setting };
            assert!(open_and_ask(moved, &clock, &there) == told, "in {backend}");
            compare_offline(moved, &there, &told);
            assert!(open_and_ask(setting, &clock, &back) == told, "back from {backend}");
            go_on(moved, &clock, &there, &told);
        }
        compare_offline(setting, dir, &told);
    });
}

/// A copy is a store like any other.
fn go_on(setting: Setting, clock: &ManualClock, dir: &Path, told: &Told) {
    let store = setting.timed(clock).open(dir).unwrap();
    let fence = told.in_doubt.iter().map(|doubt| doubt.1).max().unwrap();
    assert!(store.begin(&["fresh"]).unwrap().token() > fence);
    let [first, second] = store.in_doubt().try_into().unwrap();
    first.commit().unwrap();
    second.abort().unwrap();
    assert_eq!(store.outcome("ledger-1-a").unwrap(), Some(vec![1; 70_000]));
    assert_eq!(store.contains(&["ledger-1-a", "ledger-2-a"]).unwrap(), [true, false]);
    let again = store.begin_from("orders", &[(IDS - 500, "any")]).unwrap();
    assert!(matches!(again.verdicts()[0], Verdict::Replay { .. }));
    let numbers: Vec<u64> = (IDS + 1_000..IDS + 6_000).collect();
    assert!(store.check_and_insert(&ids(&numbers)).unwrap().iter().all(Verdict::is_new));
    store.compact().unwrap();
    compare_merged(&store, told);
}

/// After everything was sealed and merged anew, what was known is known, first seen at the same times.
fn compare_merged(store: &Store, told: &Told) {
    let (mut verdicts, numbers) = (Vec::new(), (0..IDS + 1_000).collect::<Vec<u64>>());
    store.check(&ids(&numbers), &mut verdicts).unwrap();
    assert!(verdicts == told.verdicts, "after a merge");
}
