//! Stores on a disk whose power goes, that is full, or that fails, at any moment: nothing is lost, and nothing is done
//! twice.
//!
//! What matters is the time between the other system's commit and the store's, and the time until that is durable: the
//! two must agree again, though the store may have lost what it had not synced.

mod support;

use std::collections::BTreeMap;
use std::io::ErrorKind;

use firstseen::testing::{MemoryDisk, Op};
use firstseen_kafka::testing::{Harm, Process, Produce, Protocol, When};
use firstseen_kafka::{PartitionState, Settings};

use support::machine::Consumes;
use support::orders::{self, PARTITIONS, TOPIC};
use support::ways::Way;
use support::world::{BATCH, World};

/// The ways that agree with another system.
const BETWEEN_TWO: [Way; 2] = [Way::InSink, Way::Transform];

/// What a power cut keeps beside what was synced: nothing, or what this seed chooses.
type Torn = Option<u64>;

/// Consumers of a world whose stores are on a disk in memory, one after the other.
struct Run {
    way: Way,
    world: World,
    /// How many messages a batch has at most.
    batch: usize,
    /// Every order, once.
    orders: BTreeMap<String, u64>,
    /// Whether a batch was in doubt after a step.
    has_doubted: bool,
    /// Whether one was found in doubt and settled.
    has_settled: bool,
}

impl Run {
    fn new(way: Way, batch: usize, orders: BTreeMap<String, u64>) -> Run {
        let world = World::on(MemoryDisk::seeded(0), Protocol::Cooperative);
        Run { way, world, batch, orders, has_doubted: false, has_settled: false }
    }

    /// All orders, and at the end of each partition copies alone: the last batch of a transformation makes no outputs,
    /// and the group's offset follows it without a token.
    fn of_orders(way: Way) -> Run {
        let run = Run::new(way, BATCH, orders::all());
        let cluster = &run.world.cluster;
        (0..2).for_each(|half| orders::produce_half(cluster, half));
        for partition in 0..PARTITIONS {
            for place in (0..BATCH).map(|at| at * 4) {
                let copy = format!("order-{partition}-{place}");
                cluster.produce(TOPIC, partition, Produce::new(copy, "1"));
            }
        }
        run
    }

    /// More orders of one partition than a table of its store takes.
    fn of_many(way: Way) -> Run {
        let orders: Vec<String> = (0..1_100).map(|place| format!("order-0-{place}")).collect();
        let run = Run::new(way, 100, orders::counted(orders.clone()));
        for order in orders {
            run.world.cluster.produce(TOPIC, 0, Produce::new(order, "1"));
        }
        run
    }

    fn disk(&self) -> &MemoryDisk {
        self.world.disk.as_ref().expect("a world on a disk in memory")
    }

    fn start(&self, process: &Process) -> Box<dyn Consumes> {
        let settings: Settings = self.world.settings("shared").batch_messages(self.batch);
        self.way.consumer(&self.world, process, settings)
    }

    /// Whether everything was read, and nothing is in doubt.
    fn is_done(&self, consumer: &dyn Consumes) -> bool {
        let partitions = consumer.metrics().partitions;
        let settled = partitions
            .iter()
            .all(|partition| partition.state == PartitionState::Reading && partition.in_doubt == 0);
        settled && partitions.len() == PARTITIONS as usize && self.world.is_consumed()
    }

    /// Consumes everything in as many lives as it takes, of which the first is that of `first`. The power goes when one
    /// of them ends, and once more when all is done. Returns how many steps `first` did.
    fn consume(&mut self, first: &Process, torn: Torn) -> u64 {
        let (mut process, mut was_done, mut steps) = (first.clone(), false, None);
        let mut consumer = self.start(&process);
        for round in 0.. {
            assert!(round < 400, "it hangs: {:?}", consumer.metrics());
            let alive = matches!(process.run(|| consumer.step()), Some(Ok(())));
            let metrics = consumer.metrics();
            self.has_doubted |= metrics.partitions.iter().any(|partition| partition.in_doubt > 0);
            self.has_settled |= metrics.partitions.iter().any(|partition| partition.settled > 0);
            let is_done = alive && self.is_done(&*consumer);
            if alive && !is_done {
                continue;
            }
            steps.get_or_insert_with(|| first.steps());
            if is_done && was_done {
                break;
            }
            was_done |= is_done;
            // Before the consumer is dropped, which would still close its stores.
            let left = match torn {
                Some(seed) => self.disk().crash_with(seed),
                None => self.disk().crash(),
            };
            self.world.disk = Some(left);
            self.world.expel(&process);
            process = Process::new();
            consumer = self.start(&process);
        }
        assert!(matches!(process.run(|| consumer.shut_down()), Some(Ok(()))));
        steps.unwrap_or(0)
    }

    /// Checks that every order was worked on, once.
    fn check(&self, what: &str) {
        let way = self.way;
        assert_eq!(way.done(&self.world), self.orders, "{way:?}, {what}");
        assert_eq!(self.world.cluster.violations(), [""; 0]);
    }
}

#[test]
fn the_power_can_go_at_every_step() {
    for way in BETWEEN_TWO {
        let mut undisturbed = Run::of_orders(way);
        let steps = undisturbed.consume(&Process::new(), None);
        undisturbed.check("undisturbed");
        let mut settled = 0;
        for (step, when) in (1..=steps).flat_map(|step| [(step, When::Before), (step, When::After)])
        {
            // What was not synced is gone at one side of a step, and torn at the other.
            let torn = (step + when as u64).is_multiple_of(2).then_some(step);
            let mut run = Run::of_orders(way);
            let process = Process::new();
            process.plan(step, when, Harm::Kill);
            run.consume(&process, torn);
            run.check(&format!("{when:?} step {step}, torn {torn:?}"));
            settled += u32::from(run.has_settled);
        }
        assert!(settled > 0, "{way:?}: nothing was in doubt");
    }
}

/// Lets each operation of these kinds that the disk has in a run of `new` go wrong by `harm`. Returns how many runs had
/// a batch in doubt after a step.
fn harm_each(
    new: impl Fn() -> Run,
    is_harmed: impl Fn(Op) -> bool,
    harm: impl Fn(&MemoryDisk, u64),
) -> usize {
    let mut undisturbed = new();
    let disk = undisturbed.disk().clone();
    undisturbed.consume(&Process::new(), None);
    undisturbed.check("undisturbed");
    let has_doubted = |number: u64| {
        let mut run = new();
        harm(run.disk(), number);
        run.consume(&Process::new(), None);
        run.check(&format!("operation {number}"));
        run.has_doubted
    };
    let history = (0..).zip(disk.history());
    history.filter(|(number, op)| is_harmed(*op) && has_doubted(*number)).count()
}

#[test]
fn every_operation_of_the_disk_can_fail() {
    for way in BETWEEN_TWO {
        let (new, other) = (|| Run::of_orders(way), ErrorKind::Other);
        harm_each(new, |_| true, |disk, number| disk.fail_at(number, other));
        harm_each(new, |_| true, |disk, number| disk.fail_from(number, other));
    }
}

#[test]
fn the_disk_can_be_full_whenever_room_is_asked_for() {
    for way in BETWEEN_TWO {
        let full = |disk: &MemoryDisk, number| disk.fail_at(number, ErrorKind::StorageFull);
        let asks = |op| matches!(op, Op::Create | Op::Allocate);
        let doubted = harm_each(|| Run::of_many(way), asks, full);
        assert!(doubted > 0, "{way:?}: there was always room for what the other system had done");
    }
}
