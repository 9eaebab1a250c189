//! The four ways of working, each on the same orders, with a group and stores of its own.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use firstseen::{Durability, Step, Store, TimeSource};
use firstseen_kafka::rdkafka::{KafkaClient, KafkaProducers, KafkaSettings, OutputTopic};
use firstseen_kafka::{
    BackOff, BoxError, Consumer, Filter, IdFrom, InSink, InStore, Message, Settings, Transform,
    Work,
};

use crate::child::{Env, Told};
use crate::ledger::Ledger;
use crate::stream::ID;
use crate::{ORDERS, RECEIPTS};

/// How many messages are worked on together.
pub const BATCH: usize = 200;

/// In milliseconds: how long a process may be silent before the group takes it for dead. No broker allows less.
pub const SESSION_MOST: &str = "6000";
/// The same: how long a transaction may be open of which its producer says nothing. It keeps back who rebuilds a store.
const TRANSACTION_MOST: &str = "3000";

/// How long the work on an order takes, so that kills hit it.
const WORK: Duration = Duration::from_micros(500);

/// A way of working, or the order of steps that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    InStore,
    InSink,
    Transform,
    Filter,
    Article,
}

impl Way {
    pub const ALL: [Way; 5] =
        [Way::InStore, Way::InSink, Way::Transform, Way::Filter, Way::Article];

    /// Its name: in the report, of its folder, and of its group.
    pub fn name(self) -> &'static str {
        match self {
            Way::InStore => "in_store",
            Way::InSink => "in_sink",
            Way::Transform => "transform",
            Way::Filter => "filter",
            Way::Article => "article",
        }
    }

    /// Whether its batches can be in doubt between the store and another system.
    pub fn prepares(self) -> bool {
        matches!(self, Way::InSink | Way::Transform)
    }

    /// Where it keeps what it has, in the folder of the demo.
    pub fn folder(self, dir: &Path) -> PathBuf {
        dir.join(self.name())
    }
}

/// Works until it is told to stop.
pub fn consume(env: &Env, way: Way) -> Result<(), BoxError> {
    match way {
        Way::InStore => run(env, way, InStore::new(count)),
        Way::InSink => run(env, way, InSink::new(Ledger::open(&env.dir)?)),
        Way::Transform => {
            let producers = KafkaProducers::new(&env.brokers, way.name())
                .set("transaction.timeout.ms", TRANSACTION_MOST);
            let work = Transform::new(producers, |message, _, outputs| {
                do_work();
                outputs.send(RECEIPTS, Some(id(message)?), message.payload);
                Ok(())
            });
            run(env, way, work)
        }
        Way::Filter => {
            let mut file = Appended::create(env, way)?;
            run(env, way, Filter::new(move |_, messages| file.append(messages)))
        }
        Way::Article => crate::article::consume(env),
    }
}

fn run(env: &Env, way: Way, work: impl Work<KafkaClient>) -> Result<(), BoxError> {
    let client = client(env, way).subscribe(&[ORDERS])?;
    let mut consumer = Consumer::new(client, work, settings(env, way))?;
    let mut told = Told::of(way);
    while !env.stop.load(Ordering::Relaxed) {
        consumer.step()?;
        told.tell(&consumer.metrics());
    }
    Ok(consumer.shut_down()?)
}

/// A member whose death is noticed as soon as a broker allows.
fn client(env: &Env, way: Way) -> KafkaSettings {
    KafkaSettings::new(&env.brokers, way.name())
        .set("session.timeout.ms", SESSION_MOST)
        .set("heartbeat.interval.ms", "500")
        .set("client.id", &env.life)
}

/// All processes share the folder of a way. But a transformation's stores are each process's own: who takes a partition
/// over does not wait until the last owner lets go, and rebuilds from the receipts what it does not have.
fn settings(env: &Env, way: Way) -> Settings {
    let settings = match way {
        Way::Transform => {
            Settings::new(env.own_folder(way)).history(OutputTopic::new(&env.brokers, RECEIPTS))
        }
        _ => Settings::new(way.folder(&env.dir)),
    };
    settings
        .store(store())
        .id_from(IdFrom::Header(ID.into()))
        .batch_messages(BATCH)
        .commit_every(Duration::from_millis(300))
        .back_off(BackOff { first: Duration::from_millis(100), most: Duration::from_secs(1) })
}

/// How stores are opened. Far smaller than anybody would choose: tables are sealed and runs are merged all the
/// time, so that kills hit that, too.
pub fn store() -> firstseen::Builder {
    Store::builder().time(TimeSource::Event).durability(Durability::Buffered).active_ids(500)
}

/// The key of the state under which a partition's count and sum are.
pub const TOTAL: &str = "total";

/// The key under which it is counted how often an order was worked on.
pub fn order_key(id: &[u8]) -> Vec<u8> {
    [b"order/", id].concat()
}

/// The work in the store's own state: count and sum of a partition's orders.
fn count(message: &Message<'_>, step: &mut Step<'_>) -> Result<(), BoxError> {
    do_work();
    let amount: u64 = std::str::from_utf8(message.payload.unwrap_or_default())?.parse()?;
    let [orders, sum] = words(step.state(TOTAL)?);
    step.put_state(TOTAL, bytes([orders + 1, sum + amount]));
    let key = order_key(id(message)?);
    let [times, _] = words(step.state(&key)?);
    step.put_state(key, bytes([times + 1, amount]));
    Ok(())
}

/// Two numbers of the state.
pub fn words(value: Option<Vec<u8>>) -> [u64; 2] {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    value.map_or([0, 0], |value| [word(&value[..8]), word(&value[8..])])
}

fn bytes([one, other]: [u64; 2]) -> Vec<u8> {
    [one.to_le_bytes(), other.to_le_bytes()].concat()
}

/// What an order's work costs.
pub fn do_work() {
    thread::sleep(WORK);
}

/// The id of an order.
pub fn id<'a>(message: &Message<'a>) -> Result<&'a [u8], BoxError> {
    message.headers.last(ID).ok_or_else(|| "an order has no id".into())
}

/// A file of this life to which the ids of orders are appended, one a line.
pub struct Appended {
    file: std::fs::File,
    lines: Vec<u8>,
}

impl Appended {
    pub fn create(env: &Env, way: Way) -> Result<Appended, BoxError> {
        let folder = way.folder(&env.dir).join("done");
        std::fs::create_dir_all(&folder)?;
        let file = OpenOptions::new().create_new(true).append(true).open(folder.join(&env.life))?;
        Ok(Appended { file, lines: Vec::new() })
    }

    fn append(&mut self, messages: &mut dyn Iterator<Item = Message<'_>>) -> Result<(), BoxError> {
        self.lines.clear();
        for message in messages {
            do_work();
            self.lines.extend_from_slice(id(&message)?);
            self.lines.push(b'\n');
        }
        Ok(self.file.write_all(&self.lines)?)
    }

    /// Appends one.
    pub fn append_one(&mut self, id: &[u8]) -> Result<(), BoxError> {
        do_work();
        self.lines.clear();
        self.lines.extend_from_slice(id);
        self.lines.push(b'\n');
        Ok(self.file.write_all(&self.lines)?)
    }
}
