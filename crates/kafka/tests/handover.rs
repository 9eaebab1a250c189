//! Consumers with folders of their own: how a store gets to the next owner, and what happens if it does not.

mod support;

use std::fs;
use std::time::Duration;

use firstseen::Timestamp;
use firstseen_kafka::handover::{Archive, FolderArchive, OnIncomplete};
use firstseen_kafka::testing::{Harm, Isolation, Process, Produce, Protocol, When};
use firstseen_kafka::{Error, FaultKind, OnError, PartitionState, Settings, TopicPartition};

use support::history::Outputs;
use support::machine::{Alive, Machine};
use support::orders::{self, PARTITIONS, TOPIC};
use support::ways::{OUT, Way};
use support::world::{GROUP, World, counted_in};

fn world() -> World {
    World::new(Protocol::Cooperative)
}

/// A machine with stores of its own.
fn start(world: &World, way: Way, folder: &str, more: impl Fn(Settings) -> Settings) -> Machine {
    world.start_with(way, Process::new(), more(world.settings(folder)))
}

fn archive(world: &World) -> FolderArchive {
    FolderArchive::new(world.folder_of("archive"))
}

/// Lets machines take turns until `done`.
fn until(machines: &mut [&mut Machine], done: impl Fn(&[&mut Machine]) -> bool) {
    for round in 0.. {
        if done(machines) {
            return;
        }
        let metrics: Vec<_> = machines.iter().map(|machine| machine.metrics()).collect();
        assert!(round < 400, "it hangs: {metrics:?}");
        for machine in machines.iter_mut() {
            let alive = machine.step();
            assert!(matches!(alive, Alive::Yes), "{alive:?}");
        }
    }
}

/// Lets a machine take so many steps.
fn steps(machine: &mut Machine, count: u32) {
    for _ in 0..count {
        let alive = machine.step();
        assert!(matches!(alive, Alive::Yes), "{alive:?}");
    }
}

/// What the partitions of a machine are waiting for.
fn waiting(machine: &Machine) -> Vec<String> {
    let partitions = machine.metrics().partitions.into_iter();
    let waiting = partitions.filter_map(|partition| match partition.state {
        PartitionState::Acquiring(why) => Some(why),
        _ => None,
    });
    waiting.collect()
}

fn reads(machine: &Machine, count: usize) -> bool {
    let partitions = machine.metrics().partitions;
    partitions.len() == count && waiting(machine).is_empty()
}

/// Kills a machine, and the group notices.
fn kill(world: &World, machine: Machine) {
    world.expel(&machine.process);
    drop(machine);
}

#[test]
fn a_store_moves_with_its_partition() {
    for way in Way::ONCE {
        for protocol in [Protocol::Eager, Protocol::Cooperative] {
            let world = World::new(protocol);
            let shipped = |settings: Settings| settings.archive(archive(&world));
            orders::produce_half(&world.cluster, 0);
            let mut a = start(&world, way, "a", shipped);
            until(&mut [&mut a], |_| world.is_consumed());
            let mut b = start(&world, way, "b", shipped);
            until(&mut [&mut a, &mut b], |all| reads(all[1], 1) && reads(all[0], 2));
            orders::produce_half(&world.cluster, 1);
            until(&mut [&mut a, &mut b], |_| world.is_consumed());
            a.shut_down();
            until(&mut [&mut b], |all| reads(all[0], 3));
            b.shut_down();
            assert_eq!(way.done_in(&world, "b"), orders::all(), "{way:?}, {protocol:?}");
            assert_eq!(world.cluster.violations(), [""; 0]);
        }
    }
}

