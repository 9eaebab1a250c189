//! Kafka's own transactions, by the producers of a transformation.

use firstseen_kafka::rdkafka::KafkaProducers;
use firstseen_kafka::{
    Client, Committed, FaultKind, Headers, OutputRecord, Producer, Producers, TopicPartition,
};

use crate::broker::{assigned, brokers, client, fresh, read_committed, topic};

fn record<'a>(topic: &'a str, key: &'a str) -> OutputRecord<'a> {
    OutputRecord {
        topic,
        partition: None,
        key: Some(key.as_bytes()),
        payload: Some(b"output"),
        headers: Headers::new(&[("name", Some(b"value")), ("none", None)]),
        time: None,
    }
}

#[test]
fn records_and_offset_are_committed_together_or_not_at_all() {
    let Some(brokers) = brokers() else { return };
    let (input, output) = (topic(brokers, "in", 1), topic(brokers, "out", 2));
    let partition = TopicPartition::new(&*input, 0);
    let group = fresh("transact");
    let mut client = client(brokers, &group, "cooperative-sticky").subscribe(&[&input]).unwrap();
    assert_eq!(assigned(&mut client), std::slice::from_ref(&partition));
    let mut producers = KafkaProducers::new(brokers, &group);
    let mut producer = producers.open(&partition).unwrap();
    producer.init().unwrap();
    let committed = |next: u64| Committed { next, metadata: format!("token {next}") };

    producer.begin().unwrap();
    producer.send(&record(&output, "a")).unwrap();
    let member = client.group().unwrap();
    producer.send_offset(&partition, &committed(1), &member).unwrap();
    producer.commit().unwrap();
    assert_eq!(client.committed(&partition).unwrap(), Some(committed(1)));

    producer.begin().unwrap();
    producer.send(&record(&output, "b")).unwrap();
    producer.send_offset(&partition, &committed(2), &member).unwrap();
    producer.abort().unwrap();
    assert_eq!(client.committed(&partition).unwrap(), Some(committed(1)));

    // While one is open, what is committed is not final, and is not told.
    producer.begin().unwrap();
    producer.send(&record(&output, "c")).unwrap();
    producer.send_offset(&partition, &committed(3), &member).unwrap();
    let fault = client.committed(&partition).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient, "{fault}");

    // A second of the same name ends it, and fences the first.
    let mut heir = producers.open(&partition).unwrap();
    heir.init().unwrap();
    assert_eq!(client.committed(&partition).unwrap(), Some(committed(1)));
    assert_eq!(producer.commit().unwrap_err().kind, FaultKind::Fenced);
    heir.begin().unwrap();
    heir.send(&record(&output, "d")).unwrap();
    heir.send_offset(&partition, &committed(4), &member).unwrap();
    heir.commit().unwrap();
    assert_eq!(client.committed(&partition).unwrap(), Some(committed(4)));

    let mut keys = read_committed(brokers, &output);
    keys.sort();
    assert_eq!(keys, ["a", "d"]);
}

/// A member that has left cannot bring offsets any more: its transaction is aborted.
#[test]
fn offsets_of_one_who_left_are_refused() {
    let Some(brokers) = brokers() else { return };
    let input = topic(brokers, "left", 1);
    let partition = TopicPartition::new(&*input, 0);
    let group = fresh("left");
    let settings = client(brokers, &group, "range");
    let mut first = settings.clone().subscribe(&[&input]).unwrap();
    assert_eq!(assigned(&mut first), std::slice::from_ref(&partition));
    let stale = first.group().unwrap();
    drop(first);
    let mut second = settings.subscribe(&[&input]).unwrap();
    assert_eq!(assigned(&mut second), std::slice::from_ref(&partition));
    let mut producer = KafkaProducers::new(brokers, &group).open(&partition).unwrap();
    producer.init().unwrap();
    producer.begin().unwrap();
    let committed = Committed { next: 9, metadata: String::new() };
    let refused = producer.send_offset(&partition, &committed, &stale).unwrap_err();
    assert_eq!(refused.kind, FaultKind::Abortable, "{refused}");
    producer.abort().unwrap();
    assert_eq!(second.committed(&partition).unwrap(), None);
}
