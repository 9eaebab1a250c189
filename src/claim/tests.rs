//! What a claim promises, one caller at a time.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::{Claims, Held, Mono, Refusal, Settlement, Take, Ticket, wait_until};
use crate::config::LeaseEnd;
use crate::key::Fingerprint;
use crate::sync::Arc;
use crate::testing::ManualClock;
use crate::time::Timestamp;

const LEASE: Duration = Duration::from_secs(10);
const PAYLOAD: Option<Fingerprint> = Some(Fingerprint::from_u128(77));

/// A uniform fingerprint, as an identity would give.
fn id(n: u64) -> Fingerprint {
    let hash = xxhash_rust::xxh3::xxh3_128(&n.to_le_bytes());
    Fingerprint::from_u128(hash)
}

fn at(secs: u64) -> Mono {
    Mono::from_micros(secs * 1_000_000)
}

fn open(token: u64, lease: Option<Duration>, on_end: LeaseEnd) -> Arc<Ticket> {
    Arc::new(Ticket::new(token, at(0), lease, on_end))
}

fn take(claims: &Claims, n: u64, ticket: &Arc<Ticket>, now: Mono) -> Take<()> {
    claims.take(id(n), ticket, PAYLOAD, now, || None)
}

const CLAIMED: Take<()> = Take::Claimed { after: None };

#[test]
fn a_claim_bars_others_until_it_is_given_back() {
    let claims = Claims::new();
    let (own, other) = (open(1, None, LeaseEnd::Rerun), open(2, None, LeaseEnd::Rerun));
    assert_eq!(take(&claims, 5, &own, at(0)), CLAIMED);
    let held =
        Held::InFlight { token: 1, age: Duration::from_secs(3), left: None, payload: PAYLOAD };
    assert_eq!(claims.look(id(5), at(3)), Some(held));
    assert_eq!(take(&claims, 5, &other, at(3)), Take::Held(held));
    assert_eq!(claims.admit(id(5), at(3), || panic!("held")), Err::<(), _>(held));
    assert_eq!(claims.look(id(6), at(3)), None);
    assert_eq!(claims.admit(id(6), at(3), || "inserted"), Ok("inserted"));

    claims.give_back(&[id(5), id(6)], &other);
    assert_eq!(claims.len(), 1);
    own.settle();
    claims.give_back(&[id(5), id(6)], &own);
    assert!(claims.is_empty());
    assert_eq!(take(&claims, 5, &other, at(3)), CLAIMED);
}

#[test]
fn an_id_that_is_known_or_ones_own_is_not_claimed_again() {
    let claims = Claims::new();
    let own = open(1, None, LeaseEnd::Rerun);
    let taken = claims.take(id(1), &own, None, at(0), || Some("seen"));
    assert_eq!((taken, claims.len()), (Take::Known("seen"), 0));
    take(&claims, 1, &own, at(0));
    let taken: Take<()> = claims.take(id(1), &own, None, at(0), || panic!("not asked"));
    assert_eq!((taken, claims.len()), (Take::Own { payload: PAYLOAD }, 1));
}

#[test]
fn a_settled_ticket_holds_nothing() {
    let claims = Claims::new();
    let (own, other) = (open(1, None, LeaseEnd::Block), open(2, None, LeaseEnd::Block));
    (0..100).for_each(|n| assert_eq!(take(&claims, n, &own, at(0)), CLAIMED));
    own.settle();
    assert_eq!(claims.look(id(1), at(0)), None);
    assert!(claims.holder(id(1)).is_none());
    assert_eq!(take(&claims, 1, &other, at(0)), CLAIMED);
    assert_eq!(claims.admit(id(2), at(0), || 2), Ok(2));
    claims.give_back(&(0..100).map(id).collect::<Vec<_>>(), &own);
    assert_eq!(claims.len(), 1);
    assert!(Arc::ptr_eq(&claims.holder(id(1)).unwrap(), &other));
}

