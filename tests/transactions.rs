//! Claims, commits, progress, state, outcomes, leases and two-phase, as a user calls them.

use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{
    Builder, Clock, Error, LeaseEnd, ProcessError, Refusal, Resolution, Store, TimeSource,
    Timestamp, Verdict,
};

const DIR: &str = "/s";
const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

/// A store in memory with a clock that stands still.
struct World {
    disk: MemoryDisk,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> World {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        World { disk: MemoryDisk::new(), clock }
    }

    fn builder(&self) -> Builder {
        Store::builder()
            .window(8 * HOUR)
            .memory_budget(16 << 20)
            .active_ids(1_000)
            .background(false)
            .storage(Arc::new(self.disk.clone()))
            .clock(Arc::clone(&self.clock) as _)
    }

    fn open(&self) -> Store {
        self.builder().open(DIR).unwrap()
    }

    /// What the next process finds after this one was killed.
    fn kill(self) -> World {
        World { disk: self.disk.kill(), ..self }
    }
}

fn one(store: &Store, id: &str) -> Verdict {
    store.begin(&[id]).unwrap().verdicts()[0]
}

#[test]
fn what_is_claimed_is_in_flight_until_it_is_settled() {
    let world = World::new();
    let store = world.open();
    let tx = store.begin(&["a", "b", "a"]).unwrap();
    assert_eq!(tx.fresh().collect::<Vec<_>>(), [0, 1]);
    assert!(tx.verdicts()[2].is_duplicate());
    world.clock.advance(SECOND);
    let verdicts = store.check_and_insert(&["a", "c"]).unwrap();
    let Verdict::InFlight(claim) = verdicts[0] else { panic!("{verdicts:?}") };
    assert_eq!((claim.age(), claim.lease_left()), (SECOND, None));
    assert!(verdicts[1].is_new());
    assert!(one(&store, "b").is_in_flight());
    assert_eq!(store.contains(&["a"]).unwrap(), [false]);
    tx.commit().unwrap();
    assert!(one(&store, "a").is_duplicate());
    assert!(store.check_and_insert(&["b"]).unwrap()[0].is_duplicate());
}

#[test]
fn what_is_dropped_or_aborted_is_let_in_again() {
    let world = World::new();
    let store = world.open();
    let written = world.disk.ops();
    drop(store.begin(&["a"]).unwrap());
    store.begin(&["a"]).unwrap().abort();
    let mut tx = store.begin(&["a", "b"]).unwrap();
    tx.release(0);
    tx.release(1);
    drop(tx);
    // The one thing written is the reservation of fencing tokens.
    assert!(world.disk.ops() <= written + 10);
    assert!(store.check_and_insert(&["a"]).unwrap()[0].is_new());
    assert!(store.check_and_insert(&["b"]).unwrap()[0].is_new());
}

#[test]
fn a_commit_is_there_after_a_kill_and_after_a_seal() {
    for seal in [false, true] {
        let world = World::new();
        let store = world.open();
        let mut tx = store.begin_from("s", &[(5, "a"), (9, "b")]).unwrap();
        tx.set_outcome(1, "done");
        tx.put_state("total", 7_u64.to_le_bytes());
        tx.set_progress("other", 3);
        tx.commit().unwrap();
        let mut tx = store.begin::<&str>(&[]).unwrap();
        tx.put_state("gone", "x");
        tx.commit().unwrap();
        let mut tx = store.begin::<&str>(&[]).unwrap();
        tx.delete_state("gone");
        tx.commit().unwrap();
        if seal {
            store.seal().unwrap();
        }
        let world = world.kill();
        std::mem::forget(store);
        let store = world.open();
        assert!(one(&store, "a").is_duplicate());
        assert_eq!(store.outcome("a").unwrap(), None);
        assert_eq!(store.outcome("b").unwrap().as_deref(), Some(&b"done"[..]));
        assert_eq!(store.sources().unwrap(), [("other".into(), 3), ("s".into(), 10)]);
        assert_eq!(
            store.scan_state("").unwrap(),
            [(b"total".to_vec(), vec![7, 0, 0, 0, 0, 0, 0, 0])]
        );
        store.seal().unwrap();
        drop(store);
        let store = world.open();
        assert_eq!(store.outcome("b").unwrap().as_deref(), Some(&b"done"[..]));
        assert_eq!(store.progress("s").unwrap(), Some(10));
        assert_eq!(store.state("gone").unwrap(), None);
    }
}