#[test]
fn a_stale_store_is_not_used() {
    for way in [Way::InSink, Way::Transform] {
        let world = world();
        orders::produce_half(&world.cluster, 0);
        let mut a = start(&world, way, "a", |settings| settings.archive(archive(&world)));
        until(&mut [&mut a], |_| world.is_consumed());
        a.shut_down();
        // It fetches what was shipped, and ships nothing itself.
        let fetches = FetchOnly(archive(&world));
        let mut b = world.start_with(way, Process::new(), world.settings("b").archive(fetches));
        orders::produce_half(&world.cluster, 1);
        until(&mut [&mut b], |_| world.is_consumed());
        b.shut_down();
        // Copies of orders that only the second owner knows.
        for (partition, record) in world.cluster.read(TOPIC, Isolation::ReadCommitted) {
            if record.offset >= 15 {
                world.cluster.produce(TOPIC, partition, Produce::new(record.key.unwrap(), "1"));
            }
        }
        let mut a = start(&world, way, "a", |settings| settings.archive(archive(&world)));
        steps(&mut a, 50);
        let waits = waiting(&a);
        assert_eq!(waits.len(), 3);
        assert!(waits.iter().all(|why| why.contains("window incomplete")), "{waits:?}");
        assert_eq!(way.done_in(&world, "b"), orders::all());
        // Its owner comes back, and reads on.
        let mut b = start(&world, way, "b", |settings| settings);
        a.shut_down();
        until(&mut [&mut b], |_| world.is_consumed());
        b.shut_down();
        assert_eq!(way.done_in(&world, "b"), orders::all());
    }
}

/// An archive to which nothing is shipped.
struct FetchOnly(FolderArchive);

impl Archive for FetchOnly {
    fn put(
        &mut self,
        _: &TopicPartition,
        _: &std::path::Path,
    ) -> Result<(), firstseen_kafka::BoxError> {
        Ok(())
    }

    fn fetch(
        &mut self,
        partition: &TopicPartition,
        dest: &std::path::Path,
    ) -> Result<bool, firstseen_kafka::BoxError> {
        self.0.fetch(partition, dest)
    }
}

#[test]
fn who_waits_for_a_store_goes_on_once_it_has_come() {
    for way in [Way::InStore, Way::InSink, Way::Transform] {
        let world = world();
        orders::produce_half(&world.cluster, 0);
        let mut a = start(&world, way, "a", |settings| settings);
        until(&mut [&mut a], |_| world.is_consumed());
        a.shut_down();
        orders::produce_half(&world.cluster, 1);
        let mut b = start(&world, way, "b", |settings| settings.archive(archive(&world)));
        steps(&mut b, 30);
        assert_eq!(waiting(&b).len(), 3);
        assert!(waiting(&b)[0].contains("is not here"), "{:?}", waiting(&b));
        assert_eq!(b.metrics().partitions[0].progress, None);
        for partition in 0..PARTITIONS {
            let checkpoint = world.folder_of("checkpoint");
            let _ = fs::remove_dir_all(&checkpoint);
            world.store("a", partition).checkpoint(&checkpoint).unwrap();
            archive(&world).put(&TopicPartition::new(TOPIC, partition), &checkpoint).unwrap();
        }
        until(&mut [&mut b], |_| world.is_consumed());
        b.shut_down();
        assert_eq!(way.done_in(&world, "b"), orders::all(), "{way:?}");
    }
}

#[test]
fn who_passes_goes_on_where_the_group_stands() {
    let world = world();
    orders::produce_half(&world.cluster, 0);
    let mut a = start(&world, Way::InSink, "a", |settings| settings);
    until(&mut [&mut a], |_| world.is_consumed());
    a.shut_down();
    let before = world.ledger.rows().len();
    for partition in 0..PARTITIONS {
        for key in ["new", "order-0-0"] {
            world.cluster.produce(TOPIC, partition, Produce::new(key, "1"));
        }
    }
    let pass = |settings: Settings| settings.on_incomplete(OnIncomplete::Pass);
    let mut b = start(&world, Way::InSink, "b", pass);
    until(&mut [&mut b], |_| world.is_consumed());
    b.shut_down();
    // Once for each partition, the known order too: its id is not known here.
    assert_eq!(world.ledger.rows().len() - before, 6);
    let mut b = start(&world, Way::InSink, "b", |settings| settings);
    until(&mut [&mut b], |all| reads(all[0], 3));
}

