//! A store that another build wrote says what it said then, and goes on.

use std::path::Path;

use firstseen::testing::ManualClock;
use firstseen::{Store, Verdict, offline};

use crate::fixtures;
use crate::workload::{Fixture, MAPPED_CLOSED, answers, builder, named, of_this_build, time_of};

fn sound(dir: &Path) -> u64 {
    let verified = offline::verify(dir, &mut |damage| panic!("{damage}")).unwrap();
    assert_eq!((verified.damages, verified.torn_bytes), (0, 0));
    verified.records
}

/// Lays down a fixture and runs a test at the time at which it was left.
fn with_each(test: impl Fn(Fixture, &Path, &ManualClock, &str)) {
    for fixture in of_this_build() {
        eprintln!("with {}", fixture.name);
        let dir = tempfile::tempdir().unwrap();
        fixtures::lay(fixture.name, dir.path());
        let said = fixtures::answers(fixture.name);
        test(fixture, dir.path(), &ManualClock::new(time_of(&said)), &said);
    }
}

fn all(verdicts: Vec<Verdict>, is: fn(&Verdict) -> bool) -> bool {
    !verdicts.is_empty() && verdicts.iter().all(is)
}

#[test]
fn answers_are_those_of_then() {
    with_each(|fixture, dir, clock, said| {
        assert!(sound(dir) > 60);
        let found = offline::inspect(dir).unwrap();
        assert_eq!((found.identity, found.time_source), (fixture.identity(), fixture.time()));
        let kept = builder(clock).identity(fixture.identity()).time(fixture.time());
        let store = kept.backend(fixture.backend).open(dir).unwrap();
        assert_eq!(store.recovery().torn_bytes, 0);
        assert_eq!(answers(&store, clock), said);
        drop(store);
        let store = builder(clock).open(dir).unwrap();
        assert_eq!(answers(&store, clock), said);
    });
}

#[test]
fn it_goes_on() {
    with_each(|_, dir, clock, said| {
        let store = builder(clock).open(dir).unwrap();
        assert!(all(store.check_and_insert(&named("later", 0..500)).unwrap(), Verdict::is_new));
        store.seal().unwrap();
        assert!(all(store.check_and_insert(&named("later", 500..600)).unwrap(), Verdict::is_new));
        store.compact().unwrap();
        assert_eq!(answers(&store, clock), said);
        store.close().unwrap();
        assert!(sound(dir) > 660);

        let store = builder(clock).open(dir).unwrap();
        assert_eq!(answers(&store, clock), said);
        assert!(all(
            store.check_and_insert(&named("later", 0..600)).unwrap(),
            Verdict::is_duplicate
        ));
        settle(&store);
        drop(store);
        settled(&builder(clock).open(dir).unwrap());
        sound(dir);
    });
}

/// What was in doubt is decided, by a build that did not prepare it.
fn settle(store: &Store) {
    let [state, log] = store.in_doubt().try_into().unwrap();
    assert_eq!([state.token(), log.token()], [&b"in the log"[..], b"in the state"]);
    state.abort().unwrap();
    log.commit().unwrap();
    settled(store);
}

fn settled(store: &Store) {
    assert!(store.in_doubt().is_empty());
    assert_eq!(store.contains(&["logged-prepared", "prepared-0"]).unwrap(), [false, true]);
    assert_eq!(store.outcome("prepared-0").unwrap(), Some(vec![7; 3_000]));
    assert_eq!(store.state("prepared").unwrap().as_deref(), Some(&b"not yet"[..]));
    assert_eq!(store.progress("orders/0").unwrap(), Some(5));
}

/// Copies are made of it, in this build's way.
#[test]
fn it_can_be_copied() {
    with_each(|fixture, dir, clock, said| {
        let beside = tempfile::tempdir().unwrap();
        let [copy, moved] = ["copy", "moved"].map(|name| beside.path().join(name));
        offline::checkpoint(dir, &copy).unwrap();
        offline::migrate(&copy, &moved, fixture.backend).unwrap();
        for copy in [copy, moved] {
            sound(&copy);
            assert_eq!(answers(&builder(clock).open(&copy).unwrap(), clock), said);
        }
    });
}

/// The stream has ids, first sightings and outcomes; no progress, no state, nothing in doubt.
#[test]
fn a_stream_of_then_is_imported() {
    let said = fixtures::answers(MAPPED_CLOSED.name);
    let clock = ManualClock::new(time_of(&said));
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("imported");
    let records = offline::import(&mut fixtures::stream().as_slice(), &dir).unwrap();
    assert_eq!(records, sound(&dir));
    let store = builder(&clock).open(&dir).unwrap();
    assert!(store.sources().unwrap().is_empty() && store.in_doubt().is_empty());
    let expected: Vec<String> = said
        .lines()
        .filter(|line| !["source ", "key ", "in doubt "].iter().any(|of| line.starts_with(of)))
        .map(|line| match line.contains("with its payload") && line.contains("in flight") {
            true => line.replace("in flight", "new").replace("a mismatch", "new"),
            false => line.replace("in flight", "new"),
        })
        .collect();
    assert_eq!(answers(&store, &clock).lines().collect::<Vec<_>>(), expected);
}

/// A build without sled says so, and leaves the store alone.
#[test]
#[cfg(not(feature = "sled"))]
fn a_store_in_sled_is_left_alone() {
    use crate::workload::ALL;
    use firstseen::Error;
    for fixture in ALL.iter().filter(|fixture| fixture.backend == firstseen::Backend::Sled) {
        let dir = tempfile::tempdir().unwrap();
        fixtures::lay(fixture.name, dir.path());
        let before = fixtures::files(dir.path());
        let opened = Store::open(dir.path());
        assert!(
            matches!(opened, Err(Error::InvalidOption { option: "backend", .. })),
            "{opened:?}"
        );
        let exported = offline::export(dir.path(), &mut Vec::new());
        assert!(matches!(exported, Err(Error::InvalidOption { option: "backend", .. })));
        assert!(fixtures::files(dir.path()) == before);
    }
}
