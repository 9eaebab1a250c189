//! What refuses a commit, what a prepared transaction holds, and what a transaction can undo. The
//! state against a plain model is in `model`.

use std::path::Path;

use super::*;
use crate::format::commit::{
    KEY_MAX, OUTCOME_MAX, Prepare, VALUE_MAX, payload_len, push_ids, push_item,
};
use crate::key::Fingerprint;
use crate::time::Timestamp;

mod model;

/// The payload of a frame without ids.
fn payload(changes: &Changes, token: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    push_ids(&mut out, std::iter::empty());
    if let Some(token) = token {
        push_item(&mut out, &Item::Token(token));
    }
    changes.encode_into(&|_| None, &mut out);
    out
}

fn changes(make: impl FnOnce(&mut Changes)) -> Changes {
    let mut changes = Changes::default();
    make(&mut changes);
    changes
}

fn check(state: &State, changes: &Changes) -> Result<(), Refusal> {
    state.check(changes, payload_len(0, changes.encoded_len()), None)
}

fn commit(state: &mut State, changes: &Changes) -> Result<(), Refusal> {
    check(state, changes)?;
    state.apply(&Commit::decode(&payload(changes, None)).unwrap());
    Ok(())
}

fn prepare(state: &mut State, changes: &Changes, token: &[u8]) -> Result<(), Refusal> {
    let payload = payload(changes, Some(token));
    state.check_prepare(changes, payload.len(), token)?;
    let prepare = Prepare::decode(&payload).unwrap();
    state.prepare(PreparedData::new(&prepare, Timestamp::from_secs(1)));
    Ok(())
}

fn settle(state: &mut State, token: &[u8]) {
    let payload = state.prepared(token).unwrap().prepare().settlement();
    state.apply(&Commit::decode(&payload).unwrap());
}

fn with(put: &[(&[u8], &[u8])]) -> State {
    let mut state = State::default();
    let made = changes(|c| put.iter().for_each(|(key, value)| c.put(key, value)));
    commit(&mut state, &made).unwrap();
    state
}

fn value(state: &State, key: &[u8]) -> Option<Vec<u8>> {
    state.get(key).map(|(value, _)| value.to_vec())
}

#[test]
fn progress_goes_back_only_when_told_so_by_name() {
    let mut state = State::default();
    commit(&mut state, &changes(|c| c.set_progress("s", 10))).unwrap();
    commit(&mut state, &changes(|c| c.set_progress("s", 10))).unwrap();
    let back = commit(&mut state, &changes(|c| c.set_progress("s", 9)));
    assert_eq!(back, Err(Refusal::Backwards { name: "s".into(), at: 10, to: 9 }));
    commit(&mut state, &changes(|c| c.rewind_progress("s", 3))).unwrap();
    assert_eq!(state.progress("s"), Some(3));
    let on = changes(|c| {
        c.rewind_progress("s", 1);
        c.set_progress("s", 2);
        assert_eq!(c.progress("s"), Some(2));
    });
    commit(&mut state, &on).unwrap();
    assert_eq!(state.sources(), [("s".to_owned(), 2)]);
    let below = changes(|c| {
        c.rewind_progress("s", 1);
        c.set_progress("s", 0);
    });
    assert!(matches!(commit(&mut state, &below), Err(Refusal::Backwards { at: 1, to: 0, .. })));
}

