//! Models of claim, settling and the end of a lease, over every interleaving that loom finds.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loom::thread;

use super::{Claims, Held, Mono, Refusal, Take, Ticket, wait_until};
use crate::config::LeaseEnd;
use crate::key::Fingerprint;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::time::{Clock, Timestamp};

const ID: Fingerprint = Fingerprint::from_u128(7 << 64 | 9);
/// The lease of every ticket that has one.
const LEASE: Duration = Duration::from_micros(10);
/// Before and after the end of that lease.
const EARLY: Mono = Mono::from_micros(9);
const LATE: Mono = Mono::from_micros(10);

/// Claims, and a store of one id, which nothing but the stripe's lock protects.
#[derive(Default)]
struct World {
    claims: Claims,
    inserted: AtomicBool,
}

impl World {
    /// Whether the id was not there.
    fn insert(&self) -> bool {
        let new = self.known().is_none();
        self.inserted.store(true, Ordering::Relaxed);
        new
    }

    fn known(&self) -> Option<()> {
        self.inserted.load(Ordering::Relaxed).then_some(())
    }

    fn take(&self, ticket: &Arc<Ticket>, now: Mono) -> Take<()> {
        self.claims.take(ID, ticket, None, now, || self.known())
    }

    /// What a commit does; refused if the lease has ended.
    fn commit(&self, ticket: &Ticket, now: Mono) -> Result<(), Refusal> {
        ticket.start_settling(now)?;
        assert!(self.insert(), "an id was given out twice");
        ticket.settle();
        self.claims.give_back(&[ID], ticket);
        Ok(())
    }
}

fn ticket(token: u64, on_end: LeaseEnd) -> Arc<Ticket> {
    Arc::new(Ticket::new(token, Mono::from_micros(0), Some(LEASE), on_end))
}

/// A clock that stands still before the end of every lease.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn wall(&self) -> Timestamp {
        Timestamp::MIN
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Runs `there` on a thread of its own and `here` on this one.
fn both<W, A, B>(
    world: &Arc<W>,
    there: impl FnOnce(&W) -> A + Send + 'static,
    here: impl FnOnce(&W) -> B,
) -> (A, B)
where
    W: Send + Sync + 'static,
    A: Send + 'static,
{
    let other = Arc::clone(world);
    let thread = thread::spawn(move || there(&other));
    let here = here(world);
    (thread.join().unwrap(), here)
}

