//! Random operations on a store, each answer held against the oracle.
//!
//! Deterministic: one thread, a clock and a disk under the test's control. `support` names the two
//! environment variables that replay a seed and lengthen the run.

use std::time::Duration;

use firstseen::{Backend, Durability, TimeSource};

mod support;

use support::history::step;
use support::machine::{End, Machine, Settings, open};
use support::world::World;
use support::{id, ids, with_seeds};

#[test]
fn random_operations_keep_the_contract() {
    with_seeds(60, |rng| {
        let settings = Settings::random(rng);
        let mut machine = Machine::new(settings);
        for _ in 0..150 {
            step(rng, &mut machine);
        }
        machine.check_all();
    });
}

/// The same on real files, and over the other backend.
#[test]
fn model_on_files() {
    let backends = [Backend::Mapped, Backend::Sled];
    let built = if cfg!(feature = "sled") { 2 } else { 1 };
    for backend in backends.into_iter().take(built) {
        with_seeds(12, |rng| {
            let settings = Settings::random(rng);
            eprintln!("{backend}, {settings:?}");
            let mut machine = Machine::in_world(World::folder(backend), settings);
            for _ in 0..150 {
                step(rng, &mut machine);
            }
            machine.check_all();
        });
    }
}

/// What a power cut leaves of a store that does not sync is what it knew at some earlier moment.
#[test]
fn a_power_cut_leaves_a_prefix_of_what_was_let_in() {
    with_seeds(60, |rng| {
        let settings = Settings {
            durability: Durability::Buffered,
            time: TimeSource::System,
            window: Duration::from_secs(3_600),
            ..Settings::random(rng)
        };
        let mut machine = Machine::new(settings);
        let mut order = Vec::new();
        for _ in 0..1 + rng.below(60) {
            let next = order.len() as u64;
            let batch: Vec<u64> = (next..next + rng.below(200)).collect();
            machine.insert(&batch);
            order.extend(batch);
            match rng.below(40) {
                0 => machine.store.seal().unwrap(),
                1 => machine.store.sync().unwrap(),
                2 => machine.reopen(End::Kill, settings),
                3 => machine.reopen(End::Close, settings),
                _ => machine.clock.advance(Duration::from_secs(1)),
            }
        }
        for cut in 0..4 {
            let seed = (cut > 0).then(|| rng.next());
            let left = open(&machine.world.power_cut(seed), &machine.clock, settings);
            let known = left.contains(&ids(&order)).unwrap();
            let kept = known.iter().position(|known| !known).unwrap_or(known.len());
            assert!(known[kept..].iter().all(|known| !known), "not a prefix, from id {kept} on");
            assert_eq!(left.contains(&[id(u64::MAX)]).unwrap(), [false]);
        }
    });
}
