//! Models of who may hold ids: a transaction that claims alone, and those who come while it does. Over the
//! interleavings of up to two preemptions.

use std::sync::{
    Arc as StdArc,
    atomic::{AtomicUsize, Ordering as StdOrdering},
};

use loom::thread;

use super::claiming::{at_rest, for_a_claim, for_an_insertion};
use crate::claim::{Claims, Held, Mono, Take, Ticket};
use crate::config::LeaseEnd;
use crate::key::Fingerprint;
use crate::sync::gate::{Gate, Inside};
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::window::Claiming;

const ID: Fingerprint = Fingerprint::from_u128(7 << 64 | 9);
const NOW: Mono = Mono::from_micros(0);

/// As `Core`, with what the models need of it: a store of one id, which nothing but the claims protects.
struct World {
    gate: Gate<Claiming>,
    claims: Claims,
    inserted: AtomicBool,
}

impl World {
    fn new() -> Arc<World> {
        let (gate, claims) = (Gate::new(Claiming::Nobody), Claims::new());
        Arc::new(World { gate, claims, inserted: AtomicBool::new(false) })
    }

    fn known(&self) -> Option<()> {
        self.inserted.load(Ordering::Relaxed).then_some(())
    }

    /// Whether the id was not there.
    fn put(&self) -> bool {
        let new = self.known().is_none();
        // Released for `look`, as the table's insertion is.
        self.inserted.store(true, Ordering::Release);
        new
    }

    /// As a transaction begins.
    fn begin(&self, ticket: &Arc<Ticket>) -> Take<()> {
        loop {
            let inside = self.gate.enter();
            match *inside {
                Claiming::Many => return self.claims.take(ID, ticket, None, NOW, || self.known()),
                Claiming::Alone => {
                    if let Some(mut alone) = self.claims.alone(ticket, 1) {
                        return alone.take(ID, None, || self.known());
                    }
                }
                Claiming::Nobody => {}
            }
            drop(inside);
            self.gate.update(|now| *now = for_a_claim(*now, &self.claims));
        }
    }

    /// As a transaction commits: it has the id, whoever came meanwhile.
    fn commit(&self, ticket: &Ticket) {
        ticket.start_settling(NOW).unwrap();
        let inside = self.gate.enter();
        assert!(self.put(), "an id was given out twice");
        drop(inside);
        self.claims.give_back(&[ID], ticket);
        ticket.settle();
    }

    /// As a call inserts: whether the id was new.
    fn insert(&self) -> Result<bool, Held> {
        let inside = self.enter_to_insert();
        match *inside {
            Claiming::Nobody => Ok(self.put()),
            Claiming::Alone => unreachable!("an insertion is not beside whoever claims alone"),
            Claiming::Many => self.claims.admit(ID, NOW, || self.put()),
        }
    }

    fn enter_to_insert(&self) -> Inside<'_, Claiming> {
        loop {
            let inside = self.gate.enter();
            if *inside != Claiming::Alone {
                return inside;
            }
            drop(inside);
            self.gate.update(|now| *now = for_an_insertion(*now, &self.claims));
        }
    }

    /// As a look that inserts nothing: claims first, then the store.
    fn look(&self) -> Looked {
        let inside = self.gate.enter();
        if *inside == Claiming::Alone {
            self.claims.spread();
        }
        let ask = *inside != Claiming::Nobody;
        let held = ask && self.claims.look(ID, NOW).is_some();
        match self.inserted.load(Ordering::Acquire) {
            true => Looked::Duplicate,
            false if held => Looked::InFlight,
            false => Looked::New,
        }
    }

    /// As upkeep does.
    fn retire(&self) {
        self.gate.update(|now| *now = at_rest(*now, &self.claims));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Looked {
    New,
    InFlight,
    Duplicate,
}

fn ticket(token: u64) -> Arc<Ticket> {
    Arc::new(Ticket::new(token, NOW, None, LeaseEnd::Rerun))
}

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// Runs `there` on a thread of its own and `here` on this one.
fn both<A: Send + 'static, B>(
    world: &Arc<World>,
    there: impl FnOnce(&World) -> A + Send + 'static,
    here: impl FnOnce(&World) -> B,
) -> (A, B) {
    let other = Arc::clone(world);
    let thread = thread::spawn(move || there(&other));
    let here = here(world);
    (thread.join().unwrap(), here)
}

