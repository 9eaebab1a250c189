//! What the loop does with messages, errors and time, by one consumer unless it says otherwise.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use firstseen::Timestamp;
use firstseen_kafka::testing::{
    Cluster, Harm, Isolation, Member, Process, Produce, Protocol, When,
};
use firstseen_kafka::{
    BackOff, Bounds, Client, Committed, Consumer, Error, Fault, FaultKind, Filter, IdFrom, InSink,
    InStore, Inbox, Message, Metrics, OnError, PartitionState, Reason, Rebalance, Settings, Start,
    TimeFrom, TopicPartition, Work,
};

use support::orders::TOPIC;
use support::world::{GROUP, World};

/// A world with one topic, whose partitions are empty.
fn world() -> World {
    World::new(Protocol::Cooperative)
}

/// Writes records with these keys to a partition.
fn produce(cluster: &Cluster, partition: i32, keys: &[&str]) {
    for key in keys {
        cluster.produce(TOPIC, partition, Produce::new(key, "1"));
    }
}

/// A client that goes back to the beginning once, by itself.
struct Rewinding {
    member: Member,
    reads: u32,
}

impl Client for Rewinding {
    type Group = firstseen_kafka::testing::Group;

    fn poll(&mut self, timeout: Duration, inbox: &mut dyn Inbox) -> Polled {
        self.reads += 1;
        if self.reads == 10 {
            self.member.read_from(&TopicPartition::new(TOPIC, 0), 0)?;
        }
        self.member.poll(timeout, inbox)
    }

