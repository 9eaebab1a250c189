//! Public behaviour, by theme.

use firstseen::{Store, Verdict};

fn ids(range: std::ops::Range<u64>) -> Vec<[u8; 8]> {
    range.map(u64::to_le_bytes).collect()
}

#[test]
fn the_first_is_new_and_the_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let verdicts = store.check_and_insert(&["a", "b", "a", ""]).unwrap();
    assert_eq!(verdicts.iter().map(Verdict::is_new).collect::<Vec<_>>(), [true, true, false, true]);
    assert_eq!(store.contains(&["a", "c", ""]).unwrap(), [true, false, true]);
    store.close().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.contains(&["a", "c", ""]).unwrap(), [true, false, true]);
}

#[test]
fn what_was_sealed_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let builder = || Store::builder().active_ids(10_000).memory_budget(32 << 20);
    let store = builder().open(dir.path()).unwrap();
    for start in (0..200_000).step_by(1_000) {
        let verdicts = store.check_and_insert(&ids(start..start + 1_000)).unwrap();
        assert!(verdicts.iter().all(Verdict::is_new));
    }
    store.compact().unwrap();
    let stats = store.stats();
    assert_eq!(stats.ids, 200_000);
    assert!(stats.sealed >= 19, "{stats:?}");
    drop(store);
    let store = builder().open(dir.path()).unwrap();
    for start in (0..200_000).step_by(1_000) {
        let verdicts = store.check_and_insert(&ids(start..start + 1_000)).unwrap();
        assert!(verdicts.iter().all(Verdict::is_duplicate));
    }
}
