//! Random operations on a store, each answer held against the oracle.

use std::time::Duration;

use firstseen::{Clock, Durability, Timestamp};

use super::Rng;
use super::machine::{End, Machine, SKEW};

/// Few enough that most ids come again and again.
const UNIVERSE: u64 = 4_000;

fn numbers(rng: &mut Rng) -> Vec<u64> {
    let count = match rng.below(10) {
        0 => rng.below(3_000),
        1 => 0,
        2..4 => 1,
        _ => rng.below(40),
    };
    let among = rng.pick(&[UNIVERSE, UNIVERSE, 60]);
    (0..count).map(|_| rng.below(among)).collect()
}

/// Event times around the latest: most in order, some late, few from the far future.
fn times(rng: &mut Rng, machine: &mut Machine, count: usize) -> Vec<Timestamp> {
    let window = machine.oracle.window();
    let (mut at, start) = (machine.now(), machine.clock.wall() - window);
    let step = window / rng.pick(&[1_000_000, 10_000, 500]);
    let each = (0..count).map(|_| {
        at = at.max(start) + step * rng.below(3) as u32;
        match rng.below(400) {
            0 => at - window * 3 / 2,
            1 => at + SKEW * 100,
            2..6 => at - window,
            6..100 => at - window * rng.below(256) as u32 / 200,
            _ => at,
        }
    });
    each.collect()
}

fn pass_time(rng: &mut Rng, machine: &Machine) {
    let window = machine.oracle.window();
    let slice = window / machine.settings.generations;
    let most = rng.pick(&[slice / 256, slice / 20, slice, slice * 2, window, window * 3]);
    machine.clock.advance(Duration::from_micros(rng.below(most.as_micros() as u64 + 2)));
}

fn jump(rng: &mut Rng, machine: &Machine) {
    // Half of them so small that they are believed.
    let far = match rng.below(2) {
        0 => SKEW,
        _ => machine.oracle.window().max(SKEW) * (1 + rng.below(3) as u32),
    };
    let by = Duration::from_micros(rng.below(far.as_micros() as u64));
    if rng.one_in(2) { machine.clock.jump_ahead(by) } else { machine.clock.jump_back(by) }
}

fn reopen(rng: &mut Rng, machine: &mut Machine) {
    // A power cut takes nothing only where everything was synced.
    let synced = machine.settings.durability == Durability::Sync || {
        let sync = rng.one_in(2);
        if sync {
            machine.store.sync().unwrap();
        }
        sync
    };
    let end = match rng.below(4) {
        0 => End::Close,
        1 if synced && machine.world.has_power() => End::PowerCut(None),
        2 if synced && machine.world.has_power() => End::PowerCut(Some(rng.next())),
        _ => End::Kill,
    };
    let settings = if rng.one_in(3) { machine.settings.change(rng) } else { machine.settings };
    machine.reopen(end, settings);
    if rng.one_in(4) {
        machine.check_all();
    }
}

/// One operation.
pub fn step(rng: &mut Rng, machine: &mut Machine) {
    match rng.below(100) {
        0..40 => machine.insert(&numbers(rng)),
        40..55 => {
            let numbers = numbers(rng);
            let times = times(rng, machine, numbers.len());
            machine.insert_timed(&numbers, &times);
        }
        55..65 => machine.check(&numbers(rng), None),
        65..68 => {
            let numbers = numbers(rng);
            let times = times(rng, machine, numbers.len());
            machine.check(&numbers, Some(&times));
        }
        68..73 => {
            let mut numbers = numbers(rng);
            numbers.truncate(30);
            numbers.sort_unstable();
            numbers.dedup();
            machine.forget(&numbers);
        }
        73..77 => {
            machine.now();
            machine.store.seal().unwrap();
        }
        77..80 => {
            machine.now();
            machine.store.compact().unwrap();
        }
        80..91 => pass_time(rng, machine),
        91..94 => jump(rng, machine),
        94 => machine.check_all(),
        _ => reopen(rng, machine),
    }
}