    fn accept(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault> {
        self.member.accept(partitions)
    }

    fn give_up(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault> {
        self.member.give_up(partitions)
    }

    fn read_from(&mut self, partition: &TopicPartition, next: u64) -> Result<(), Fault> {
        self.member.read_from(partition, next)
    }

    fn hold(&mut self, partition: &TopicPartition) -> Result<(), Fault> {
        self.member.hold(partition)
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<Committed>, Fault> {
        self.member.committed(partition)
    }

    fn commit(&mut self, at: &TopicPartition, next: &Committed, wait: bool) -> Result<(), Fault> {
        self.member.commit(at, next, wait)
    }

    fn bounds(&mut self, partition: &TopicPartition) -> Result<Bounds, Fault> {
        self.member.bounds(partition)
    }

    fn group(&mut self) -> Result<Self::Group, Fault> {
        self.member.group()
    }

    fn leave(&mut self) -> Result<(), Fault> {
        self.member.leave()
    }
}

type Polled = Result<Option<Rebalance>, Fault>;

/// What was worked on.
type Seen = Rc<RefCell<Vec<String>>>;

/// A consumer of all partitions.
fn consumer<W: Work<Member>>(world: &World, settings: Settings, work: W) -> Consumer<Member, W> {
    let member = world.cluster.join(GROUP, &Process::new(), Isolation::ReadCommitted);
    Consumer::new(member, work, settings).unwrap()
}

/// Works in the store on messages, fails where `fails` says.
fn noting<C: Client>(fails: impl Fn(&str) -> bool) -> (Seen, impl Work<C>) {
    let seen = Seen::default();
    let noted = Rc::clone(&seen);
    let work = InStore::new(move |message: &Message<'_>, step: &mut firstseen::Step<'_>| {
        let payload = message.payload.unwrap_or_default();
        let what = message.key.unwrap_or(payload);
        let what = String::from_utf8(what.to_vec())?;
        step.put_state(&what, "done");
        if fails(&what) {
            return Err("it fails".into());
        }
        noted.borrow_mut().push(what);
        Ok(())
    });
    (seen, work)
}

/// Steps until `done`, for at most ten seconds.
fn until<C: Client, W: Work<C>>(consumer: &mut Consumer<C, W>, done: impl Fn(&Metrics) -> bool) {
    let started = Instant::now();
    while !done(&consumer.metrics()) {
        consumer.step().unwrap();
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", consumer.metrics());
    }
}

/// Whether so many messages went through.
fn messages(count: u64) -> impl Fn(&Metrics) -> bool {
    move |metrics| sum(metrics, |partition| partition.messages) >= count
}

fn sum(metrics: &Metrics, of: impl Fn(&firstseen_kafka::PartitionMetrics) -> u64) -> u64 {
    metrics.partitions.iter().map(of).sum()
}

/// Whether all three partitions are read.
fn all_read(metrics: &Metrics) -> bool {
    let reading =
        |partition: &&firstseen_kafka::PartitionMetrics| partition.state == PartitionState::Reading;
    metrics.partitions.iter().filter(reading).count() == 3
}

#[test]
fn ids_come_from_keys_headers_and_functions() {
    let header = IdFrom::Header("id".into());
    let function = IdFrom::Function(Box::new(|message, id| {
        id.extend_from_slice(&message.payload.ok_or("it has no payload")?[..1]);
        Ok(())
    }));
    let cases = [(IdFrom::Key, "a b c"), (header, "a a"), (function, "a b")];
    for (id_from, expected) in cases {
        let world = world();
        for (key, header, payload) in
            [("a", "1", "x1"), ("b", "1", "y1"), ("a", "2", "x2"), ("c", "2", "y2")]
        {
            world.cluster.produce(TOPIC, 0, Produce::new(key, payload).header("id", header));
        }
        let (seen, work) = noting(|_| false);
        let mut consumer = consumer(&world, world.settings("one").id_from(id_from), work);
        until(&mut consumer, messages(4));
        assert_eq!(seen.borrow().join(" "), expected);
    }
}

#[test]
fn poison_without_dead_letters_stops_at_its_place() {
    let world = world();
    produce(&world.cluster, 1, &["a"]);
    let keyless = Produce { payload: Some(b"x".to_vec()), ..Produce::default() };
    world.cluster.produce(TOPIC, 1, keyless);
    let (seen, work) = noting(|_| false);
    let mut consumer = consumer(&world, world.settings("one").batch_messages(1), work);
    let error = loop {
        if let Err(error) = consumer.step() {
            break error;
        }
    };
    let Error::Poison { partition, offset, reason: Reason::NoId(_) } = error else {
        panic!("{error}")
    };
    assert_eq!((partition, offset), (TopicPartition::new(TOPIC, 1), 1));
    assert_eq!(*seen.borrow(), ["a"]);
}

/// Dead letters that are taken: partition, offset, reason.
type Letters = Rc<RefCell<Vec<(i32, u64, Reason)>>>;

fn letters(settings: Settings) -> (Letters, Settings) {
    let letters = Letters::default();
    let taken = Rc::clone(&letters);
    let settings = settings.dead_letters(
        move |partition: &TopicPartition, message: &Message<'_>, reason: &Reason| {
            taken.borrow_mut().push((partition.partition, message.offset, reason.clone()));
            Ok(())
        },
    );
    (letters, settings)
}

#[test]
fn dead_letters_have_place_and_reason() {
    let world = world();
    let start = Timestamp::from_secs(1_700_000_000);
    let hour = Duration::from_secs(3600);
    let at = |key: &str, payload: &str, time| {
        world.cluster.produce(TOPIC, 2, Produce::new(key, payload).at(time));
    };
    at("a", "1", start);
    at("b", "1", start + hour * 48);
    at("late", "1", start);
    at("b", "other", start + hour * 48);
    let keyless = Produce { payload: Some(b"x".to_vec()), ..Produce::default() };
    world.cluster.produce(TOPIC, 2, Produce { time: Some(start + hour * 48), ..keyless });
    at("failing", "1", start + hour * 48);
    at("c", "1", start + hour * 48);
    let settings = world.settings("one").check_payloads(true).on_error(|failure| {
        assert_eq!((failure.attempts, failure.whole_batch), (1, false));
        OnError::DeadLetter
    });
    let (letters, settings) = letters(settings);
    let (seen, work) = noting(|what| what == "failing");
    let mut consumer = consumer(&world, settings, work);
    until(&mut consumer, |metrics| {
        metrics.partitions.iter().any(|partition| partition.progress == Some(7))
    });
    assert_eq!(*seen.borrow(), ["a", "b", "c"]);
    let letters = letters.borrow();
    let places: Vec<u64> = letters.iter().map(|(_, offset, _)| *offset).collect();
    assert_eq!(places, [2, 3, 4, 5]);
    assert!(letters.iter().all(|(partition, ..)| *partition == 2));
    assert_eq!(letters[0].2, Reason::Late);
    assert_eq!(letters[1].2, Reason::Mismatch);
    assert!(matches!(&letters[2].2, Reason::NoId(_)));
    assert_eq!(letters[3].2, Reason::Failed("it fails".into()));
    let metrics = consumer.metrics();
    assert_eq!(sum(&metrics, |partition| partition.lates), 1);
    assert_eq!(sum(&metrics, |partition| partition.dead_letters), 4);
    drop(consumer);
    assert_eq!(world.store("one", 2).state("failing").unwrap(), None, "its work was undone");
}

#[test]
fn a_dead_letter_is_sent_once_though_its_batch_is_tried_again() {
    let world = world();
    produce(&world.cluster, 0, &["failing"]);
    let keyless = Produce { payload: Some(b"x".to_vec()), ..Produce::default() };
    world.cluster.produce(TOPIC, 0, keyless);
    let tries = Rc::new(Cell::new(0));
    let (settings, tried) = (world.settings("one"), Rc::clone(&tries));
    let (letters, settings) = letters(settings.on_error(move |failure| {
        tried.set(tried.get() + 1);
        assert_eq!(failure.attempts, tried.get(), "they are counted");
        OnError::Retry
    }));
    let left = Cell::new(3);
    let (seen, work) = noting(move |_| left.replace(left.get() - 1) > 0);
    let mut consumer = consumer(&world, settings, work);
    until(&mut consumer, |metrics| {
        metrics.partitions.iter().any(|partition| partition.progress == Some(2))
    });
    assert_eq!((&**seen.borrow(), tries.get()), (&["failing".to_owned()][..], 3));
    assert_eq!(letters.borrow().len(), 1);
    assert_eq!(sum(&consumer.metrics(), |partition| partition.failures), 3);
}

#[test]
fn errors_undo_the_failing_message_alone_and_others_go_on() {
    let world = world();
    produce(&world.cluster, 0, &["a", "failing", "b"]);
    produce(&world.cluster, 1, &["c", "d"]);
    let attempts = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&attempts);
    let long = Duration::from_secs(3600);
    let settings = world.settings("one").back_off(BackOff { first: long, most: long });
    let settings = settings.on_error(move |failure| {
        noted.borrow_mut().push((failure.message.offset, failure.attempts));
        OnError::Retry
    });
    let (seen, work) = noting(|what| what == "failing");
    let mut consumer = consumer(&world, settings, work);
    until(&mut consumer, |metrics| sum(metrics, |partition| partition.new) >= 2);
    for _ in 0..10 {
        consumer.step().unwrap();
    }
    let mut sorted = seen.borrow().clone();
    sorted.sort();
    assert_eq!(sorted, ["a", "c", "d"]);
    assert_eq!(*attempts.borrow(), [(1, 1)], "it backs off");
    let failing = consumer.metrics().partitions;
    let failing = failing.iter().find(|partition| partition.partition.partition == 0).unwrap();
    assert_eq!(failing.state, PartitionState::BackingOff);
    assert_eq!(failing.progress, Some(1), "what came before it is committed");
    drop(consumer);
    assert_eq!(world.store("one", 0).state("failing").unwrap(), None);
    assert_eq!(world.store("one", 0).state("a").unwrap().as_deref(), Some(&b"done"[..]));
}

#[test]
fn attempts_are_counted_for_whole_batches_too() {
    // Nothing is committed yet, or a gap lies between the progress and the batch.
    let world = world();
    produce(&world.cluster, 0, &["x", "y", "a"]);
    world.cluster.trim(TOPIC, 0, 2);
    let counted = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&counted);
    let settings = world.settings("one").on_error(move |failure| {
        assert!(failure.whole_batch);
        noted.borrow_mut().push(failure.attempts);
        OnError::DeadLetter
    });
    let left = Cell::new(3);
    let work =
        Filter::new(
            move |_: &TopicPartition, _: &mut dyn Iterator<Item = Message<'_>>| {
                if left.replace(left.get() - 1) > 0 { Err("not yet".into()) } else { Ok(()) }
            },
        );
    let mut consumer = consumer(&world, settings, work);
    until(&mut consumer, messages(1));
    assert_eq!(*counted.borrow(), [1, 2, 3], "a batch is tried again, whatever is said");
}