#[test]
fn a_lost_store_is_rebuilt_from_the_outputs() {
    let world = world();
    orders::produce_half(&world.cluster, 0);
    for partition in 0..PARTITIONS {
        // The last message makes no output.
        let copy = format!("order-{partition}-9");
        world.cluster.produce(TOPIC, partition, Produce::new(copy, "1"));
    }
    let mut a = start(&world, Way::Transform, "a", |settings| settings);
    until(&mut [&mut a], |_| world.is_consumed());
    kill(&world, a);
    fs::remove_dir_all(world.folder_of("a")).unwrap();
    orders::produce_half(&world.cluster, 1);
    let (outputs, asked) = Outputs::of(&world.cluster);
    let settings = world.settings("b").history(outputs);
    let mut b = world.start_with(Way::Transform, Process::new(), settings);
    until(&mut [&mut b], |_| world.is_consumed());
    let read = b.metrics().partitions.iter().map(|partition| partition.messages).sum::<u64>();
    assert_eq!(read, 30, "it reads on where the group stands");
    b.shut_down();
    assert_eq!(Way::Transform.done_in(&world, "b"), orders::all());
    assert_eq!(asked.borrow().len(), 3);
    let window = Timestamp::now() - Duration::from_secs(24 * 3600);
    assert!(asked.borrow().iter().all(|since| *since < window), "it needs the whole window");
}

#[test]
fn an_old_checkpoint_is_brought_up_to_date() {
    let world = world();
    let shipped = |settings: Settings| settings.archive(archive(&world));
    orders::produce_half(&world.cluster, 0);
    let mut a = start(&world, Way::Transform, "a", shipped);
    until(&mut [&mut a], |_| world.is_consumed());
    a.shut_down();
    let mut a = start(&world, Way::Transform, "a", shipped);
    orders::produce_half(&world.cluster, 1);
    until(&mut [&mut a], |_| world.is_consumed());
    kill(&world, a);
    fs::remove_dir_all(world.folder_of("a")).unwrap();
    let copies: Vec<_> = orders::all().into_keys().collect();
    for order in copies {
        let partition = order.split('-').nth(1).unwrap().parse().unwrap();
        world.cluster.produce(TOPIC, partition, Produce::new(order, "1"));
    }
    let (outputs, asked) = Outputs::of(&world.cluster);
    let settings = shipped(world.settings("b")).history(outputs);
    let mut b = world.start_with(Way::Transform, Process::new(), settings);
    until(&mut [&mut b], |_| world.is_consumed());
    b.shut_down();
    assert_eq!(Way::Transform.done_in(&world, "b"), orders::all());
    assert_eq!(asked.borrow().len(), 3);
    let hour = Timestamp::now() - Duration::from_secs(3600);
    assert!(asked.borrow().iter().all(|since| *since > hour), "only the gap");
}

#[test]
fn outputs_that_do_not_go_back_far_enough_are_incomplete() {
    let world = world();
    orders::produce_half(&world.cluster, 0);
    let mut a = start(&world, Way::Transform, "a", |settings| settings);
    until(&mut [&mut a], |_| world.is_consumed());
    kill(&world, a);
    world.cluster.trim(OUT, 0, 1);
    orders::produce_half(&world.cluster, 1);
    let rebuilt = |settings: Settings| settings.history(Outputs::of(&world.cluster).0);
    let mut b = start(&world, Way::Transform, "b", rebuilt);
    steps(&mut b, 30);
    assert_eq!(waiting(&b).len(), 3, "{:?}", b.metrics());
    b.shut_down();
    let pass = |settings: Settings| rebuilt(settings).on_incomplete(OnIncomplete::Pass);
    let mut b = start(&world, Way::Transform, "b", pass);
    until(&mut [&mut b], |_| world.is_consumed());
    b.shut_down();
    let done = Way::Transform.done_in(&world, "b");
    // The output that is gone is not seen any more, unless its order came again: nobody knew it.
    assert!(orders::all().len() - done.len() <= 1, "nothing is lost: {done:?}");
    assert!(done.values().all(|times| *times == 1), "what is known is not done again: {done:?}");
}