#[test]
fn a_key_that_changed_since_it_was_read_refuses_the_commit() {
    let mut state = with(&[(b"a", b"1"), (b"b", b"1")]);
    let version = |state: &State, key: &[u8]| state.get(key).map(|(_, version)| version);
    let (a, b) = (version(&state, b"a"), version(&state, b"b"));
    let mut tx = Changes::default();
    tx.note_read(b"a", a);
    tx.note_read(b"none", None);
    tx.put(b"sum", b"1");
    check(&state, &tx).unwrap();
    commit(&mut state, &changes(|c| c.delete(b"b"))).unwrap();
    check(&state, &tx).unwrap();
    commit(&mut state, &changes(|c| c.put(b"a", b"1"))).unwrap();
    let conflict = |key: &[u8]| Err(Refusal::Conflict { key: key.to_vec() });
    assert_eq!(check(&state, &tx), conflict(b"a"), "the same value, and another commit");
    tx.note_read(b"a", version(&state, b"a"));
    assert_eq!(check(&state, &tx), conflict(b"a"), "the first reading counts");
    assert_eq!(check(&state, &changes(|c| c.note_read(b"b", b))), conflict(b"b"));
    commit(&mut state, &changes(|c| c.put(b"none", b""))).unwrap();
    assert_eq!(check(&state, &changes(|c| c.note_read(b"none", None))), conflict(b"none"));
    commit(&mut state, &changes(|c| c.put(b"a", b"blind"))).unwrap();
}

#[test]
fn what_a_prepared_transaction_changes_is_held_until_it_is_settled() {
    let mut state = with(&[(b"a", b"1"), (b"b", b"1")]);
    let held = changes(|c| {
        c.put(b"a", b"2");
        c.delete(b"b");
        c.set_progress("s", 5);
        c.note_read(b"seen", None);
    });
    prepare(&mut state, &held, b"t").unwrap();
    assert_eq!(value(&state, b"a").unwrap(), b"1", "not yet");
    let writes_a = changes(|c| c.put(b"a", b"3"));
    let reads_b = changes(|c| c.note_read(b"b", None));
    let token = b"t".to_vec();
    let locked = |key: &[u8]| Err(Refusal::Locked { key: key.to_vec(), token: b"t".to_vec() });
    assert_eq!(check(&state, &writes_a), locked(b"a"));
    assert_eq!(check(&state, &reads_b), locked(b"b"));
    let moves_s = changes(|c| c.rewind_progress("s", 0));
    let source_locked = Refusal::SourceLocked { name: "s".into(), token: token.clone() };
    assert_eq!(check(&state, &moves_s), Err(source_locked));
    assert_eq!(state.check(&writes_a, 0, Some(b"t")), Ok(()));
    commit(&mut state, &changes(|c| c.put(b"seen", b"what it only read is free"))).unwrap();
    let again = prepare(&mut state, &changes(|c| c.put(b"z", b"")), b"t");
    assert_eq!(again, Err(Refusal::AlreadyPrepared { token }));
    assert_eq!(prepare(&mut state, &writes_a, b"u"), locked(b"a"));

    let mut other = State::restore(
        &Snapshot::decode(&state.encode(&[1; 16], 7), &[1; 16], 7, Path::new("7.state")).unwrap(),
    );
    assert_eq!(check(&other, &writes_a), locked(b"a"), "also after a snapshot");
    let data = other.abort(b"t").unwrap();
    assert_eq!(data.time, Timestamp::from_secs(1));
    assert_eq!(value(&other, b"b").unwrap(), b"1");
    commit(&mut other, &writes_a).unwrap();
    commit(&mut other, &moves_s).unwrap();
    assert_eq!(value(&other, b"a").unwrap(), b"3");
    assert_eq!(other.abort(b"t"), None);

    settle(&mut state, b"t");
    assert_eq!((value(&state, b"a"), value(&state, b"b")), (Some(b"2".to_vec()), None));
    assert_eq!((state.progress("s"), state.in_doubt().count()), (Some(5), 0));
    commit(&mut state, &writes_a).unwrap();
}

