//! The four ways of working, and what each has done in the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use firstseen::Step;
use firstseen_kafka::testing::{Isolation, Process};
use firstseen_kafka::{
    BoxError, Filter, InSink, InStore, Message, Outputs, Settings, TopicPartition, Transform,
};

use super::machine::{Consumes, machine};
use super::orders;
use super::sink::key_of;
use super::world::{GROUP, World};

/// The topic that [`Way::Transform`] writes to.
pub const OUT: &str = "out";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    InStore,
    InSink,
    Transform,
    Filter,
}

impl Way {
    pub const ALL: [Way; 4] = [Way::InStore, Way::InSink, Way::Transform, Way::Filter];
    pub const ONCE: [Way; 3] = [Way::InStore, Way::InSink, Way::Transform];

    /// A consumer of a process that works so.
    pub fn consumer(
        self,
        world: &World,
        process: &Process,
        settings: Settings,
    ) -> Box<dyn Consumes> {
        let member = world.cluster.join(GROUP, process, Isolation::ReadCommitted);
        let (of, handed) = (process.clone(), Arc::clone(&world.handed));
        match self {
            Way::InStore => machine(
                member,
                InStore::new(move |message, step| {
                    count(message, step)?;
                    Ok(of.step("work", || Ok(()))?)
                }),
                settings,
            ),
            Way::InSink => machine(member, InSink::new(world.ledger.connect(process)), settings),
            Way::Transform => {
                let producers = world.cluster.producers(GROUP, process);
                machine(
                    member,
                    Transform::new(
                        producers,
                        move |message: &Message<'_>,
                              step: &mut Step<'_>,
                              outputs: &mut Outputs<'_>| {
                            count(message, step)?;
                            outputs.send(OUT, message.key, message.payload);
                            Ok(of.step("work", || Ok(()))?)
                        },
                    ),
                    settings,
                )
            }
            Way::Filter => machine(
                member,
                Filter::new(
                    move |_: &TopicPartition, messages: &mut dyn Iterator<Item = Message<'_>>| {
                        Ok(of.step("work", || {
                            handed.lock().unwrap().extend(messages.map(|message| key_of(&message)));
                            Ok(())
                        })?)
                    },
                ),
                settings,
            ),
        }
    }

    /// How often each order was worked on. Asks stores that nobody has open.
    pub fn done(self, world: &World) -> BTreeMap<String, u64> {
        if self == Way::Transform {
            let seen = self.done_in(world, "shared");
            assert_eq!(
                world.counted_in_stores("shared"),
                seen,
                "the state agrees with the outputs"
            );
        }
        self.done_in(world, "shared")
    }

    /// The same, where the last owner of all partitions has its stores in `folder`.
    pub fn done_in(self, world: &World, folder: &str) -> BTreeMap<String, u64> {
        match self {
            Way::InStore => world.counted_in_stores(folder),
            Way::InSink => orders::counted(world.ledger.rows()),
            Way::Transform => {
                let seen = world.cluster.read(OUT, Isolation::ReadCommitted).into_iter();
                orders::counted(seen.map(|(_, record)| {
                    String::from_utf8(record.key.expect("outputs have keys")).unwrap()
                }))
            }
            Way::Filter => orders::counted(world.handed.lock().unwrap().clone()),
        }
    }
}

/// Counts an order in the state.
fn count(message: &Message<'_>, step: &mut Step<'_>) -> Result<(), BoxError> {
    let key = message.key.expect("orders have keys");
    let before = step.state(key)?.map_or(0, |bytes| bytes[0]);
    step.put_state(key, [before + 1]);
    Ok(())
}

/// What was handed over by [`Way::Filter`].
pub type Handed = Arc<Mutex<Vec<String>>>;