#[test]
fn an_error_stops_if_that_is_said() {
    let world = world();
    produce(&world.cluster, 0, &["a", "failing"]);
    let (seen, work) = noting(|what| what == "failing");
    let settings = world.settings("one").on_error(|_| OnError::Stop);
    let mut consumer = consumer(&world, settings, work);
    let error = loop {
        if let Err(error) = consumer.step() {
            break error;
        }
    };
    assert!(matches!(error, Error::Work { offset: 1, .. }), "{error}");
    assert_eq!(*seen.borrow(), ["a"]);
}

/// A way of working that notes how large batches are.
fn batches() -> (Rc<RefCell<Vec<usize>>>, impl Work<Member>) {
    let sizes = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&sizes);
    let work =
        Filter::new(move |_: &TopicPartition, messages: &mut dyn Iterator<Item = Message<'_>>| {
            noted.borrow_mut().push(messages.count());
            Ok(())
        });
    (sizes, work)
}

#[test]
fn batches_are_cut_by_number_bytes_and_time() {
    let keys: Vec<String> = (0..10).map(|n| format!("key-{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let long = Duration::from_secs(3600);
    let cut = |adapt: &dyn Fn(Settings) -> Settings| {
        let world = world();
        produce(&world.cluster, 0, &keys);
        let (sizes, work) = batches();
        let settings = adapt(world.settings("one").linger(long).batch_messages(100));
        let mut consumer = consumer(&world, settings, work);
        for _ in 0..20 {
            consumer.step().unwrap();
        }
        sizes.take()
    };
    assert_eq!(cut(&|settings| settings.batch_messages(3)), [3, 3, 3], "the tenth waits");
    // A message has five bytes of key and one of payload.
    assert_eq!(cut(&|settings| settings.batch_bytes(24)), [4, 4]);
    assert_eq!(cut(&|settings| settings), [0; 0]);
    assert_eq!(cut(&|settings| settings.buffer_bytes(30)), [8]);
    assert_eq!(cut(&|settings| settings.linger(Duration::ZERO)), [8, 2]);
}

#[test]
fn what_was_done_is_not_done_again_by_a_reset_offset() {
    let world = world();
    produce(&world.cluster, 0, &["a", "b", "a"]);
    let (seen, work) = noting(|_| false);
    let mut one = consumer(&world, world.settings("one"), work);
    until(&mut one, messages(3));
    one.shut_down().unwrap();
    assert_eq!(*seen.borrow(), ["a", "b"]);
    // A tool resets the group, backward or forward: the store's progress counts.
    for (next, new) in [(None, "c"), (Some(0), "d"), (Some(9), "e")] {
        let committed = next.map(|next| Committed { next, metadata: String::new() });
        produce(&world.cluster, 0, &[new, "b"]);
        world.cluster.set_committed(GROUP, TOPIC, 0, committed);
        let (seen, work) = noting(|_| false);
        let mut two = consumer(&world, world.settings("one"), work);
        until(&mut two, messages(2));
        let metrics = two.metrics();
        two.shut_down().unwrap();
        assert_eq!(*seen.borrow(), [new], "{next:?}");
        assert_eq!(sum(&metrics, |partition| partition.duplicates), 1);
        assert_eq!(sum(&metrics, |partition| partition.replays), 0, "it is not read again");
    }
}

#[test]
fn offsets_below_the_progress_are_replays() {
    // A client that gives them all the same, as one does whose rewind came too late.
    let world = world();
    produce(&world.cluster, 0, &["a", "b", "c"]);
    let member = world.cluster.join(GROUP, &Process::new(), Isolation::ReadCommitted);
    let (seen, work) = noting(|_| false);
    let client = Rewinding { member, reads: 0 };
    let mut consumer = Consumer::new(client, work, world.settings("one")).unwrap();
    for _ in 0..20 {
        consumer.step().unwrap();
    }
    assert_eq!(*seen.borrow(), ["a", "b", "c"]);
    let metrics = consumer.metrics();
    assert_eq!(sum(&metrics, |partition| partition.replays), 3);
    assert_eq!(sum(&metrics, |partition| partition.new), 3);
}

#[test]
fn what_is_in_doubt_waits_for_the_sink() {
    let world = world();
    let sink = world.ledger.connect(&Process::new());
    let mut consumer = consumer(&world, world.settings("one"), InSink::new(sink));
    until(&mut consumer, all_read);
    produce(&world.cluster, 0, &["a", "b"]);
    world.ledger.go_away(6);
    until(&mut consumer, |metrics| sum(metrics, |partition| partition.in_doubt) == 1);
    let partition = consumer.metrics().partitions;
    let partition = partition.iter().find(|partition| partition.in_doubt == 1).unwrap();
    assert_eq!(partition.progress, Some(0), "nothing is committed");
    until(&mut consumer, messages(2));
    assert_eq!(world.ledger.rows(), ["a", "b"]);
    assert_eq!(sum(&consumer.metrics(), |partition| partition.in_doubt), 0);
    assert_eq!(sum(&consumer.metrics(), |partition| partition.settled), 1);
}

#[test]
fn a_graceful_stop_commits_and_the_next_owner_starts_at_once() {
    for protocol in [Protocol::Eager, Protocol::Cooperative] {
        let world = World::new(protocol);
        produce(&world.cluster, 0, &["a", "b"]);
        let (seen, work) = noting(|_| false);
        let long = Duration::from_secs(3600);
        let settings = world.settings("one").linger(long).batch_messages(100).commit_every(long);
        let mut one = consumer(&world, settings, work);
        until(&mut one, all_read);
        for _ in 0..5 {
            one.step().unwrap();
        }
        assert!(seen.borrow().is_empty(), "they are gathered");
        let stop = one.stop_handle();
        stop.stop();
        one.run().unwrap();
        assert_eq!(*seen.borrow(), ["a", "b"], "what was gathered is worked on");
        assert_eq!(world.cluster.committed(GROUP, TOPIC, 0).unwrap().next, 2);
        assert!(one.metrics().partitions.is_empty());
        assert_eq!(one.metrics().revoked, 3);
        // It has not been dropped, and its stores are free.
        let (_, work) = noting(|_| false);
        let mut two = consumer(&world, world.settings("one"), work);
        for _ in 0..4 {
            two.step().unwrap();
        }
        assert!(all_read(&two.metrics()), "{:?}", two.metrics());
    }
}

#[test]
fn metrics_and_the_groups_offsets_follow() {
    let world = world();
    let keys: Vec<String> = (0..9).map(|n| format!("{}", n % 6)).collect();
    produce(&world.cluster, 0, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    let (_, work) = noting(|_| false);
    let mut consumer = consumer(&world, world.settings("one").batch_messages(2), work);
    until(&mut consumer, |metrics| {
        metrics.partitions.iter().any(|partition| partition.progress == Some(2))
    });
    let metrics = consumer.metrics();
    let partition = metrics.partitions.iter().find(|p| p.partition.partition == 0).unwrap();
    assert_eq!((partition.lag, partition.messages), (Some(7), 2));
    until(&mut consumer, messages(9));
    consumer.step().unwrap();
    let metrics = consumer.metrics();
    let partition = metrics.partitions.iter().find(|p| p.partition.partition == 0).unwrap();
    assert_eq!((partition.new, partition.duplicates, partition.lag), (6, 3, Some(0)));
    assert_eq!((partition.replays, partition.failures), (0, 0));
    assert_eq!(world.cluster.committed(GROUP, TOPIC, 0).unwrap().next, 9);
    assert_eq!((metrics.assigned, metrics.revoked, metrics.lost), (3, 0, 0));
}

#[test]
fn partitions_by_hand_need_no_group() {
    let world = world();
    produce(&world.cluster, 0, &["a"]);
    produce(&world.cluster, 1, &["b", "b"]);
    let by_hand = [TopicPartition::new(TOPIC, 1)];
    let run = |expected: &[&str]| {
        let client = world.cluster.assign(GROUP, &by_hand, &Process::new());
        let (seen, work) = noting(|_| false);
        let mut consumer = Consumer::new(client, work, world.settings("one")).unwrap();
        until(&mut consumer, messages(expected.len() as u64));
        for _ in 0..5 {
            consumer.step().unwrap();
        }
        consumer.shut_down().unwrap();
        assert_eq!(*seen.borrow(), expected);
    };
    run(&["b"]);
    assert_eq!(world.cluster.committed(GROUP, TOPIC, 1).unwrap().next, 2);
    produce(&world.cluster, 1, &["c"]);
    run(&["c"]);
}

#[test]
fn a_new_group_starts_where_it_is_told() {
    let world = world();
    produce(&world.cluster, 0, &["a"]);
    let (seen, work) = noting(|_| false);
    let settings = || world.settings("one").start(Start::Next);
    let mut one = consumer(&world, settings(), work);
    until(&mut one, all_read);
    drop(one);
    let gone = world.cluster.members(GROUP);
    world.cluster.expel(GROUP, gone[0]);
    // What comes while nobody is there is not passed.
    produce(&world.cluster, 0, &["b"]);
    let (later, work) = noting(|_| false);
    let mut two = consumer(&world, settings(), work);
    until(&mut two, messages(1));
    assert_eq!((seen.borrow().len(), &**later.borrow()), (0, &["b".to_owned()][..]));
}

#[test]
fn nothing_is_late_by_its_arrival() {
    let world = world();
    let start = Timestamp::from_secs(1_700_000_000);
    for (key, time) in [("a", start + Duration::from_secs(200_000)), ("b", start)] {
        world.cluster.produce(TOPIC, 0, Produce::new(key, "1").at(time));
    }
    let (seen, work) = noting(|_| false);
    let settings = world.settings("one").time_from(TimeFrom::Arrival);
    let mut consumer = consumer(&world, settings, work);
    until(&mut consumer, messages(2));
    assert_eq!(*seen.borrow(), ["a", "b"]);
}

#[test]
fn a_client_of_no_more_use_stops_it() {
    let world = world();
    let process = Process::new();
    process.plan(1, When::Before, Harm::Fault(FaultKind::Fatal));
    let member = world.cluster.join(GROUP, &process, Isolation::ReadCommitted);
    let (_, work) = noting(|_| false);
    let mut consumer = Consumer::new(member, work, world.settings("one")).unwrap();
    assert!(matches!(consumer.step(), Err(Error::Client(_))));
}

#[test]
fn an_offset_that_was_refused_later_is_committed_again() {
    let world = world();
    produce(&world.cluster, 0, &["a", "b"]);
    let (_, work) = noting(|_| false);
    let mut consumer = consumer(&world, world.settings("one"), work);
    until(&mut consumer, messages(2));
    let next = || world.cluster.committed(GROUP, TOPIC, 0).map(|committed| committed.next);
    assert_eq!(next(), Some(2));
    // The commit was not waited for, so nobody is told that the broker did not take it.
    world.cluster.set_committed(GROUP, TOPIC, 0, None);
    until(&mut consumer, |_| next() == Some(2));
}
