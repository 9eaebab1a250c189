//! Claims: who holds an id, until when, and what others are told.

use firstseen::{Error, LeaseEnd, Resolution, Store, Verdict};

use crate::setting::{SECOND, clock, under_all};

fn one(store: &Store, id: &str) -> Verdict {
    store.begin(&[id]).unwrap().verdicts()[0]
}

#[test]
fn in_flight_until_it_is_settled() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        store.check_and_insert(&["known"]).unwrap();
        let tx = store.begin(&["a", "b", "a", "known"]).unwrap();
        assert_eq!(tx.fresh().collect::<Vec<_>>(), [0, 1]);
        assert!(tx.verdicts()[2].is_duplicate() && tx.verdicts()[3].is_duplicate());
        assert!(store.check_and_insert(&["a"]).unwrap()[0].is_in_flight());
        assert!(one(&store, "b").is_in_flight());
        assert_eq!(store.contains(&["a"]).unwrap(), [false]);
        tx.commit().unwrap();
        assert!(one(&store, "a").is_duplicate());
        assert!(store.check_and_insert(&["b"]).unwrap()[0].is_duplicate());

        store.begin(&["c"]).unwrap().abort();
        drop(store.begin(&["c", "d"]).unwrap());
        let mut tx = store.begin(&["c", "d"]).unwrap();
        tx.release(1);
        assert!(one(&store, "d").is_new() && one(&store, "c").is_in_flight());
        tx.commit().unwrap();
        store.close().unwrap();
        let store = setting.open(dir);
        assert_eq!(store.contains(&["a", "b", "c", "d"]).unwrap(), [true, true, true, false]);
        assert_eq!(store.stats().claimed, 0);
    });
}

#[test]
fn leases_end() {
    under_all(|setting, dir| {
        let clock = clock();
        let store = setting.timed(&clock).lease(10 * SECOND).open(dir).unwrap();
        let late = store.begin(&["a", "b"]).unwrap();
        clock.advance(9 * SECOND);
        late.renew(5 * SECOND).unwrap();
        clock.advance(4 * SECOND);
        assert!(one(&store, "a").is_in_flight());
        clock.advance(SECOND);
        let next = store.begin(&["a"]).unwrap();
        assert_eq!(next.attempted_before().collect::<Vec<_>>(), [(0, late.token())]);
        assert!(next.token() > late.token());
        assert!(matches!(late.commit(), Err(Error::LeaseEnded { .. })));
        assert!(store.check_and_insert(&["b"]).unwrap()[0].is_new());
        next.commit().unwrap();
        assert!(one(&store, "a").is_duplicate());
    });
}

#[test]
fn unknown_until_it_is_resolved() {
    under_all(|setting, dir| {
        let clock = clock();
        let builder = setting.timed(&clock).lease(SECOND).lease_end(LeaseEnd::Block);
        let store = builder.open(dir).unwrap();
        let late = store.begin(&["a", "b"]).unwrap();
        let token = late.token();
        clock.advance(SECOND);
        assert_eq!(one(&store, "a"), Verdict::Unknown { token });
        drop(late);
        assert_eq!(store.check_and_insert(&["b"]).unwrap(), [Verdict::Unknown { token }]);
        assert_eq!(store.resolve(&["a", "other"], Resolution::Done).unwrap(), 1);
        assert_eq!(store.resolve(&["b"], Resolution::Retry).unwrap(), 1);
        assert!(one(&store, "a").is_duplicate() && one(&store, "b").is_new());
        store.close().unwrap();
        assert_eq!(
            setting.timed(&clock).open(dir).unwrap().contains(&["a", "b"]).unwrap(),
            [true, false]
        );
    });
}

#[test]
fn fencing_tokens_rise() {
    under_all(|setting, dir| {
        let mut last = 0;
        for round in 0..5 {
            let store = setting.open(dir);
            for _ in 0..3 {
                let token = store.begin(&["a"]).unwrap().token();
                assert!(token > last, "{token} after {last}");
                last = token;
            }
            if round % 2 == 0 {
                store.close().unwrap();
            }
        }
    });
}

#[test]
fn another_payload() {
    under_all(|setting, dir| {
        let store = setting.open(dir);
        let begin = |store: &Store, payload: &str| {
            store.claim().payloads(&[payload]).begin(&["key"]).unwrap()
        };
        let check = |store: &Store| {
            assert!(begin(store, "one").verdicts()[0].is_duplicate());
            assert!(matches!(begin(store, "two").verdicts()[0], Verdict::Mismatch { .. }));
            assert!(one(store, "key").is_duplicate());
        };
        let tx = begin(&store, "one");
        assert!(begin(&store, "one").verdicts()[0].is_in_flight());
        assert!(matches!(begin(&store, "two").verdicts()[0], Verdict::Mismatch { .. }));
        tx.commit().unwrap();
        check(&store);
        store.seal().unwrap();
        check(&store);
        store.close().unwrap();
        let store = setting.open(dir);
        check(&store);
        store.compact().unwrap();
        check(&store);
    });
}
