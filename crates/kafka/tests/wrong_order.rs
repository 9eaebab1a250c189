//! The article's consumer beside ours: ids in a set in memory, and offset, id and work in three steps, in
//! whichever order. Both meet the same crashes on the same cluster, and both are counted.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use firstseen_kafka::testing::{Harm, Isolation, Member, Process, Protocol, When};
use firstseen_kafka::{Client, Committed, Fault, Inbox, Message, Rebalance, TopicPartition};

use support::machine::{Consumes, Machine};
use support::orders;
use support::sink::key_of;
use support::ways::Way;
use support::world::{GROUP, World};

/// One of the three steps that the article's consumer takes for a message that is new to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Commit the offset behind the message.
    Offset,
    /// Put its id into the set.
    Id,
    /// Do what it asks for.
    Work,
}

/// The consumer of the article.
struct Article {
    member: Member,
    process: Process,
    order: [Step; 3],
    /// The ids that were processed; gone with the process.
    seen: HashSet<String>,
    done: support::ways::Handed,
}

/// What a poll brought.
#[derive(Default)]
struct Polled(Vec<(TopicPartition, u64, String)>);

impl Inbox for Polled {
    fn take(&mut self, topic: &str, partition: i32, message: &Message<'_>) {
        self.0.push((TopicPartition::new(topic, partition), message.offset, key_of(message)));
    }
}

impl Article {
    fn poll(&mut self) -> Result<(), Fault> {
        let mut polled = Polled::default();
        match self.member.poll(Duration::ZERO, &mut polled)? {
            Some(Rebalance::Assigned(partitions)) => {
                self.member.accept(&partitions)?;
                for partition in &partitions {
                    let committed = self.member.committed(partition)?;
                    self.member.read_from(partition, committed.map_or(0, |found| found.next))?;
                }
            }
            Some(Rebalance::Revoked(partitions) | Rebalance::Lost(partitions)) => {
                self.member.give_up(&partitions)?;
            }
            None => {}
        }
        for (partition, offset, id) in polled.0 {
            let known = self.seen.contains(&id);
            let committed = Committed { next: offset + 1, metadata: String::new() };
            for step in self.order {
                match step {
                    Step::Offset => self.member.commit(&partition, &committed, true)?,
                    Step::Id => drop(self.seen.insert(id.clone())),
                    Step::Work if known => {}
                    Step::Work => self.process.step("work", || {
                        self.done.lock().unwrap().push(id.clone());
                        Ok(())
                    })?,
                }
            }
        }
        Ok(())
    }
}

impl Consumes for Article {
    fn step(&mut self) -> firstseen_kafka::Result<()> {
        Ok(self.poll()?)
    }

    fn shut_down(&mut self) -> firstseen_kafka::Result<()> {
        Ok(())
    }

    fn metrics(&self) -> firstseen_kafka::Metrics {
        firstseen_kafka::Metrics::default()
    }
}

/// What came of all crash points together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    crashes: u64,
    lost: u64,
    doubled: u64,
}

/// Lets one consumer crash at every one of its calls, on both sides, and be started anew each time.
fn tally(
    start: impl Fn(&World, &Process) -> Box<dyn Consumes>,
    done: impl Fn(&World) -> BTreeMap<String, u64>,
) -> Tally {
    let mut tally = Tally::default();
    let (steps, world) = consume(&start, None);
    assert_eq!(done(&world), orders::all(), "without a crash every order is worked on once");
    for step in 1..=steps {
        for when in [When::Before, When::After] {
            let (_, world) = consume(&start, Some((step, when)));
            let done = done(&world);
            tally.crashes += 1;
            tally.lost += orders::all().keys().filter(|id| !done.contains_key(*id)).count() as u64;
            tally.doubled += done.values().map(|times| times - 1).sum::<u64>();
        }
    }
    tally
}

/// Consumes all orders, and crashes once if that is planned. Returns the steps of the first life.
fn consume(
    start: &impl Fn(&World, &Process) -> Box<dyn Consumes>,
    crash: Option<(u64, When)>,
) -> (u64, World) {
    let world = World::new(Protocol::Eager);
    orders::produce_half(&world.cluster, 0);
    orders::produce_half(&world.cluster, 1);
    let first = Process::new();
    if let Some((step, when)) = crash {
        first.plan(step, when, Harm::Kill);
    }
    let mut process = first.clone();
    let mut machine = Machine::start(process.clone(), |process| start(&world, process));
    // Some rounds more, in which what is in doubt is settled.
    let mut more = 20;
    for round in 0.. {
        assert!(round < 1_000, "it hangs");
        let _ = machine.step();
        if !machine.runs() {
            world.expel(&process);
            process = Process::new();
            machine = Machine::start(process.clone(), |process| start(&world, process));
        }
        more -= u64::from(world.is_consumed());
        if more == 0 {
            break;
        }
    }
    drop(machine);
    (first.steps(), world)
}

fn article(order: [Step; 3]) -> Tally {
    tally(
        |world, process| {
            Box::new(Article {
                member: world.cluster.join(GROUP, process, Isolation::ReadCommitted),
                process: process.clone(),
                order,
                seen: HashSet::new(),
                done: Arc::clone(&world.handed),
            })
        },
        |world| orders::counted(world.handed.lock().unwrap().clone()),
    )
}

#[test]
fn the_article_doubles() {
    // The set is gone with the process, and so every copy that comes after the crash is new.
    let tally = article([Step::Work, Step::Offset, Step::Id]);
    assert_eq!(tally, Tally { crashes: 280, lost: 0, doubled: 608 });
}

#[test]
fn the_offset_before_the_work_loses() {
    let tally = article([Step::Offset, Step::Work, Step::Id]);
    assert_eq!(tally, Tally { crashes: 280, lost: 72, doubled: 518 });
}

#[test]
fn the_work_before_the_offset_doubles() {
    let tally = article([Step::Work, Step::Id, Step::Offset]);
    assert_eq!(tally, Tally { crashes: 280, lost: 0, doubled: 608 });
}

#[test]
fn ours_is_exact_in_every_way_that_promises_it() {
    for way in Way::ONCE {
        let tally = tally(
            |world, process| way.consumer(world, process, world.settings("shared")),
            |world| way.done(world),
        );
        assert!(tally.crashes > 100, "{way:?}: {tally:?}");
        assert_eq!((tally.lost, tally.doubled), (0, 0), "{way:?}");
    }
}