#[test]
fn lengths_are_held_against_their_limits() {
    let long = |len: usize| vec![b'x'; len];
    let name = |len: usize| String::from_utf8(long(len)).unwrap();
    let state = State::default();
    let fits = changes(|c| {
        c.put(&long(KEY_MAX), &long(VALUE_MAX));
        c.set_outcome(0, &long(OUTCOME_MAX));
        c.set_progress(&name(KEY_MAX), 1);
    });
    check(&state, &fits).unwrap();
    let too_large = |changes: Changes| match check(&state, &changes).unwrap_err() {
        Refusal::TooLarge { what, bytes, max } => (what, bytes > max),
        other => panic!("{other}"),
    };
    assert_eq!(too_large(changes(|c| c.put(&long(KEY_MAX + 1), b""))).0, "a state key");
    assert_eq!(too_large(changes(|c| c.delete(&long(KEY_MAX + 1)))).0, "a state key");
    assert_eq!(too_large(changes(|c| c.put(b"", &long(VALUE_MAX + 1)))).0, "a state value");
    assert_eq!(too_large(changes(|c| c.set_outcome(3, &long(OUTCOME_MAX + 1)))).0, "an outcome");
    assert_eq!(
        too_large(changes(|c| c.set_progress(&name(KEY_MAX + 1), 0))),
        ("the name of a source", true)
    );
    let many = changes(|c| (0..17_u8).for_each(|i| c.put(&[i], &long(VALUE_MAX))));
    assert_eq!(too_large(many), ("a commit", true));
    let empty = check(&state, &changes(|c| c.set_progress("", 0)));
    assert_eq!(empty, Err(Refusal::Empty { what: "the name of a source" }));
    assert_eq!(state.check_prepare(&fits, 0, b""), Err(Refusal::Empty { what: "a token" }));
    assert!(state.check_prepare(&fits, 0, &long(KEY_MAX + 1)).is_err());
}

