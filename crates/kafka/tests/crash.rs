//! Every step of a consumer can be its last, and every answer of Kafka, of the work or of a sink can be
//! an error: nothing is lost, and nothing is done twice.

mod support;

use std::collections::BTreeMap;
use std::ops::Range;

use firstseen_kafka::testing::{Harm, Process, Protocol, When};
use firstseen_kafka::{FaultKind, PartitionState};

use support::machine::{Alive, Machine};
use support::orders::{self, PARTITIONS};
use support::seeds::scale;
use support::ways::Way;
use support::world::{BATCH, World};

/// What goes wrong in a run: these steps, one after the other.
type Plan = Option<(Range<u64>, When, Harm)>;

/// Two machines consume all orders; the first goes wrong as planned and is started anew if it dies of it.
/// Returns how many steps the first life of the first machine had.
fn consume(way: Way, protocol: Protocol, plan: Plan) -> (u64, World, Process) {
    let world = World::new(protocol);
    orders::produce_half(&world.cluster, 0);
    let first = Process::new();
    if let Some((steps, when, harm)) = plan.clone() {
        steps.for_each(|step| first.plan(step, when, harm));
    }
    let mut harmed = world.start(way, first.clone());
    let mut other: Option<Machine> = None;
    let (mut died, mut steps) = (None, 0);
    for round in 0.. {
        assert!(round < 400, "it hangs: {:?}", harmed.metrics());
        let alive = harmed.step();
        if !harmed.runs() && died.is_none() {
            died = Some(round);
            steps = first.steps();
            if let Alive::Stopped(error) = &alive {
                let passes = Harm::Fault(FaultKind::Transient);
                assert!(
                    plan.as_ref().is_some_and(|(.., harm)| *harm != passes),
                    "it stopped: {error}"
                );
            }
        }
        if round == 6 {
            other = Some(world.start(way, Process::new()));
        }
        if round == 16 {
            orders::produce_half(&world.cluster, 1);
        }
        if let Some(other) = &mut other {
            let alive = other.step();
            assert!(matches!(alive, Alive::Yes), "{alive:?}");
        }
        match died {
            Some(died) if round == died + 3 => world.expel(&first),
            Some(died) if round == died + 8 => harmed = world.start(way, Process::new()),
            _ => {}
        }
        let read = reading(&harmed) + other.as_ref().map_or(0, reading);
        if round > 16 && world.is_consumed() && read == PARTITIONS as usize {
            break;
        }
    }
    if died.is_none() {
        steps = first.steps();
    }
    world.expel(&first);
    harmed.shut_down();
    other.as_mut().map(Machine::shut_down);
    (steps, world, first)
}

/// How many partitions a machine reads. What their last owner left in doubt is settled.
fn reading(machine: &Machine) -> usize {
    let partitions = machine.metrics().partitions.into_iter();
    partitions.filter(|partition| partition.state == PartitionState::Reading).count()
}

/// Checks that every order was worked on, once, but for what may come twice.
fn check(way: Way, world: &World, twice_most: usize) {
    let (all, done) = (orders::all(), way.done(world));
    let lost: Vec<_> = all.keys().filter(|order| !done.contains_key(*order)).collect();
    let more: BTreeMap<_, _> = done.iter().filter(|(_, times)| **times > 1).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(more.len() <= twice_most, "doubled: {more:?}");
    assert_eq!(done.len(), all.len());
    assert_eq!(world.cluster.violations(), [""; 0]);
}

/// Runs with one thing that goes wrong at each step, on both sides of it, and at so many in a row.
fn enumerate(way: Way, protocol: Protocol, in_a_row: u64, harms: impl Fn(u64, When) -> Vec<Harm>) {
    let (steps, world, _) = consume(way, protocol, None);
    check(way, &world, 0);
    for step in 1..=steps {
        for when in [When::Before, When::After] {
            for harm in harms(step, when) {
                let failing = Tell(way, protocol, (step..step + in_a_row, when, harm));
                let (_, world, _) = consume(way, protocol, Some(failing.2.clone()));
                check(way, &world, if way == Way::Filter { BATCH * in_a_row as usize } else { 0 });
                std::mem::forget(failing);
            }
        }
    }
}

/// An error that may pass, and one of the others: at each step another, or all if there is time.
fn errors(step: u64, when: When) -> Vec<Harm> {
    let others = [FaultKind::Abortable, FaultKind::Fenced, FaultKind::Fatal];
    let some = match scale() {
        1 => &others[((step + when as u64) % 3) as usize..][..1],
        _ => &others,
    };
    some.iter().chain([&FaultKind::Transient]).map(|kind| Harm::Fault(*kind)).collect()
}

/// Says which run failed.
#[derive(Debug)]
struct Tell(Way, Protocol, (Range<u64>, When, Harm));

impl Drop for Tell {
    fn drop(&mut self) {
        let Tell(way, protocol, plan) = self;
        eprintln!("{way:?}, {protocol:?}, {plan:?}");
    }
}

/// Such as an abort, after what made it necessary.
#[test]
fn an_error_can_follow_an_error() {
    for way in [Way::InSink, Way::Transform] {
        enumerate(way, Protocol::Eager, 2, |_, _| vec![Harm::Fault(FaultKind::Transient)]);
    }
}

/// A test for each way of working and protocol.
macro_rules! each {
    ($($name:ident: $way:ident, $protocol:ident;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn every_step_can_be_the_last() {
                enumerate(Way::$way, Protocol::$protocol, 1, |_, _| vec![Harm::Kill]);
            }

            #[test]
            fn every_answer_can_be_an_error() {
                enumerate(Way::$way, Protocol::$protocol, 1, errors);
            }
        }
    )*};
}

each! {
    in_store_eager: InStore, Eager;
    in_store_cooperative: InStore, Cooperative;
    in_sink_eager: InSink, Eager;
    in_sink_cooperative: InSink, Cooperative;
    transform_eager: Transform, Eager;
    transform_cooperative: Transform, Cooperative;
    filter_eager: Filter, Eager;
    filter_cooperative: Filter, Cooperative;
}