#[test]
fn outcomes_expire_with_their_ids() {
    let world = World::new();
    let store = world.open();
    let mut tx = store.begin(&["a"]).unwrap();
    tx.set_outcome(0, "first");
    tx.commit().unwrap();
    store.seal().unwrap();
    world.clock.advance(9 * HOUR);
    assert_eq!(store.outcome("a").unwrap(), None);
    store.begin(&["a"]).unwrap().commit().unwrap();
    assert_eq!(store.outcome("a").unwrap(), None);
    store.compact().unwrap();
    assert_eq!(store.outcome("a").unwrap(), None);
}

#[test]
fn what_is_forgotten_loses_its_outcome() {
    for seal in [false, true] {
        let world = World::new();
        let store = world.open();
        let mut tx = store.begin(&["a"]).unwrap();
        tx.set_outcome(0, "first");
        tx.commit().unwrap();
        if seal {
            store.seal().unwrap();
        }
        store.forget(&["a"]).unwrap();
        assert_eq!(store.outcome("a").unwrap(), None);
        let tx = store.begin(&["a"]).unwrap();
        assert!(store.check_and_insert(&["a"]).unwrap()[0].is_in_flight());
        tx.commit().unwrap();
        assert_eq!(store.outcome("a").unwrap(), None, "sealed: {seal}");
        store.forget(&["a"]).unwrap();
        let mut tx = store.begin(&["a"]).unwrap();
        tx.set_outcome(0, "second");
        tx.commit().unwrap();
        let second = Some(&b"second"[..]);
        assert_eq!(store.outcome("a").unwrap().as_deref(), second);
        let world = world.kill();
        std::mem::forget(store);
        let store = world.open();
        assert_eq!(store.outcome("a").unwrap().as_deref(), second);
        store.seal().unwrap();
        assert_eq!(store.outcome("a").unwrap().as_deref(), second);
    }
}

#[test]
fn another_payload_is_a_mismatch_wherever_the_first_one_is() {
    let world = World::new();
    let store = world.open();
    let begin = |payload: &str| store.claim().payloads(&[payload]).begin(&["key"]).unwrap();
    let tx = begin("one");
    assert!(begin("one").verdicts()[0].is_in_flight());
    assert!(matches!(begin("two").verdicts()[0], Verdict::Mismatch { .. }));
    tx.commit().unwrap();
    let check = || {
        assert!(begin("one").verdicts()[0].is_duplicate());
        assert!(matches!(begin("two").verdicts()[0], Verdict::Mismatch { .. }));
        assert!(one(&store, "key").is_duplicate());
    };
    check();
    store.seal().unwrap();
    check();
    let twice = store.claim().payloads(&["x", "y"]).begin(&["new", "new"]).unwrap();
    assert!(matches!(twice.verdicts()[1], Verdict::Mismatch { .. }));
    assert!(matches!(store.claim().payloads(&["x"]).begin(&["a", "b"]), Err(Error::Misuse(_))));
}

#[test]
fn progress_never_goes_back_unless_by_name() {
    let world = World::new();
    let store = world.open();
    let set = |next: u64| {
        let mut tx = store.begin::<&str>(&[])?;
        tx.set_progress("s", next);
        tx.commit()
    };
    set(10).unwrap();
    set(10).unwrap();
    let refused = set(9).unwrap_err();
    assert!(
        matches!(refused, Error::Refused(Refusal::Backwards { at: 10, to: 9, .. })),
        "{refused}"
    );
    let mut tx = store.begin::<&str>(&[]).unwrap();
    tx.rewind_progress("s", 4);
    tx.commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(4));
}

