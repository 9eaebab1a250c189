//! Reading from where the store says, and what the group keeps.

use firstseen_kafka::{Client, Committed, FaultKind, Rebalance, TopicPartition};

use crate::broker::{assigned, brokers, client, delete_before, fresh, poll_until, produce, topic};

#[test]
fn a_partition_is_read_from_where_it_is_said_and_from_nowhere_else() {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "seek", 2);
    for partition in 0..2 {
        produce(brokers, &topic, partition, (0..3_000).map(|n| n.to_string()));
    }
    let mut client =
        client(brokers, &fresh("seek"), "cooperative-sticky").subscribe(&[&topic]).unwrap();
    let partitions = assigned(&mut client);
    assert_eq!(partitions, [TopicPartition::new(&*topic, 0), TopicPartition::new(&*topic, 1)]);
    // What was fetched ahead of a rewind must not come after it: it would look like a gap.
    for (round, from) in [0, 2_500, 17, 1_000, 0, 2_999, 3].into_iter().enumerate() {
        for partition in &partitions {
            if round % 2 == 1 {
                client.hold(partition).unwrap();
            }
            client.read_from(partition, from).unwrap();
        }
        poll_until(&mut client, "messages from the offset on", |_, kept, _| {
            let of = |wanted: &TopicPartition| {
                let of = kept.iter().filter(move |(partition, _)| partition == wanted);
                of.map(|(_, offset)| *offset).collect::<Vec<u64>>()
            };
            for partition in &partitions {
                let got = of(partition);
                let expected: Vec<u64> = (from..from + got.len() as u64).collect();
                assert_eq!(got, expected, "round {round}, {partition}");
            }
            partitions.iter().all(|partition| !of(partition).is_empty())
        });
    }
}

/// The loop says where to read as soon as a partition is its own: that must not get lost on the way.
#[test]
fn a_partition_is_read_from_where_it_is_said_at_once() {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "at-once", 4);
    for partition in 0..4 {
        produce(brokers, &topic, partition, (0..10).map(|n| n.to_string()));
    }
    for round in 0..20 {
        let strategy = ["cooperative-sticky", "range"][round % 2];
        let group = fresh("at-once");
        let mut client = client(brokers, &group, strategy).subscribe(&[&topic]).unwrap();
        for partition in assigned(&mut client) {
            client.read_from(&partition, 3).unwrap();
        }
        poll_until(&mut client, "all messages from the offset on", |_, kept, _| {
            assert!(kept.iter().all(|(_, offset)| *offset >= 3));
            kept.len() == 4 * 7
        });
    }
}

#[test]
fn what_is_committed_comes_back_with_its_metadata() {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "commit", 1);
    let partition = TopicPartition::new(&*topic, 0);
    let group = fresh("commit");
    let mut client = client(brokers, &group, "cooperative-sticky").subscribe(&[&topic]).unwrap();
    assert_eq!(assigned(&mut client), std::slice::from_ref(&partition));
    assert_eq!(client.committed(&partition).unwrap(), None);
    let committed = Committed { next: 7, metadata: "firstseen1 1-00 token-é".into() };
    client.commit(&partition, &committed, true).unwrap();
    assert_eq!(client.committed(&partition).unwrap(), Some(committed));
    produce(brokers, &topic, 0, ["a".to_owned(), "b".to_owned()]);
    let bounds = client.bounds(&partition).unwrap();
    assert_eq!((bounds.first, bounds.end), (0, 2));
}