/// As [`explore`]: each of two things, which the model tells apart, must come to pass in some interleaving.
fn explore_both(model: impl Fn() -> bool + Sync + Send + 'static) {
    let counts = StdArc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = StdArc::clone(&counts);
    explore(move || _ = counted[usize::from(model())].fetch_add(1, StdOrdering::Relaxed));
    assert!(counts.iter().all(|count| count.load(StdOrdering::Relaxed) > 0), "{counts:?}");
}

#[test]
fn of_a_claim_alone_and_an_insertion_exactly_one_gets_the_id() {
    explore_both(|| {
        let world = World::new();
        let (inserted, taken) = both(&world, World::insert, |world| world.begin(&ticket(1)));
        match taken {
            Take::Known(()) => assert_eq!(inserted, Ok(true)),
            Take::Claimed { after: None } => {
                assert!(matches!(inserted, Err(Held::InFlight { token: 1, .. })), "{inserted:?}");
            }
            other => panic!("{other:?}"),
        }
        inserted.is_ok()
    });
}

#[test]
fn of_two_claims_that_think_themselves_alone_exactly_one_gets_the_id() {
    explore_both(|| {
        let world = World::new();
        let (one, two) =
            both(&world, |world| world.begin(&ticket(1)), |world| world.begin(&ticket(2)));
        let (winner, loser) = match one {
            Take::Claimed { after: None } => (1, two),
            other => (2, other),
        };
        assert!(matches!(loser, Take::Held(Held::InFlight { token, .. }) if token == winner));
        assert_eq!(world.claims.len(), 1);
        one == Take::Claimed { after: None }
    });
}

#[test]
fn an_insertion_meets_whoever_commits_alone_before_or_after() {
    explore_both(|| {
        let world = World::new();
        let own = ticket(1);
        assert_eq!(world.begin(&own), Take::Claimed { after: None });
        let (inserted, ()) = both(&world, World::insert, |world| world.commit(&own));
        assert!(matches!(inserted, Ok(false) | Err(Held::InFlight { .. })), "{inserted:?}");
        assert!(world.claims.is_empty());
        inserted.is_ok()
    });
}

#[test]
fn a_look_spreads_what_is_held_and_nothing_of_it_is_lost() {
    explore_both(|| {
        let world = World::new();
        let (looked, taken) = both(&world, World::look, |world| {
            let own = ticket(1);
            let taken = world.begin(&own);
            (taken, own)
        });
        assert_ne!(looked, Looked::Duplicate);
        assert_eq!(taken.0, Take::Claimed { after: None });
        assert_eq!(world.look(), Looked::InFlight, "it is held still");
        let next = world.begin(&ticket(2));
        assert!(matches!(next, Take::Held(Held::InFlight { token: 1, .. })), "{next:?}");
        world.commit(&taken.1);
        assert!(world.claims.is_empty());
        looked == Looked::InFlight
    });
}

#[test]
fn a_look_that_meets_a_commit_does_not_say_new() {
    explore_both(|| {
        let world = World::new();
        let own = ticket(1);
        assert_eq!(world.begin(&own), Take::Claimed { after: None });
        let (looked, ()) = both(&world, World::look, |world| world.commit(&own));
        assert_ne!(looked, Looked::New);
        looked == Looked::Duplicate
    });
}

#[test]
fn upkeep_does_not_retire_what_is_held() {
    explore(|| {
        let world = World::new();
        let own = ticket(1);
        let (_, taken) = both(&world, World::retire, |world| world.begin(&own));
        assert_eq!(taken, Take::Claimed { after: None });
        assert!(matches!(world.insert(), Err(Held::InFlight { token: 1, .. })));
    });
}
