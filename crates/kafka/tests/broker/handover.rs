//! Whole consumers: stores that move, are rebuilt, and letters that nobody can read.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use firstseen::{Store, TimeSource};
use firstseen_kafka::handover::FolderArchive;
use firstseen_kafka::rdkafka::{DeadLetterTopic, KafkaClient, KafkaProducers, OutputTopic};
use firstseen_kafka::{
    BoxError, Client, Consumer, InStore, Message, Outputs, Settings, TimeFrom, Transform, Work,
};

use crate::broker::{DEADLINE, brokers, client, folder, fresh, produce, read_committed, topic};

fn settings(stores: &Path) -> Settings {
    let store = Store::builder().time(TimeSource::System);
    Settings::new(stores).store(store).time_from(TimeFrom::Arrival)
}

/// Works until all partitions that are assigned have reached their ends, then stops.
fn work_off<W: Work<KafkaClient>>(client: KafkaClient, work: W, settings: Settings, messages: u64)
where
    KafkaClient: Client,
{
    let mut consumer = Consumer::new(client, work, settings).unwrap();
    let started = Instant::now();
    let mut done = 0;
    while done < messages {
        consumer.step().unwrap();
        let metrics = consumer.metrics();
        done = metrics.partitions.iter().map(|partition| partition.progress.unwrap_or(0)).sum();
        assert!(started.elapsed() < DEADLINE, "{done} of {messages}: {metrics:?}");
    }
    consumer.shut_down().unwrap();
}

fn counting() -> impl FnMut(&Message<'_>, &mut firstseen::Step<'_>) -> Result<(), BoxError> {
    |_, step| {
        let count = step.state("count")?.map_or(0, |n| u64::from_le_bytes(n.try_into().unwrap()));
        step.put_state("count", (count + 1).to_le_bytes());
        Ok(())
    }
}

/// Ten ids, each of them three times.
fn redelivered() -> impl Iterator<Item = String> {
    (0..30).map(|n| format!("order-{}", n % 10))
}

#[test]
fn a_store_is_shipped_with_its_partition() {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "ship", 1);
    let group = fresh("ship");
    let (dir, _) = folder();
    for machine in ["one", "two", "three"] {
        produce(brokers, &topic, 0, redelivered());
        let rounds = ["one", "two", "three"].iter().position(|m| *m == machine).unwrap() as u64 + 1;
        let settings = settings(&dir.path().join(machine))
            .archive(FolderArchive::new(dir.path().join("archive")));
        let client = client(brokers, &group, "cooperative-sticky").subscribe(&[&topic]).unwrap();
        work_off(client, InStore::new(counting()), settings, rounds * 30);
    }
    let store = Store::open(dir.path().join("three").join(format!("{topic}-0.seen"))).unwrap();
    assert_eq!(store.state("count").unwrap(), Some(10_u64.to_le_bytes().to_vec()));
}

#[test]
fn a_lost_store_is_rebuilt_from_the_output() {
    let Some(brokers) = brokers() else { return };
    let (input, output) = (topic(brokers, "rebuild", 2), topic(brokers, "rebuilt", 2));
    let group = fresh("rebuild");
    let (dir, stores) = folder();
    for round in 1..=2 {
        for partition in 0..2 {
            // Another thirty messages with the same ids.
            let ids = redelivered().map(|id| format!("{id}-of-{partition}"));
            produce(brokers, &input, partition, ids);
        }
        let to = output.clone();
        let work = move |message: &Message<'_>,
                         _: &mut firstseen::Step<'_>,
                         outputs: &mut Outputs<'_>|
              -> Result<(), BoxError> {
            outputs.send(&to, message.key, message.payload);
            Ok(())
        };
        let work = Transform::new(KafkaProducers::new(brokers, &group), work);
        let settings = settings(&stores).history(OutputTopic::new(brokers, &output));
        let client = client(brokers, &group, "cooperative-sticky").subscribe(&[&input]).unwrap();
        work_off(client, work, settings, round * 60);
        fs::rename(&stores, dir.path().join(format!("lost-{round}"))).unwrap();
    }
    let mut keys = read_committed(brokers, &output);
    keys.sort();
    let all = keys.len();
    keys.dedup();
    assert_eq!((keys.len(), all), (20, 20));
}

#[test]
fn dead_letters_say_where_they_come_from() {
    let Some(brokers) = brokers() else { return };
    let (input, dead) = (topic(brokers, "poison", 1), topic(brokers, "dead", 1));
    produce(brokers, &input, 0, ["".to_owned(), "order-1".to_owned()]);
    let (_dir, stores) = folder();
    let settings = settings(&stores).dead_letters(DeadLetterTopic::new(brokers, &dead).unwrap());
    let client = client(brokers, &fresh("poison"), "range").subscribe(&[&input]).unwrap();
    work_off(client, InStore::new(counting()), settings, 2);
    assert_eq!(read_committed(brokers, &dead), [""]);
    let store = Store::open(stores.join(format!("{input}-0.seen"))).unwrap();
    assert_eq!(store.state("count").unwrap(), Some(1_u64.to_le_bytes().to_vec()));
}

/// Nothing of a consumer keeps its group waiting when it is dropped in the middle.
#[test]
fn a_consumer_that_is_dropped_is_gone() {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "gone", 2);
    produce(brokers, &topic, 0, redelivered());
    let group = fresh("gone");
    let (_dir, stores) = folder();
    let join = || client(brokers, &group, "range").subscribe(&[&topic]).unwrap();
    let mut dropped = Consumer::new(join(), InStore::new(counting()), settings(&stores)).unwrap();
    let started = Instant::now();
    while dropped.metrics().partitions.is_empty() {
        dropped.step().unwrap();
        assert!(started.elapsed() < DEADLINE);
    }
    drop(dropped);
    assert!(started.elapsed() < DEADLINE + Duration::from_secs(30));
    work_off(join(), InStore::new(counting()), settings(&stores), 30);
}