#[test]
fn after_the_lease_the_next_gets_the_id_and_is_told() {
    let claims = Claims::new();
    let (own, next) = (open(1, Some(LEASE), LeaseEnd::Rerun), open(2, None, LeaseEnd::Rerun));
    (0..3).for_each(|n| assert_eq!(take(&claims, n, &own, at(0)), CLAIMED));
    let left = |held| match held {
        Some(Held::InFlight { left, .. }) => left,
        _ => None,
    };
    assert_eq!(left(claims.look(id(0), at(9))), Some(Duration::from_secs(1)));
    assert!(matches!(take(&claims, 0, &next, at(9)), Take::Held(Held::InFlight { .. })));

    // Looking changes nothing, so the holder is still in time by its own clock.
    assert_eq!(claims.look(id(0), at(10)), None);
    assert!(!own.is_over());
    assert_eq!(take(&claims, 0, &next, at(10)), Take::Claimed { after: Some(1) });
    assert_eq!(claims.admit(id(1), at(10), || "inserted"), Ok("inserted"));

    // The late finisher is refused, whatever its clock says, and harms nobody.
    let by = Duration::from_secs(5);
    assert_eq!(own.start_settling(at(15)), Err(Refusal::Ended { by }));
    assert_eq!(own.start_settling(at(9)), Err(Refusal::Ended { by: Duration::ZERO }));
    assert_eq!(own.renew(at(15), LEASE), Err(Refusal::Ended { by }));
    own.settle();
    claims.give_back(&[id(0), id(1), id(2)], &own);
    assert_eq!(claims.len(), 1);
    assert!(Arc::ptr_eq(&claims.holder(id(0)).unwrap(), &next));
}

#[test]
fn a_blocked_id_stays_so_until_it_is_resolved() {
    let claims = Claims::new();
    let (own, next) = (open(1, Some(LEASE), LeaseEnd::Block), open(2, None, LeaseEnd::Block));
    take(&claims, 0, &own, at(0));
    take(&claims, 1, &own, at(0));
    let resolver = Arc::new(Ticket::new(9, at(0), None, LeaseEnd::Block));
    assert_eq!(claims.hand_over(id(0), &resolver, at(9)), None);
    let unknown = Held::Unknown { token: 1, age: LEASE, payload: PAYLOAD };
    assert_eq!(claims.look(id(0), at(10)), Some(unknown));
    assert_eq!(take(&claims, 0, &next, at(10)), Take::Held(unknown));
    assert_eq!(claims.admit(id(0), at(10), || ()), Err(unknown));
    assert!(claims.holder(id(0)).is_none());

    // What became of it is as unknown after the late finisher has gone.
    assert!(own.start_settling(at(10)).is_err());
    own.settle();
    claims.give_back(&[id(0), id(1)], &own);
    assert_eq!(claims.look(id(0), at(10)), Some(unknown));

    assert_eq!(claims.hand_over(id(0), &resolver, at(11)), Some(1));
    assert_eq!(claims.hand_over(id(0), &resolver, at(11)), None);
    claims.give_back(&[id(0)], &resolver);
    assert_eq!(take(&claims, 0, &next, at(11)), CLAIMED);
    assert_eq!(claims.len(), 2);
}

#[test]
fn a_renewed_lease_lasts_longer_and_never_shorter() {
    let ticket = open(1, Some(LEASE), LeaseEnd::Rerun);
    assert_eq!(ticket.renew(at(5), Duration::from_secs(1)), Ok(()));
    assert_eq!(ticket.left(at(5)), Some(Duration::from_secs(5)));
    assert_eq!(ticket.renew(at(9), LEASE), Ok(()));
    assert!(!ticket.end_if_over(at(18)));
    assert!(ticket.end_if_over(at(19)));
    assert!(ticket.end_if_over(at(0)));
    assert!(ticket.renew(at(1), LEASE).is_err());

    let endless = open(2, None, LeaseEnd::Rerun);
    assert_eq!((endless.renew(at(5), LEASE), endless.left(at(5))), (Ok(()), None));
    let endless = open(3, Some(Duration::MAX), LeaseEnd::Rerun);
    assert!(!endless.end_if_over(Mono::from_micros(u64::MAX - 1)));
}

