//! Random schedules: three machines that are killed, expelled, cut off, stopped and started, and errors at random
//! steps. What was promised holds in the end.

mod support;

use std::collections::BTreeMap;

use firstseen_kafka::testing::{Harm, Process, Protocol, When};
use firstseen_kafka::{FaultKind, PartitionState};

use support::machine::Machine;
use support::orders::{self, PARTITIONS};
use support::seeds::{Rng, with_seeds};
use support::ways::Way;
use support::world::{GROUP, World};

const MACHINES: usize = 3;

/// What goes on in one world.
struct Schedule<'a> {
    rng: &'a mut Rng,
    world: World,
    way: Way,
    machines: Vec<Option<Machine>>,
    /// Processes that are gone and of which the group has not noticed.
    gone: Vec<Process>,
    halves: u64,
}

impl Schedule<'_> {
    /// Lets one thing happen.
    fn happen(&mut self) {
        let at = self.rng.below(MACHINES as u64) as usize;
        match self.rng.below(60) {
            0 => self.kill(at),
            1 => self.expel(at),
            2 => self.stop(at),
            3..6 => self.plan(at),
            6..10 => self.start(at),
            10 | 11 => self.notice(),
            12 if self.halves < 2 => {
                orders::produce_half(&self.world.cluster, self.halves);
                self.halves += 1;
            }
            _ => self.step(at),
        }
    }

    fn start(&mut self, at: usize) {
        if self.machines[at].is_none() {
            self.machines[at] = Some(self.world.start(self.way, Process::new()));
        }
    }

    fn kill(&mut self, at: usize) {
        if let Some(machine) = self.machines[at].take() {
            self.gone.push(machine.process.clone());
        }
    }

    /// A graceful end. Whoever is cut off would wait for the group.
    fn stop(&mut self, at: usize) {
        self.hear();
        if let Some(mut machine) = self.machines[at].take() {
            machine.shut_down();
            self.gone.push(machine.process);
        }
    }

    /// Whoever was cut off hears again.
    fn hear(&mut self) {
        (0..100).for_each(|member| self.world.cluster.set_deaf(member, false));
    }

    /// The session of a machine times out; it may not hear of it for a while.
    fn expel(&mut self, at: usize) {
        let Some(machine) = &self.machines[at] else { return };
        let Some(member) = self.world.cluster.member_of(GROUP, &machine.process) else { return };
        self.world.cluster.set_deaf(member, self.rng.one_in(2));
        self.world.cluster.expel(GROUP, member);
    }

    /// The sessions of those that are gone time out, and whoever was cut off hears again.
    fn notice(&mut self) {
        for process in self.gone.drain(..) {
            self.world.expel(&process);
        }
        self.hear();
    }

    /// Something will go wrong soon.
    fn plan(&mut self, at: usize) {
        let harms = [
            Harm::Kill,
            Harm::Fault(FaultKind::Transient),
            Harm::Fault(FaultKind::Abortable),
            Harm::Fault(FaultKind::Fenced),
            Harm::Fault(FaultKind::Fatal),
        ];
        let (when, harm) = (self.rng.pick(&[When::Before, When::After]), self.rng.pick(&harms));
        let soon = 1 + self.rng.below(20);
        if let Some(machine) = &self.machines[at] {
            machine.process.plan(machine.process.steps() + soon, when, harm);
        }
    }

    fn step(&mut self, at: usize) {
        let Some(machine) = &mut self.machines[at] else { return };
        let _ = machine.step();
        if !machine.runs() {
            self.kill(at);
        }
    }

    /// Lets nothing go wrong any more, until all is consumed.
    fn heal(&mut self) {
        while self.halves < 2 {
            orders::produce_half(&self.world.cluster, self.halves);
            self.halves += 1;
        }
        for round in 0.. {
            assert!(round < 400, "it hangs: {:?}", self.metrics());
            self.notice();
            for at in 0..MACHINES {
                self.start(at);
                self.step(at);
            }
            let partitions = self.metrics();
            let read = partitions.values().filter(|state| **state == PartitionState::Reading);
            if read.count() == PARTITIONS as usize && self.world.is_consumed() {
                break;
            }
        }
        for machine in self.machines.iter_mut().flatten() {
            machine.shut_down();
        }
        self.machines.clear();
    }

    fn metrics(&self) -> BTreeMap<i32, PartitionState> {
        let machines = self.machines.iter().flatten();
        let partitions = machines.flat_map(|machine| machine.metrics().partitions);
        partitions.map(|partition| (partition.partition.partition, partition.state)).collect()
    }
}

/// Goes through one schedule and checks what came of it.
fn go(rng: &mut Rng, way: Way) {
    let world = World::new(rng.pick(&[Protocol::Eager, Protocol::Cooperative]));
    let machines = (0..MACHINES).map(|_| None).collect();
    let mut schedule = Schedule { rng, world, way, machines, gone: Vec::new(), halves: 0 };
    schedule.start(0);
    for _ in 0..300 {
        schedule.happen();
    }
    schedule.heal();
    let (all, done) = (orders::all(), way.done(&schedule.world));
    let lost: Vec<_> = all.keys().filter(|order| !done.contains_key(*order)).collect();
    assert!(lost.is_empty(), "{way:?} lost {lost:?}");
    let doubled: Vec<_> = done.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty() || way == Way::Filter, "{way:?} doubled {doubled:?}");
    assert_eq!(schedule.world.cluster.violations(), [""; 0]);
}

#[test]
fn whatever_happens_nothing_is_lost_or_doubled() {
    with_seeds(25, |rng| Way::ALL.into_iter().for_each(|way| go(rng, way)));
}