/// Of several partitions of outputs the one that has lost most decides, though another goes back far enough.
#[test]
fn one_partition_of_the_outputs_that_is_too_short_makes_a_store_incomplete() {
    let world = world();
    for (place, hours) in [(0, 72), (1, 1)] {
        for order in 0..20 {
            let time = Timestamp::now() - Duration::from_secs(hours * 3600);
            let order = Produce::new(format!("order-0-{place}-{order}"), "1").at(time);
            world.cluster.produce(TOPIC, 0, order);
        }
    }
    let mut a = start(&world, Way::Transform, "a", |settings| settings);
    until(&mut [&mut a], |_| world.is_consumed());
    kill(&world, a);
    let whole = world.cluster.bounds(OUT, 1);
    assert!(whole.first == 0 && whole.end > 0, "{whole:?}");
    world.cluster.trim(OUT, 0, world.cluster.bounds(OUT, 0).end - 1);
    let rebuilt = |settings: Settings| settings.history(Outputs::of(&world.cluster).0);
    let mut b = start(&world, Way::Transform, "b", rebuilt);
    steps(&mut b, 30);
    assert_eq!(waiting(&b).len(), 3, "{:?}", b.metrics());
}

#[test]
fn messages_that_are_gone_are_waited_for_or_passed() {
    let world = world();
    orders::produce_half(&world.cluster, 0);
    let mut a = start(&world, Way::InStore, "a", |settings| settings);
    until(&mut [&mut a], |_| world.is_consumed());
    a.shut_down();
    orders::produce_half(&world.cluster, 1);
    world.cluster.trim(TOPIC, 1, 14);
    let mut a = start(&world, Way::InStore, "a", |settings| settings);
    steps(&mut a, 50);
    let why = waiting(&a);
    assert_eq!(why, ["window incomplete: offset 10 is to be read, and the broker keeps 14 to 20"]);
    let others = a.metrics().partitions.into_iter().filter(|other| other.progress == Some(20));
    assert_eq!(others.count(), 2, "the others go on");
    a.shut_down();
    let pass = |settings: Settings| settings.on_incomplete(OnIncomplete::Pass);
    let mut a = start(&world, Way::InStore, "a", pass);
    until(&mut [&mut a], |_| world.is_consumed());
    a.shut_down();
    let done = counted_in(&world.store("a", 1));
    assert!(done.contains_key("order-1-14") && !done.contains_key("order-1-13"), "{done:?}");
    assert!(done.values().all(|times| *times == 1));
}

#[test]
fn a_zombie_is_refused_and_its_store_is_stale() {
    for way in [Way::InSink, Way::Transform] {
        let world = world();
        orders::produce_half(&world.cluster, 0);
        let mut zombie = start(&world, way, "a", |settings| settings);
        until(&mut [&mut zombie], |_| world.is_consumed());
        let member = world.cluster.member_of(GROUP, &zombie.process).unwrap();
        world.cluster.set_deaf(member, true);
        world.cluster.expel(GROUP, member);
        let pass = |settings: Settings| settings.on_incomplete(OnIncomplete::Pass);
        let mut owner = start(&world, way, "b", pass);
        until(&mut [&mut owner], |all| reads(all[0], 3));
        let tenures = || (0..PARTITIONS).map(|p| world.cluster.committed(GROUP, TOPIC, p).unwrap());
        let before: Vec<_> = tenures().collect();
        for partition in 0..PARTITIONS {
            for n in 0..10 {
                let order = format!("order-{partition}-9{n}");
                world.cluster.produce(TOPIC, partition, Produce::new(order, "1"));
            }
        }
        // It works on, before the owner has done anything.
        steps(&mut zombie, 40);
        assert_eq!(tenures().collect::<Vec<_>>(), before, "{way:?}: its commits are refused");
        until(&mut [&mut owner, &mut zombie], |_| world.is_consumed());
        let done = way.done_in(&world, "b");
        assert!(done.values().all(|times| *times == 1), "{way:?}: {done:?}");
        assert_eq!(done.keys().filter(|order| order.contains("-9")).count(), 30 + 3, "{way:?}");
        // It hears of it, and gets the partitions back.
        world.cluster.set_deaf(member, false);
        owner.shut_down();
        steps(&mut zombie, 50);
        assert_eq!(waiting(&zombie).len(), 3, "{way:?}");
        assert!(waiting(&zombie)[0].contains("window incomplete"), "{:?}", waiting(&zombie));
        assert_eq!(zombie.metrics().lost, 3);
        assert_eq!(world.cluster.violations(), [""; 0]);
    }
}

