//! Everything that a store can be asked, held against the model.

use std::time::Duration;

use firstseen::testing::Expected;
use firstseen::{Store, Timestamp, Verdict};

use super::model::{Claims, Committed};

/// Few, so that transactions meet.
pub const UNIVERSE: u64 = 20;
pub const SOURCES: [&str; 3] = ["dense", "sparse", "named"];
pub const KEYS: u64 = 4;

/// Ids of several lengths: identities treat them differently.
pub fn id(n: u64) -> Vec<u8> {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize([8, 16, 17, 33][(n % 4) as usize], 0x5a);
    bytes
}

pub fn ids(numbers: &[u64]) -> Vec<Vec<u8>> {
    numbers.iter().map(|&n| id(n)).collect()
}

pub fn key(n: u64) -> Vec<u8> {
    format!("key-{}", n % KEYS).into_bytes()
}

/// A verdict of a call that looked at `n` at `moment`, for an event of time `event`. `inserts`: the
/// call lets in what is new, and did.
pub fn judge(
    committed: &mut Committed,
    claims: &Claims,
    mono: Duration,
    (n, verdict): (u64, Verdict),
    (moment, event): (Timestamp, Option<Timestamp>),
    inserts: bool,
) -> Result<(), String> {
    let held = claims.held(n, mono);
    let verdict = match held {
        Some(held) if held.is(verdict) => Verdict::New,
        Some(held) if verdict.is_new() => return Err(format!("id {n} is new, but {held:?}")),
        _ => verdict,
    };
    let inserts = inserts && held.is_none();
    committed.oracle.judge(n, moment, event, inserts, verdict)
}

/// Asks the store everything; what differs from the model comes back as text. `deep`: also which
/// payloads it keeps.
pub fn compare(
    store: &Store,
    committed: &mut Committed,
    claims: &Claims,
    mono: Duration,
    tracked: &[u64],
    deep: bool,
) -> Result<(), String> {
    let said: Vec<_> = store.sources().unwrap();
    let known = committed.sources.iter().map(|(source, &next)| (source.to_string(), next));
    equal("sources", &said, &known.collect())?;
    for source in SOURCES {
        let known = committed.sources.get(source).copied();
        equal("progress", &store.progress(source).unwrap(), &known)?;
    }
    let known = committed.state.iter().map(|(key, (value, _))| (key.clone(), value.clone()));
    equal("state", &store.scan_state("key-").unwrap(), &known.collect())?;
    for n in 0..KEYS {
        let known = committed.state.get(&key(n)).map(|(value, _)| value.clone());
        equal("state of a key", &store.state(key(n)).unwrap(), &known)?;
    }
    let said = store.in_doubt();
    let said: Vec<_> =
        said.iter().map(|p| (p.token().to_vec(), p.fence(), p.since(), p.ids())).collect();
    let known = committed.prepared.iter().map(|(token, tx)| {
        let numbers: Vec<u64> = tx.ids.iter().map(|&(n, _)| n).collect();
        (token.clone(), tx.fence, Some(tx.time), ids(&numbers))
    });
    equal("in doubt", &said, &known.collect())?;
    equal("claimed", &store.stats().claimed, &(claims.len() as u64))?;
    compare_ids(store, committed, claims, mono, tracked)?;
    if deep { compare_payloads(store, committed, claims, mono) } else { Ok(()) }
}

fn compare_ids(
    store: &Store,
    committed: &mut Committed,
    claims: &Claims,
    mono: Duration,
    tracked: &[u64],
) -> Result<(), String> {
    let now = committed.oracle.now();
    let numbers: Vec<u64> = (0..UNIVERSE).chain(tracked.iter().copied()).collect();
    let all = ids(&numbers);
    let mut verdicts = Vec::new();
    store.check(&all, &mut verdicts).unwrap();
    let contained = store.contains(&all).unwrap();
    for ((&n, verdict), contained) in numbers.iter().zip(verdicts).zip(contained) {
        judge(committed, claims, mono, (n, verdict), (now, None), false)?;
        equal("contains", &contained, &verdict.is_duplicate())?;
    }
    for n in 0..UNIVERSE {
        let said = store.outcome(id(n)).unwrap();
        let known = committed.kept(n).and_then(|kept| kept.outcome.clone());
        // At the very end of the window the check above has told which.
        equal(&format!("outcome of {n}"), &said, &known)?;
    }
    Ok(())
}

/// Another payload is a mismatch, the same one is not.
fn compare_payloads(
    store: &Store,
    committed: &Committed,
    claims: &Claims,
    mono: Duration,
) -> Result<(), String> {
    let now = committed.oracle.now();
    for n in (0..UNIVERSE).filter(|&n| claims.held(n, mono).is_none()) {
        if !matches!(committed.oracle.expected(n, now), Expected::Duplicate(_)) {
            continue;
        }
        let known = committed.kept(n).and_then(|kept| kept.payload);
        for payload in 0..2_u8 {
            let claim = store.claim().payloads(&[[payload]]).begin(&[id(n)]).unwrap();
            let differs = matches!(claim.verdicts()[0], Verdict::Mismatch { .. });
            let what = format!("mismatch of {n} with payload {payload}");
            equal(&what, &differs, &known.is_some_and(|known| known != payload))?;
        }
    }
    Ok(())
}

pub fn equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    said: &T,
    known: &T,
) -> Result<(), String> {
    if said == known {
        return Ok(());
    }
    Err(format!("{what}: the store says {said:?}, the model {known:?}"))
}