#[test]
fn progress_stops_before_what_is_not_settled() {
    let world = World::new();
    let store = world.open();
    let elsewhere = store.begin(&["b"]).unwrap();
    let tx = store.begin_from("s", &[(0, "a"), (1, "b"), (2, "c")]).unwrap();
    assert!(tx.verdicts()[1].is_in_flight());
    tx.commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(1));
    drop(elsewhere);
    let tx = store.begin_from("s", &[(1, "b"), (2, "c"), (3, "d")]).unwrap();
    assert_eq!(tx.fresh().collect::<Vec<_>>(), [0, 2]);
    let later = store.begin_from("s", &[(4, "e")]).unwrap();
    later.commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(1));
    tx.commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(5));
}

#[test]
fn a_batch_that_was_rolled_back_holds_progress() {
    let world = World::new();
    let store = world.open();
    store.begin_from("s", &[(0, "a")]).unwrap().abort();
    store.begin_from("s", &[(1, "b")]).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), None);
    store.begin_from("s", &[(0, "a"), (1, "b")]).unwrap().commit().unwrap();
    assert_eq!(store.progress("s").unwrap(), Some(2));
}

#[test]
fn a_lost_update_is_refused() {
    let world = World::new();
    let store = world.open();
    let mut a = store.begin(&["a"]).unwrap();
    let mut b = store.begin(&["b"]).unwrap();
    assert_eq!(a.state("n").unwrap(), None);
    assert_eq!(b.state("n").unwrap(), None);
    a.put_state("n", "1");
    b.put_state("n", "1");
    assert_eq!(b.state("n").unwrap().as_deref(), Some(&b"1"[..]));
    a.commit().unwrap();
    assert!(matches!(b.commit(), Err(Error::Refused(Refusal::Conflict { .. }))));
    assert!(one(&store, "b").is_new());
    assert_eq!(store.state("n").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn whoever_outlives_its_lease_is_refused_and_harms_nobody() {
    let world = World::new();
    let store = world.builder().lease(10 * SECOND).open(DIR).unwrap();
    let late = store.begin(&["a", "b"]).unwrap();
    world.clock.advance(9 * SECOND);
    late.renew(5 * SECOND).unwrap();
    world.clock.advance(4 * SECOND);
    assert!(one(&store, "a").is_in_flight());
    world.clock.advance(SECOND);
    let next = store.begin(&["a"]).unwrap();
    assert!(next.verdicts()[0].is_new());
    assert_eq!(next.attempted_before().collect::<Vec<_>>(), [(0, late.token())]);
    assert!(next.token() > late.token());
    assert!(matches!(late.renew(SECOND), Err(Error::LeaseEnded { .. })));
    assert!(matches!(late.commit(), Err(Error::LeaseEnded { .. })));
    assert!(one(&store, "a").is_in_flight());
    assert!(store.check_and_insert(&["b"]).unwrap()[0].is_new());
    next.commit().unwrap();
    assert!(one(&store, "a").is_duplicate());
}

#[test]
fn ids_of_unknown_outcome_are_held_back_until_they_are_resolved() {
    let world = World::new();
    let builder = world.builder().lease(SECOND).lease_end(LeaseEnd::Block);
    let store = builder.open(DIR).unwrap();
    let late = store.begin(&["a", "b"]).unwrap();
    let token = late.token();
    world.clock.advance(SECOND);
    assert_eq!(one(&store, "a"), Verdict::Unknown { token });
    drop(late);
    assert_eq!(store.check_and_insert(&["a"]).unwrap(), [Verdict::Unknown { token }]);
    assert_eq!(store.resolve(&["a", "other"], Resolution::Done).unwrap(), 1);
    assert_eq!(store.resolve(&["b"], Resolution::Retry).unwrap(), 1);
    assert_eq!(store.resolve(&["a", "b"], Resolution::Retry).unwrap(), 0);
    assert!(one(&store, "a").is_duplicate());
    assert!(one(&store, "b").is_new());
}

#[test]
fn fencing_tokens_rise_across_reopening() {
    let mut world = World::new();
    let mut last = 0;
    for _ in 0..3 {
        let store = world.open();
        for _ in 0..3 {
            let token = store.begin(&["a"]).unwrap().token();
            assert!(token > last);
            last = token;
        }
        world = world.kill();
        std::mem::forget(store);
    }
}

#[test]
fn what_is_prepared_survives_and_is_settled_once() {
    for (commit, seal) in [(true, false), (true, true), (false, false), (false, true)] {
        let world = World::new();
        let store = world.open();
        let mut tx = store.begin_from("s", &[(0, "a"), (1, "b")]).unwrap();
        tx.put_state("k", "v");
        tx.set_outcome(0, "receipt");
        let fence = tx.token();
        let prepared = tx.prepare("t1").unwrap();
        assert!(one(&store, "a").is_in_flight());
        assert_eq!(store.state("k").unwrap(), None);
        if seal {
            store.seal().unwrap();
        }
        let world = world.kill();
        std::mem::forget((prepared, store));
        let store = world.open();
        let [prepared] = store.in_doubt().try_into().unwrap();
        assert_eq!((prepared.token(), prepared.fence()), (&b"t1"[..], fence));
        assert_eq!(prepared.ids(), [b"a".to_vec(), b"b".to_vec()]);
        assert!(store.check_and_insert(&["b"]).unwrap()[0].is_in_flight());
        let again = prepared.clone();
        let mut other = store.begin::<&str>(&[]).unwrap();
        other.put_state("k", "w");
        assert!(matches!(other.commit(), Err(Error::Refused(Refusal::Locked { .. }))));
        assert!(matches!(
            store.begin(&["z"]).unwrap().prepare("t1"),
            Err(Error::Refused(Refusal::AlreadyPrepared { .. }))
        ));
        if commit {
            prepared.commit().unwrap();
        } else {
            prepared.abort().unwrap();
        }
        assert!(matches!(again.clone().commit(), Err(Error::NotPrepared { .. })));
        assert!(matches!(again.abort(), Err(Error::NotPrepared { .. })));
        if seal {
            store.seal().unwrap();
        }
        let world = world.kill();
        std::mem::forget(store);
        let store = world.open();
        assert!(store.in_doubt().is_empty());
        assert_eq!(one(&store, "a").is_duplicate(), commit);
        assert_eq!(store.outcome("a").unwrap().is_some(), commit);
        assert_eq!(store.progress("s").unwrap(), commit.then_some(2));
        assert_eq!(store.state("k").unwrap().is_some(), commit);
    }
}

#[test]
fn a_failing_record_does_not_take_the_others_with_it() {
    let world = World::new();
    let store = world.open();
    let records = [(0, "a"), (1, "b"), (2, "c")];
    let run = |poison: Option<&str>| {
        store.process_once("s", &records, |step, record| {
            let n = step.state("n").unwrap().map_or(0, |n| n[0]);
            step.put_state("n", [n + 1]);
            if Some(record.1) == poison { Err("bad") } else { Ok(()) }
        })
    };
    let failed = run(Some("b")).unwrap_err();
    assert!(matches!(failed, ProcessError::Work { index: 1, source: "bad" }), "{failed}");
    assert_eq!(store.progress("s").unwrap(), Some(1));
    assert_eq!(store.state("n").unwrap(), Some(vec![1]));
    let done = run(None).unwrap();
    assert_eq!(done.progress, Some(3));
    assert_eq!(done.verdicts[0], Verdict::Replay { progress: 1 });
    assert_eq!(store.state("n").unwrap(), Some(vec![3]));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.process_once("s", &[(3, "d"), (4, "e")], |_, record| {
            if record.1 == "e" { panic!("worker") } else { Ok::<(), Error>(()) }
        })
    }));
    assert!(panicked.is_err());
    assert!(one(&store, "d").is_new());
    assert_eq!(store.progress("s").unwrap(), Some(3));
}