#[test]
fn once_settling_began_the_lease_cannot_end() {
    let claims = Claims::new();
    let (own, next) = (open(1, Some(LEASE), LeaseEnd::Rerun), open(2, None, LeaseEnd::Rerun));
    take(&claims, 0, &own, at(0));
    own.start_settling(at(9)).unwrap();
    assert_eq!(own.start_settling(at(9)), Err(Refusal::Settled));
    assert!(!own.end_if_over(at(99)));
    own.mark_prepared();
    assert!(!own.end_if_over(at(99)));
    assert_eq!(own.renew(at(99), LEASE), Ok(()));
    let held = Held::InFlight { token: 1, age: at(99).since(at(0)), left: None, payload: PAYLOAD };
    assert_eq!(take(&claims, 0, &next, at(99)), Take::Held(held));

    // The word could not be written, so it is in doubt again; then it can be.
    own.start_settling(at(99)).unwrap();
    own.mark_prepared();
    own.start_settling(at(99)).unwrap();
    own.settle();
    assert!(own.is_over());
    assert_eq!(own.start_settling(at(99)), Err(Refusal::Settled));
    assert_eq!(own.renew(at(99), LEASE), Err(Refusal::Settled));
}

#[test]
fn a_lease_counts_from_the_token_on() {
    let claims = Claims::new();
    let lease = Some(Duration::from_secs(10));
    let slow = Arc::new(Ticket::claiming(at(0), lease, LeaseEnd::Rerun));
    take(&claims, 0, &slow, at(0));
    let other = open(1, None, LeaseEnd::Rerun);
    assert!(matches!(take(&claims, 0, &other, at(99)), Take::Held(Held::InFlight { .. })));
    slow.number(2, at(99), lease);
    assert_eq!((slow.token(), slow.left(at(100))), (2, Some(Duration::from_secs(9))));
    assert!(matches!(take(&claims, 0, &other, at(108)), Take::Held(Held::InFlight { .. })));
    assert_eq!(take(&claims, 0, &other, at(109)), Take::Claimed { after: Some(2) });
}

#[test]
fn what_was_prepared_is_held_again_after_recovery() {
    let claims = Claims::new();
    let found = Arc::new(Ticket::recovered(9, at(0)));
    claims.restore(id(1), &found, PAYLOAD);
    claims.restore(id(1), &found, PAYLOAD);
    assert_eq!(claims.len(), 1);
    let other = open(10, None, LeaseEnd::Rerun);
    assert!(matches!(
        take(&claims, 1, &other, at(99)),
        Take::Held(Held::InFlight { token: 9, left: None, payload: PAYLOAD, .. })
    ));
    found.start_settling(at(99)).unwrap();
    assert_eq!(found.token(), 9);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(settlement: &mut Settlement, count: &std::sync::Arc<Count>) -> Poll<()> {
    let waker = Waker::from(std::sync::Arc::clone(count));
    Pin::new(settlement).poll(&mut Context::from_waker(&waker))
}

fn is_send_and_static<T: Send + 'static>(_: &T) {}

#[test]
fn a_settlement_wakes_its_last_waker_once_and_leaves_nothing_behind() {
    let claims = Claims::new();
    let ticket = open(1, None, LeaseEnd::Rerun);
    let (first, second) = (std::sync::Arc::new(Count::default()), std::sync::Arc::default());
    let (mut stays, _) = claims.settlement(&ticket);
    let (mut goes, _) = claims.settlement(&ticket);
    is_send_and_static(&stays);
    for _ in 0..3 {
        assert!(poll(&mut goes, &first).is_pending() && poll(&mut stays, &first).is_pending());
    }
    assert_eq!(std::sync::Arc::strong_count(&first), 3);
    assert!(poll(&mut stays, &second).is_pending());
    drop(goes);
    assert_eq!(std::sync::Arc::strong_count(&first), 1);

    ticket.settle();
    ticket.settle();
    assert_eq!(second.0.load(Ordering::SeqCst), 1);
    assert!(poll(&mut stays, &second).is_ready() && poll(&mut stays, &second).is_ready());
    let (mut late, unheard) = claims.settlement(&ticket);
    assert!(poll(&mut late, &first).is_ready() && !unheard);
}

#[test]
fn upkeep_ends_the_leases_that_somebody_waits_for() {
    let claims = Claims::new();
    let count = std::sync::Arc::new(Count::default());
    let [long, short, unwaited] = [20, 10, 1].map(|secs| {
        let lease = Duration::from_secs(secs);
        open(secs, Some(lease), LeaseEnd::Block)
    });
    let (mut on_long, unheard) = claims.settlement(&long);
    assert!(unheard && poll(&mut on_long, &count).is_pending());
    let (mut on_short, unheard) = claims.settlement(&short);
    assert!(unheard && poll(&mut on_short, &count).is_pending());
    let (again, unheard) = claims.settlement(&short);
    assert!(!unheard);
    drop(again);

    assert_eq!(claims.wake_ended(at(5)), Some(at(10)));
    assert_eq!(claims.wake_ended(at(10)), Some(at(20)));
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert!(poll(&mut on_short, &count).is_ready() && poll(&mut on_long, &count).is_pending());
    assert!(!unwaited.is_over());

    // Nobody waits any more: it is not looked after, until somebody does again.
    drop(on_long);
    assert_eq!(claims.wake_ended(at(15)), None);
    let (_on_long, unheard) = claims.settlement(&long);
    assert!(unheard);
    assert_eq!(claims.wake_ended(at(15)), Some(at(20)));
    long.start_settling(at(15)).unwrap();
    assert_eq!(claims.wake_ended(at(30)), None);
}

#[test]
fn taking_over_wakes_whoever_waited_for_the_ended_ticket() {
    let claims = Claims::new();
    let count = std::sync::Arc::new(Count::default());
    for (n, on_end) in [(0, LeaseEnd::Rerun), (1, LeaseEnd::Block)] {
        let own = open(n, Some(LEASE), on_end);
        take(&claims, n, &own, at(0));
        let (mut settlement, _) = claims.settlement(&claims.holder(id(n)).unwrap());
        assert!(poll(&mut settlement, &count).is_pending());
        take(&claims, n, &open(9, None, on_end), at(10));
        assert_eq!(count.0.load(Ordering::SeqCst) as u64, n + 1);
        assert!(poll(&mut settlement, &count).is_ready());
    }
}

#[test]
fn a_thread_waits_until_the_ticket_is_over_or_its_patience_is() {
    let clock = ManualClock::new(Timestamp::MIN);
    let soon = || Some(Instant::now() + Duration::from_millis(5));
    let ticket = open(1, Some(LEASE), LeaseEnd::Rerun);
    assert!(!wait_until(&ticket, &clock, soon()));

    let other = open(2, None, LeaseEnd::Rerun);
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(wait_until(&other, &clock, None)));
        scope.spawn(|| assert!(wait_until(&other, &clock, None)));
        other.settle();
    });

    // Nobody ends the lease but the clock.
    clock.advance(LEASE);
    assert!(wait_until(&ticket, &clock, None));
    assert!(ticket.is_over());
}