#[test]
fn of_a_claim_and_an_insertion_exactly_one_gets_the_id() {
    loom::model(|| {
        let world = Arc::new(World::default());
        let (admitted, taken) = both(
            &world,
            |world| world.claims.admit(ID, EARLY, || world.insert()),
            |world| world.take(&ticket(1, LeaseEnd::Rerun), EARLY),
        );
        match taken {
            Take::Known(()) => assert_eq!(admitted, Ok(true)),
            Take::Claimed { after: None } => {
                assert!(matches!(admitted, Err(Held::InFlight { token: 1, .. })));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn of_two_claims_exactly_one_gets_the_id() {
    loom::model(|| {
        let world = Arc::new(World::default());
        let (one, two) = both(
            &world,
            |world| world.take(&ticket(1, LeaseEnd::Rerun), EARLY),
            |world| world.take(&ticket(2, LeaseEnd::Rerun), EARLY),
        );
        let (winner, loser) = match one {
            Take::Claimed { after: None } => (1, two),
            other => (2, other),
        };
        assert!(matches!(loser, Take::Held(Held::InFlight { token, .. }) if token == winner));
        assert_eq!(world.claims.len(), 1);
    });
}

#[test]
fn an_id_that_is_committed_is_never_let_in_meanwhile() {
    loom::model(|| {
        let world = Arc::new(World::default());
        let own = ticket(1, LeaseEnd::Rerun);
        world.take(&own, EARLY);
        let (committed, admitted) = both(
            &world,
            move |world| world.commit(&own, EARLY),
            |world| world.claims.admit(ID, EARLY, || world.insert()),
        );
        assert_eq!(committed, Ok(()));
        assert!(matches!(admitted, Ok(false) | Err(Held::InFlight { .. })), "{admitted:?}");
    });
}

/// The holder commits just in time, or too late; somebody meets the id after the end of its lease.
fn commit_against_a_takeover(on_end: LeaseEnd) {
    loom::model(move || {
        let world = Arc::new(World::default());
        let (own, next) = (ticket(1, on_end), ticket(2, on_end));
        world.take(&own, EARLY);
        let holder = Arc::clone(&own);
        let (committed, taken) = both(
            &world,
            move |world| {
                let committed = world.commit(&holder, EARLY);
                if committed.is_err() {
                    holder.settle();
                    world.claims.give_back(&[ID], &holder);
                }
                committed
            },
            |world| world.take(&next, LATE),
        );
        match taken {
            Take::Known(()) | Take::Held(Held::InFlight { token: 1, left: None, .. }) => {
                assert_eq!(committed, Ok(()));
                assert!(world.claims.is_empty());
            }
            Take::Claimed { after: Some(1) } if on_end == LeaseEnd::Rerun => {
                assert_eq!(committed, Err(Refusal::Ended { by: Duration::ZERO }));
                assert_eq!(world.commit(&next, EARLY), Ok(()));
            }
            Take::Held(Held::Unknown { token: 1, .. }) if on_end == LeaseEnd::Block => {
                assert_eq!(committed, Err(Refusal::Ended { by: Duration::ZERO }));
                assert_eq!(world.claims.hand_over(ID, &ticket(3, on_end), LATE), Some(1));
            }
            other => panic!("{other:?} while {committed:?}"),
        }
    });
}

#[test]
fn of_a_commit_and_a_takeover_exactly_one_gets_the_id() {
    commit_against_a_takeover(LeaseEnd::Rerun);
}

#[test]
fn of_a_commit_and_a_block_exactly_one_comes_to_pass() {
    commit_against_a_takeover(LeaseEnd::Block);
}

#[test]
fn whoever_waits_is_woken_when_the_ticket_is_settled() {
    loom::model(|| {
        let ticket = Arc::new(Ticket::new(1, EARLY, None, LeaseEnd::Rerun));
        both(&ticket, |ticket| ticket.settle(), |_| wait(&ticket));
    });
}

#[test]
fn whoever_waits_is_woken_when_somebody_takes_over() {
    loom::model(|| {
        let world = Arc::new(World::default());
        let own = ticket(1, LeaseEnd::Rerun);
        world.take(&own, EARLY);
        both(
            &world,
            |world| world.take(&ticket(2, LeaseEnd::Rerun), LATE),
            |_| assert!(wait_until(&own, &Still, None)),
        );
    });
}

#[test]
fn a_waiter_that_goes_takes_nobody_elses_wakeup_with_it() {
    // Three threads: every interleaving with at most three preemptions.
    let mut few = loom::model::Builder::new();
    few.preemption_bound = Some(3);
    few.check(|| {
        let claims = Claims::new();
        let ticket = Arc::new(Ticket::new(1, EARLY, None, LeaseEnd::Rerun));
        let (goes, _) = claims.settlement(&ticket);
        let settler = Arc::clone(&ticket);
        let goer = thread::spawn(move || _ = poll(goes));
        let settled = thread::spawn(move || settler.settle());
        wait(&ticket);
        goer.join().unwrap();
        settled.join().unwrap();
    });
}

fn wait(ticket: &Arc<Ticket>) {
    assert!(wait_until(ticket, &Still, None));
}

fn poll(settlement: impl Future<Output = ()>) -> Poll<()> {
    pin!(settlement).poll(&mut Context::from_waker(Waker::noop()))
}

/// Upkeep strikes a ticket off its list when nobody waits; somebody comes to wait just then.
#[test]
fn a_lease_that_somebody_waits_for_is_watched() {
    loom::model(|| {
        let claims = Arc::new(Claims::new());
        let own = ticket(1, LeaseEnd::Rerun);
        let (first, unheard) = claims.settlement(&own);
        assert!(unheard);
        let (_, (second, _)) = both(
            &claims,
            move |claims| {
                drop(first);
                claims.wake_ended(EARLY)
            },
            |claims| claims.settlement(&own),
        );
        assert_eq!(claims.wake_ended(LATE), None);
        assert!(poll(second).is_ready());
    });
}

#[test]
fn of_a_renewal_and_the_end_of_the_lease_one_wins() {
    loom::model(|| {
        let ticket = ticket(1, LeaseEnd::Rerun);
        let (ended, renewed) =
            both(&ticket, |ticket| ticket.end_if_over(LATE), |ticket| ticket.renew(EARLY, LEASE));
        assert_eq!(ended, renewed.is_err());
        assert_eq!(ended, ticket.is_over());
        assert_eq!(ended, ticket.start_settling(LATE).is_err());
    });
}

#[test]
fn a_late_finisher_gives_nothing_back_of_the_next_holder() {
    loom::model(|| {
        let world = Arc::new(World::default());
        let (own, next) = (ticket(1, LeaseEnd::Rerun), ticket(2, LeaseEnd::Rerun));
        world.take(&own, EARLY);
        let (_, taken) = both(
            &world,
            move |world| {
                own.settle();
                world.claims.give_back(&[ID], &own);
            },
            |world| world.take(&next, LATE),
        );
        assert!(matches!(taken, Take::Claimed { after: None | Some(1) }), "{taken:?}");
        assert!(Arc::ptr_eq(&world.claims.holder(ID).unwrap(), &next));
        assert_eq!(world.claims.len(), 1);
    });
}

#[test]
fn of_two_handles_one_settles() {
    loom::model(|| {
        let ticket = Arc::new(Ticket::recovered(1, EARLY));
        let start = |ticket: &Ticket| ticket.start_settling(LATE);
        let (one, two) = both(&ticket, move |ticket| start(ticket), move |ticket| start(ticket));
        let mut told = [one, two];
        told.sort_by_key(Result::is_err);
        assert_eq!(told, [Ok(()), Err(Refusal::Settled)]);
    });
}