#[test]
fn what_is_too_much_is_refused_and_frees_the_ids() {
    let world = World::new();
    let store = world.open();
    let refuse = |change: &dyn Fn(&mut firstseen::Claim)| {
        let mut tx = store.begin(&["a"]).unwrap();
        change(&mut tx);
        let error = tx.commit().unwrap_err();
        assert!(one(&store, "a").is_new());
        error
    };
    let too_large = |error| matches!(error, Error::Refused(Refusal::TooLarge { .. }));
    assert!(too_large(refuse(&|tx| tx.set_outcome(0, vec![0; (1 << 20) + 1]))));
    assert!(too_large(refuse(&|tx| tx.put_state(vec![0; 1025], "x"))));
    assert!(too_large(refuse(&|tx| {
        (0..17_u8).for_each(|key| tx.put_state([key], vec![0; 1 << 20]));
    })));
    assert!(matches!(refuse(&|tx| tx.set_outcome(7, "x")), Error::Misuse(_)));
    assert!(matches!(store.begin(&vec!["a"; 65_537]), Err(Error::Misuse(_))));
    let backwards = store.begin_from("s", &[(1, "a"), (1, "b")]);
    assert!(matches!(backwards, Err(Error::Misuse(_))));
    for key in 0..63_u8 {
        let mut tx = store.begin::<&str>(&[]).unwrap();
        tx.put_state([key], vec![0; 1 << 20]);
        tx.commit().unwrap();
    }
    let mut tx = store.begin::<&str>(&[]).unwrap();
    tx.put_state("more", vec![0; 1 << 20]);
    assert!(matches!(tx.commit(), Err(Error::Refused(Refusal::StateFull { .. }))));
}