#[test]
fn idle_claims_cost_a_bounded_number_of_bytes() {
    const CLAIMS: u64 = 10_000;
    let claims = Claims::new();
    assert_eq!(claims.look(id(0), at(0)), None);
    claims.give_back(&[id(0)], &open(0, None, LeaseEnd::Rerun));
    assert_eq!(claims.memory(), 0);
    let tickets: Vec<_> = (0..CLAIMS).map(|n| open(n, None, LeaseEnd::Rerun)).collect();
    for (n, ticket) in (0..).zip(&tickets) {
        assert_eq!(take(&claims, n, ticket, at(0)), CLAIMED);
    }
    assert_eq!(claims.len() as u64, CLAIMS);
    // A ticket's allocation has two counts beside it.
    let ticket = size_of::<Ticket>() + 16;
    let bytes = claims.memory() / CLAIMS as usize + ticket;
    assert!(ticket <= 128 && bytes < 320, "{bytes} bytes a claim, {ticket} of them the ticket");
}

#[test]
fn what_many_claims_took_is_given_back() {
    const CLAIMS: u64 = 1 << 18;
    let claims = Claims::new();
    let own = open(1, None, LeaseEnd::Rerun);
    (0..CLAIMS).for_each(|n| assert_eq!(take(&claims, n, &own, at(0)), CLAIMED));
    let full = claims.memory();
    claims.give_back(&(0..CLAIMS).map(id).collect::<Vec<_>>(), &own);
    let empty = claims.memory();
    assert!(claims.is_empty() && empty * 8 < full, "{empty} bytes of {full} are kept");
}

/// Claims ids alone; the verdicts that a batch of them gets.
fn take_alone(claims: &Claims, ids: &[u64], ticket: &Arc<Ticket>) -> Option<Vec<Take<()>>> {
    let mut alone = claims.alone(ticket, ids.len())?;
    Some(ids.iter().map(|&n| alone.take(id(n), PAYLOAD, || (n == 9).then_some(()))).collect())
}