#[test]
fn a_full_state_refuses_to_grow_and_keeps_room_for_what_is_prepared() {
    let mut state = State::default();
    let value = vec![0; VALUE_MAX];
    let full = changes(|c| c.put(b"prepared", &value));
    prepare(&mut state, &full, b"t").unwrap();
    let mut n = 0;
    let refused = loop {
        let more = changes(|c| c.put(format!("{n:04}").as_bytes(), &value));
        match commit(&mut state, &more) {
            Ok(()) => n += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(n, STATE_MAX / (VALUE_MAX + OVERHEAD) - 1, "one is set aside");
    assert!(matches!(refused, Refusal::StateFull { bytes, max } if bytes > max));
    commit(&mut state, &changes(|c| c.put(b"0001", b"less"))).unwrap();
    commit(&mut state, &changes(|c| c.put(b"0001", &value))).unwrap();
    settle(&mut state, b"t");
    assert!(state.bytes <= STATE_MAX && state.prepared.growth(None) == 0);

    // What was kept by a build with other limits: it may be changed, not made larger.
    (0..2_u8).for_each(|i| state.put(&[i], &value));
    assert!(state.bytes > STATE_MAX);
    commit(&mut state, &changes(|c| c.put(b"0000", &value[1..]))).unwrap();
    commit(&mut state, &changes(|c| c.put(b"0000", &value[1..]))).unwrap();
    assert!(commit(&mut state, &changes(|c| c.put(b"0000", &value))).is_err());
}

#[test]
fn prepared_transactions_have_a_limit_together() {
    let mut state = State::default();
    let large =
        |n: u32| changes(|c| (0..15).for_each(|i| c.put(&[i, n as u8], &vec![0; VALUE_MAX - 200])));
    let mut n = 0_u32;
    let refused = loop {
        let token = n.to_le_bytes();
        match prepare(&mut state, &large(n), &token) {
            Ok(()) => n += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(n, 4);
    assert!(matches!(refused, Refusal::StateFull { .. } | Refusal::PreparedFull { .. }));
    let outcomes = changes(|c| (0..15).for_each(|i| c.set_outcome(i, &vec![0; OUTCOME_MAX])));
    let len = payload_len(0, outcomes.encoded_len());
    let refused = state.check_prepare(&outcomes, len, b"u").unwrap_err();
    assert!(matches!(refused, Refusal::PreparedFull { bytes, max } if bytes > max), "{refused}");
    assert_eq!(state.check(&outcomes, len, None), Ok(()));
    let payload = payload(&large(99), Some(b"disk"));
    let from_disk = PreparedData::new(&Prepare::decode(&payload).unwrap(), Timestamp::MIN);
    state.prepare(from_disk);
    assert!(state.memory_bytes() > PREPARED_MAX);
    state.abort(b"disk").unwrap();
    (0..n).for_each(|n| assert!(state.abort(&n.to_le_bytes()).is_some()));
    assert!(state.is_empty() && state.prepared == PreparedSet::default());
}

#[test]
fn only_changes_of_the_state_count_as_such() {
    let mut state = with(&[(b"a", b"1")]);
    let before = state.changes();
    let outcome = changes(|c| c.set_outcome(0, b"paid"));
    assert!(!outcome.is_empty() && changes(|c| c.note_read(b"a", None)).is_empty());
    commit(&mut state, &outcome).unwrap();
    assert_eq!(state.changes(), before);
    prepare(&mut state, &changes(|c| c.put(b"a", b"2")), b"t").unwrap();
    settle(&mut state, b"t");
    assert_eq!(state.changes(), before + 2);
}

#[test]
fn a_scan_stays_with_its_prefix() {
    let state = with(&[(b"a", b""), (b"a/1", b"x"), (b"a/2", b""), (b"b", b""), (b"\xff", b"")]);
    let keys = |prefix: &[u8]| -> Vec<Vec<u8>> {
        state.scan(prefix).into_iter().map(|found| found.key.to_vec()).collect()
    };
    assert_eq!(keys(b"a/"), [b"a/1", b"a/2"]);
    assert_eq!((keys(b"").len(), keys(b"\xff").len(), keys(b"a/3").len()), (5, 1, 0));
    let found = &state.scan(b"a/1")[0];
    assert_eq!(Some((found.value.clone(), found.version)), state.get(b"a/1"));
}

#[test]
fn values_follow_their_ids_into_the_frame() {
    let tx = changes(|c| {
        c.set_outcome(0, b"first");
        c.set_payload(2, Fingerprint::from_u128(22));
        c.set_outcome(2, b"");
        c.set_outcome(7, b"not in the frame");
    });
    let place = |old: u32| [Some(5), None, Some(1)].get(old as usize).copied().flatten();
    let mut out = Vec::new();
    push_ids(&mut out, [Fingerprint::from_u128(1); 6].into_iter());
    tx.encode_into(&place, &mut out);
    assert!(out.len() < payload_len(6, tx.encoded_len()));
    let items: Vec<_> = Commit::decode(&out).unwrap().items().collect();
    let payload = Some(Fingerprint::from_u128(22));
    assert_eq!(
        items,
        [
            Item::Value { index: 5, payload: None, outcome: Some(b"first") },
            Item::Value { index: 1, payload, outcome: Some(b"") },
        ]
    );
}

#[test]
fn a_transaction_reads_its_own_writes() {
    let mut tx = Changes::default();
    assert_eq!(tx.get(b"a"), None);
    tx.put(b"a", b"1");
    assert_eq!(tx.get(b"a"), Some(Some(&b"1"[..].into())));
    tx.delete(b"a");
    assert_eq!(tx.get(b"a"), Some(None));
}

#[test]
fn savepoints_undo_and_nest() {
    let mut tx = changes(|c| c.put(b"a", b"1"));
    let outer = tx.savepoint();
    tx.delete(b"a");
    let inner = tx.savepoint();
    tx.put(b"a", b"2");
    tx.set_outcome(0, b"x");
    tx.rewind_progress("s", 4);
    tx.roll_back_to(inner);
    assert_eq!((tx.get(b"a"), tx.progress("s")), (Some(None), None));
    let inner = tx.savepoint();
    tx.set_payload(0, Fingerprint::from_u128(1));
    tx.release(inner);
    tx.note_read(b"r", Some(9));
    tx.roll_back_to(outer);
    assert_eq!(payload(&tx, None), payload(&changes(|c| c.put(b"a", b"1")), None));
    assert_eq!(tx.encoded_len(), changes(|c| c.put(b"a", b"1")).encoded_len());
    assert!(check(&State::default(), &tx).is_err(), "what was read stays noted");
    let last = tx.savepoint();
    tx.put(b"b", b"");
    tx.release(last);
    assert_eq!(tx.get(b"b").flatten().map(|value| value.len()), Some(0));
}