#[test]
fn each_record_of_a_claim_is_judged_at_its_own_time() {
    let world = World::new();
    let store = world.builder().time(TimeSource::Event).open(DIR).unwrap();
    let noon = world.clock.wall() - 48 * HOUR;
    store.check_and_insert_at(&["before"], noon).unwrap();

    let records = [(0, "before"), (1, "a"), (2, "before"), (3, "late"), (4, "b"), (5, "a")];
    let hours = [1, 2, 9, 0, 3, 9];
    let times = hours.map(|hours| noon + HOUR * hours);
    let tx = store.claim().times(&times).begin_from("events", &records).unwrap();
    let ids = records.map(|(_, id)| id);
    let (mut looked, at) = (Vec::new(), noon + 9 * HOUR);
    store.check_timed(&ids, &times, &mut looked).unwrap();
    assert!(matches!(
        tx.verdicts(),
        [
            Verdict::Duplicate { .. },
            Verdict::New,
            Verdict::New, // by then its window has passed
            Verdict::Late { .. },
            Verdict::New,
            Verdict::Duplicate { .. },
        ]
    ));
    assert_eq!((tx.verdicts()[0], tx.verdicts()[3]), (looked[0], looked[3]));
    tx.commit().unwrap();

    // The commit has moved store time to the latest of them, also for whoever opens it next.
    let check = |store: &Store| {
        assert_eq!(store.progress("events").unwrap(), Some(6));
        let Verdict::Duplicate { first_seen } = store.check_and_insert(&["b"]).unwrap()[0] else {
            panic!("it was committed");
        };
        assert!(first_seen <= at && at < first_seen + HOUR / 100, "{first_seen}");
        assert!(store.check_and_insert_at(&["early"], noon).unwrap()[0].is_late());
    };
    check(&store);
    store.close().unwrap();
    check(&world.builder().open(DIR).unwrap());
}

#[test]
fn a_claim_with_more_or_fewer_times_than_ids_is_misuse() {
    let world = World::new();
    let store = world.open();
    let now = world.clock.wall();
    for times in [&[][..], &[now], &[now; 3]] {
        let refused = store.claim().times(times).begin(&["a", "b"]);
        assert!(matches!(refused, Err(Error::Misuse(_))), "{} times", times.len());
        let refused = store.claim().times(times).begin_from("s", &[(0, "a"), (1, "b")]);
        assert!(matches!(refused, Err(Error::Misuse(_))), "{} times", times.len());
    }
    // With the system's clock too an event from before the window is late, and moves nothing.
    let times = [now - 9 * HOUR, now - HOUR];
    let tx = store.claim().times(&times).begin(&["a", "b"]).unwrap();
    assert!(matches!(tx.verdicts(), [Verdict::Late { .. }, Verdict::New]));
    assert_eq!(tx.fresh().collect::<Vec<_>>(), [1]);
}