#[test]
fn whoever_is_alone_claims_each_id_once() {
    let claims = Claims::new();
    let own = open(1, None, LeaseEnd::Rerun);
    let taken = take_alone(&claims, &[5, 6, 5, 9, 9, 6, 7], &own).unwrap();
    let twice = Take::Own { payload: PAYLOAD };
    let known = Take::Known(());
    assert_eq!(taken, [CLAIMED, CLAIMED, twice, known, known, twice, CLAIMED]);
    assert_eq!(claims.len(), 3);
    assert!(claims.memory() >= 3 * 32, "{}", claims.memory());
    let other = open(2, None, LeaseEnd::Rerun);
    assert_eq!(take_alone(&claims, &[8], &other), None);

    // The room is used again, and nothing of what was in it is left.
    claims.give_back(&[5, 6, 7].map(id), &own);
    own.settle();
    assert!(claims.is_empty());
    assert_eq!(take_alone(&claims, &[6], &other), Some(vec![CLAIMED]));
    claims.give_back(&[id(6)], &other);
    claims.shrink();
    assert_eq!(claims.memory(), 0, "the stripes were never needed");
}

#[test]
fn whoever_claims_nothing_is_alone_with_nothing() {
    let claims = Claims::new();
    let (own, other) = (open(1, None, LeaseEnd::Rerun), open(2, None, LeaseEnd::Rerun));
    assert_eq!(take_alone(&claims, &[9], &own), Some(vec![Take::Known(())]));
    assert_eq!(take_alone(&claims, &[], &own), Some(vec![]));
    assert!(claims.is_empty());
    assert_eq!(take_alone(&claims, &[5], &other), Some(vec![CLAIMED]));
    // What has nothing gives nothing back, least of all what is another's.
    claims.give_back(&[], &own);
    assert_eq!(claims.len(), 1);
    assert!(claims.holder(id(5)).is_some_and(|holder| Arc::ptr_eq(&holder, &other)));
}

#[test]
fn what_was_claimed_alone_is_held_when_others_come() {
    let claims = Claims::new();
    let (own, other) = (open(1, None, LeaseEnd::Rerun), open(2, None, LeaseEnd::Rerun));
    take_alone(&claims, &[5, 6], &own).unwrap();
    claims.spread();
    let held = Held::InFlight { token: 1, age: Duration::ZERO, left: None, payload: PAYLOAD };
    assert_eq!(claims.look(id(5), at(0)), Some(held));
    assert_eq!(take(&claims, 6, &other, at(0)), Take::Held(held));
    assert_eq!(claims.admit(id(6), at(0), || panic!("held")), Err::<(), _>(held));
    assert_eq!((claims.len(), take_alone(&claims, &[7], &other)), (2, None));
    claims.give_back(&[5, 6].map(id), &own);
    assert!(claims.is_empty());
    assert_eq!(take_alone(&claims, &[7], &other), Some(vec![CLAIMED]));
}

#[test]
fn one_of_the_ids_that_were_claimed_alone_is_given_back() {
    let claims = Claims::new();
    let own = open(1, None, LeaseEnd::Rerun);
    take_alone(&claims, &[5, 6, 7], &own).unwrap();
    claims.give_back(&[id(6)], &own);
    assert_eq!((claims.len(), claims.look(id(6), at(0))), (2, None));
    assert!([5, 7].iter().all(|&n| claims.look(id(n), at(0)).is_some()));
    claims.give_back(&[5, 7].map(id), &own);
    assert!(claims.is_empty());
}

#[test]
fn what_was_claimed_alone_is_blocked_by_the_end_of_its_lease() {
    let claims = Claims::new();
    let own = open(1, Some(LEASE), LeaseEnd::Block);
    take_alone(&claims, &[5, 6], &own).unwrap();
    own.notice_end(at(10));
    own.settle();
    claims.give_back(&[5, 6].map(id), &own);
    let unknown = |held| matches!(held, Some(Held::Unknown { token: 1, .. }));
    assert!([5, 6].iter().all(|&n| unknown(claims.look(id(n), at(10)))));
    let resolver = open(2, None, LeaseEnd::Block);
    assert_eq!(claims.hand_over(id(5), &resolver, at(10)), Some(1));
}

#[test]
fn what_was_claimed_alone_ends_with_the_store() {
    let claims = Claims::new();
    let own = open(1, None, LeaseEnd::Rerun);
    take_alone(&claims, &[5], &own).unwrap();
    claims.close();
    assert!(own.is_over());
}