#[test]
fn partitions_by_hand_need_no_group() {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "hand", 2);
    produce(brokers, &topic, 1, (0..10).map(|n| n.to_string()));
    let partition = TopicPartition::new(&*topic, 1);
    let client = client(brokers, &fresh("hand"), "range");
    let mut client = client.assign(std::slice::from_ref(&partition)).unwrap();
    assert_eq!(assigned(&mut client), std::slice::from_ref(&partition));
    client.read_from(&partition, 4).unwrap();
    poll_until(&mut client, "messages", |_, kept, _| kept.len() == 6);
    let committed = Committed { next: 10, metadata: String::new() };
    client.commit(&partition, &committed, true).unwrap();
    assert_eq!(client.committed(&partition).unwrap(), Some(committed));
    client.leave().unwrap();
    poll_until(&mut client, "the revocation", |client, _, change| match change {
        Some(Rebalance::Revoked(names)) => {
            assert_eq!(names, std::slice::from_ref(&partition));
            client.give_up(&names).unwrap();
            true
        }
        _ => false,
    });
}

#[test]
fn who_was_taken_for_dead_cannot_commit() {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "zombie", 1);
    let partition = TopicPartition::new(&*topic, 0);
    let group = fresh("zombie");
    let settings = client(brokers, &group, "range").set("max.poll.interval.ms", "6000");
    let mut zombie = settings.clone().subscribe(&[&topic]).unwrap();
    assert_eq!(assigned(&mut zombie), std::slice::from_ref(&partition));
    let mine = Committed { next: 1, metadata: "first owner".into() };
    zombie.commit(&partition, &mine, true).unwrap();
    // It polls no more. The heir is told once the group has lost its patience.
    let mut heir = settings.subscribe(&[&topic]).unwrap();
    assert_eq!(assigned(&mut heir), std::slice::from_ref(&partition));
    let theirs = Committed { next: 5, metadata: "second owner".into() };
    heir.commit(&partition, &theirs, true).unwrap();
    let refused = zombie.commit(&partition, &mine, true).unwrap_err();
    assert_eq!(refused.kind, FaultKind::Fenced, "{refused}");
    assert_eq!(heir.committed(&partition).unwrap(), Some(theirs));
}

#[test]
fn a_seek_right_after_an_assignment_holds() {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "at-once", 1);
    // In many batches, so that they are not all fetched at once.
    for batch in 0..20 {
        produce(brokers, &topic, 0, (0..100).map(|n| (100 * batch + n).to_string()));
    }
    for round in 0..3 {
        let settings = client(brokers, &fresh("at-once"), "cooperative-sticky");
        let settings = settings.set("queued.min.messages", "1");
        let settings = settings.set("max.partition.fetch.bytes", "1000");
        let mut client = settings.subscribe(&[&topic]).unwrap();
        let partition = assigned(&mut client).remove(0);
        client.read_from(&partition, round).unwrap();
        // An offset that librdkafka were to look up would be looked up again after half a second.
        std::thread::sleep(std::time::Duration::from_secs(1));
        poll_until(&mut client, "all messages", |_, kept, _| {
            let got: Vec<u64> = kept.iter().map(|(_, offset)| *offset).collect();
            let expected: Vec<u64> = (round..round + got.len() as u64).collect();
            assert_eq!(got, expected);
            expected.last() == Some(&1_999)
        });
    }
}

#[test]
fn a_partition_is_read_on_behind_what_was_deleted() {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "deleted", 1);
    produce(brokers, &topic, 0, (0..100).map(|n| n.to_string()));
    let settings = client(brokers, &fresh("deleted"), "cooperative-sticky");
    let mut client = settings.subscribe(&[&topic]).unwrap();
    let partition = assigned(&mut client).remove(0);
    delete_before(brokers, &topic, 0, 50);
    assert_eq!(client.bounds(&partition).unwrap().first, 50);
    client.read_from(&partition, 10).unwrap();
    // librdkafka says that the offset is gone, and stops.
    let started = std::time::Instant::now();
    poll_until(&mut client, "some time", |_, kept, _| {
        assert!(kept.is_empty(), "{kept:?}");
        started.elapsed() > std::time::Duration::from_secs(2)
    });
    client.read_from(&partition, 50).unwrap();
    poll_until(&mut client, "what is kept", |_, kept, _| kept.len() == 50);
}