#[test]
fn what_a_zombie_does_in_its_own_store_harms_nobody() {
    let world = world();
    orders::produce_half(&world.cluster, 0);
    let mut zombie = start(&world, Way::InStore, "a", |settings| settings);
    until(&mut [&mut zombie], |_| world.is_consumed());
    let member = world.cluster.member_of(GROUP, &zombie.process).unwrap();
    world.cluster.set_deaf(member, true);
    world.cluster.expel(GROUP, member);
    orders::produce_half(&world.cluster, 1);
    steps(&mut zombie, 40);
    let committed = world.cluster.committed(GROUP, TOPIC, 0).unwrap();
    assert_eq!(committed.next, 10, "its commits are refused");
    world.cluster.set_deaf(member, false);
    until(&mut [&mut zombie], |_| world.is_consumed());
    zombie.shut_down();
    assert_eq!(Way::InStore.done_in(&world, "a"), orders::all());
}

#[test]
fn a_store_that_is_open_elsewhere_is_waited_for() {
    let world = world();
    orders::produce_half(&world.cluster, 0);
    let mut zombie = world.start(Way::InSink, Process::new());
    until(&mut [&mut zombie], |_| world.is_consumed());
    world.expel(&zombie.process);
    let mut owner = world.start(Way::InSink, Process::new());
    steps(&mut owner, 10);
    assert_eq!(waiting(&owner), ["its store is open elsewhere"; 3]);
    kill(&world, zombie);
    orders::produce_half(&world.cluster, 1);
    until(&mut [&mut owner], |_| world.is_consumed());
    owner.shut_down();
    assert_eq!(Way::InSink.done(&world), orders::all());
}

#[test]
fn a_rebuilt_store_does_not_pass_what_failed() {
    // The work on an order fails, the consumer stops, and its store is lost: wherever in a batch it was.
    let mut stopped = 0;
    for step in 1..90 {
        let world = world();
        orders::produce_half(&world.cluster, 0);
        let settings = world.settings("a").on_error(|_| OnError::Stop);
        let mut a = world.start_with(Way::Transform, Process::new(), settings);
        a.process.plan(step, When::Before, Harm::Fault(FaultKind::Transient));
        while a.runs() && !world.is_consumed() {
            if let Alive::Stopped(error) = a.step() {
                assert!(matches!(error, Error::Work { .. }), "{error}");
                stopped += 1;
            }
        }
        kill(&world, a);
        fs::remove_dir_all(world.folder_of("a")).unwrap();
        orders::produce_half(&world.cluster, 1);
        let settings = world.settings("b").history(Outputs::of(&world.cluster).0);
        let mut b = world.start_with(Way::Transform, Process::new(), settings);
        until(&mut [&mut b], |_| world.is_consumed());
        b.shut_down();
        assert_eq!(Way::Transform.done_in(&world, "b"), orders::all(), "step {step}");
    }
    assert!(stopped > 10, "the work was among those steps: {stopped}");
}

#[test]
fn who_was_replaced_while_it_waited_shuts_nobody_out() {
    // It waits for its store, does not hear that it was expelled, and tries again and again.
    for way in [Way::InSink, Way::Transform] {
        let world = world();
        orders::produce_half(&world.cluster, 0);
        let mut owner = start(&world, way, "b", |settings| settings);
        until(&mut [&mut owner], |_| world.is_consumed());
        owner.shut_down();
        let mut zombie = start(&world, way, "a", |settings| settings);
        steps(&mut zombie, 10);
        assert_eq!(waiting(&zombie).len(), 3);
        let member = world.cluster.member_of(GROUP, &zombie.process).unwrap();
        world.cluster.set_deaf(member, true);
        world.cluster.expel(GROUP, member);
        let mut owner = start(&world, way, "b", |settings| settings);
        until(&mut [&mut owner, &mut zombie], |all| reads(all[0], 3));
        orders::produce_half(&world.cluster, 1);
        until(&mut [&mut owner, &mut zombie], |_| world.is_consumed());
        let failures =
            owner.metrics().partitions.iter().map(|partition| partition.failures).sum::<u64>();
        assert_eq!(failures, 0, "{way:?}: it was not disturbed");
        owner.shut_down();
        assert_eq!(way.done_in(&world, "b"), orders::all(), "{way:?}");
    }
}
