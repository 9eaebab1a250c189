//! Commits: what is kept with ids, in one step, wherever it lies and whoever opens the store.

use std::path::Path;

use firstseen::{Error, Refusal, Store, Verdict};

use crate::setting::{Setting, under_all};

/// Longer than any piece in which a backend keeps values.
fn long(n: u64) -> Vec<u8> {
    (0..300_000_u32).map(|i| ((u64::from(i) * (n + 3)) >> 5) as u8).collect()
}

fn short(n: u64) -> Vec<u8> {
    format!("receipt {n}").into_bytes()
}

fn name(n: u64) -> String {
    format!("order-{n}")
}

/// Commits 20 records, of which every third has a short outcome and every seventh a long one.
fn commit(store: &Store, from: u64) {
    let records: Vec<_> = (from..from + 20).map(|n| (n, name(n))).collect();
    let mut tx = store.begin_from("orders", &records).unwrap();
    assert_eq!(tx.fresh().count(), 20);
    for i in tx.fresh() {
        match from + i as u64 {
            n if n % 7 == 0 => tx.set_outcome(i, long(n)),
            n if n % 3 == 0 => tx.set_outcome(i, short(n)),
            _ => {}
        }
    }
    tx.put_state("last", (from + 20).to_le_bytes());
    tx.put_state(format!("batch-{}", from / 20), "done");
    if from >= 40 {
        tx.delete_state(format!("batch-{}", from / 20 - 2));
    }
    tx.commit().unwrap();
}

fn check(store: &Store, to: u64) {
    for n in 0..to {
        let expected = match n {
            n if n % 7 == 0 => Some(long(n)),
            n if n % 3 == 0 => Some(short(n)),
            _ => None,
        };
        assert!(store.outcome(name(n)).unwrap() == expected, "outcome of {n} of {to}");
        assert_eq!(store.contains(&[name(n)]).unwrap(), [true]);
    }
    assert_eq!(store.outcome(name(to)).unwrap(), None);
    assert_eq!(store.progress("orders").unwrap(), Some(to));
    assert_eq!(store.state("last").unwrap(), Some(to.to_le_bytes().to_vec()));
    let batches =
        (to / 20 - 2..to / 20).map(|n| (format!("batch-{n}").into_bytes(), b"done".into()));
    let mut batches: Vec<(Vec<u8>, Vec<u8>)> = batches.collect();
    batches.sort_unstable();
    assert_eq!(store.scan_state("batch-").unwrap(), batches);
    let again = store.begin_from("orders", &[(to - 1, name(to - 1)), (to, name(0))]).unwrap();
    assert_eq!(again.verdicts()[0], Verdict::Replay { progress: to });
    assert!(again.verdicts()[1].is_duplicate());
}

#[test]
fn kept_wherever_it_lies() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        (0..60).step_by(20).for_each(|from| commit(&store, from));
        check(&store, 60);
        store.seal().unwrap();
        check(&store, 60);
        commit(&store, 60);
        store.seal().unwrap();
        commit(&store, 80);
        store.compact().unwrap();
        check(&store, 100);
        commit(&store, 100);
        store.close().unwrap();
        let store = setting.open(dir);
        check(&store, 120);
        // Enough ids that tables are sealed and runs merged once more.
        for from in (0..10_000).step_by(1_000) {
            let ids: Vec<String> = (from..from + 1_000).map(|n| format!("other-{n}")).collect();
            assert!(store.check_and_insert(&ids).unwrap().iter().all(Verdict::is_new));
        }
        store.compact().unwrap();
        check(&store, 120);
        assert_eq!(store.forget(&[name(0), name(3)]).unwrap(), 2);
        assert_eq!(store.outcome(name(0)).unwrap(), None);
        let mut tx = store.begin(&[name(3)]).unwrap();
        tx.set_outcome(0, "second");
        tx.commit().unwrap();
        store.compact().unwrap();
        assert_eq!(store.outcome(name(3)).unwrap().as_deref(), Some(&b"second"[..]));
        assert_eq!(store.outcome(name(7)).unwrap(), Some(long(7)));
    });
}

#[test]
fn in_any_order() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        let elsewhere = store.begin(&["b"]).unwrap();
        let tx = store.begin_from("s", &[(0, "a"), (1, "b"), (2, "c")]).unwrap();
        assert!(tx.verdicts()[1].is_in_flight());
        tx.commit().unwrap();
        assert_eq!(store.progress("s").unwrap(), Some(1), "not past what is in flight");
        drop(elsewhere);
        let tx = store.begin_from("s", &[(1, "b"), (2, "c"), (3, "d")]).unwrap();
        store.begin_from("s", &[(4, "e")]).unwrap().commit().unwrap();
        assert_eq!(store.progress("s").unwrap(), Some(1));
        tx.commit().unwrap();
        assert_eq!(store.progress("s").unwrap(), Some(5));
        let mut tx = store.begin::<&str>(&[]).unwrap();
        tx.set_progress("s", 4);
        assert!(matches!(tx.commit(), Err(Error::Refused(Refusal::Backwards { .. }))));
        store.close().unwrap();
        assert_eq!(setting.open(dir).progress("s").unwrap(), Some(5));
    });
}

/// Prepares under `token`: two records, a key, an outcome.
fn prepare(store: &Store, token: &str) -> u64 {
    let ids = [format!("{token}-0"), format!("{token}-1")];
    let mut tx = store.begin_from(token, &[(0, &ids[0]), (1, &ids[1])]).unwrap();
    tx.put_state(token, "v");
    tx.set_outcome(0, long(5));
    let fence = tx.token();
    let prepared = tx.prepare(token).unwrap();
    assert_eq!(prepared.ids().len(), 2);
    fence
}

fn settled(setting: Setting, dir: &Path, seal: bool) -> Store {
    let store = setting.open(dir);
    let fences = [prepare(&store, "no"), prepare(&store, "yes")];
    if seal {
        store.seal().unwrap();
    }
    drop(store);
    let store = setting.open(dir);
    let [no, yes] = store.in_doubt().try_into().unwrap();
    assert_eq!((no.token(), yes.token()), (&b"no"[..], &b"yes"[..]));
    assert_eq!([no.fence(), yes.fence()], fences);
    assert_eq!(yes.ids(), [b"yes-0".to_vec(), b"yes-1".to_vec()]);
    assert!(store.check_and_insert(&["no-0"]).unwrap()[0].is_in_flight());
    let mut other = store.begin::<&str>(&[]).unwrap();
    other.put_state("yes", "w");
    assert!(matches!(other.commit(), Err(Error::Refused(Refusal::Locked { .. }))));
    let again = yes.clone();
    yes.commit().unwrap();
    no.abort().unwrap();
    assert!(matches!(again.abort(), Err(Error::NotPrepared { .. })));
    store
}

#[test]
fn in_two_phases() {
    under_all(|setting, dir| {
        for seal in [false, true] {
            let dir = dir.join(seal.to_string());
            let store = settled(setting, &dir, seal);
            if seal {
                store.compact().unwrap();
            }
            store.close().unwrap();
            let store = setting.open(&dir);
            assert!(store.in_doubt().is_empty());
            assert_eq!(store.contains(&["yes-0", "no-0"]).unwrap(), [true, false]);
            assert!(store.outcome("yes-0").unwrap() == Some(long(5)));
            assert_eq!(store.sources().unwrap(), [("yes".to_owned(), 2)]);
            assert_eq!(
                (store.state("yes").unwrap().is_some(), store.state("no").unwrap()),
                (true, None)
            );
        }
    });
}
