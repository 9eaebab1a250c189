//! Partitions that come and go, by both protocols.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use firstseen_kafka::rdkafka::KafkaClient;
use firstseen_kafka::{Client, Rebalance};

use crate::broker::{DEADLINE, Kept, assigned, brokers, client, fresh, topic};

/// Polls both for a while, answering every change; returns how many partitions each has.
fn settle(clients: &mut [&mut KafkaClient], owned: &mut [usize], wanted: &[usize]) {
    let started = Instant::now();
    while owned != wanted {
        assert!(started.elapsed() < DEADLINE, "{owned:?} partitions, {wanted:?} are wanted");
        for (client, owned) in clients.iter_mut().zip(&mut *owned) {
            let change = client.poll(Duration::from_millis(50), &mut Kept::default());
            match change.unwrap_or(None) {
                Some(Rebalance::Assigned(names)) => {
                    client.accept(&names).unwrap();
                    *owned += names.len();
                }
                Some(Rebalance::Revoked(names) | Rebalance::Lost(names)) => {
                    client.give_up(&names).unwrap();
                    *owned -= names.len();
                }
                None => {}
            }
        }
    }
}

fn partitions_move(strategy: &str) {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "move", 4);
    let settings = client(brokers, &fresh("move"), strategy);
    let mut first = settings.clone().subscribe(&[&topic]).unwrap();
    assert_eq!(assigned(&mut first).len(), 4);
    let mut second = settings.subscribe(&[&topic]).unwrap();
    let mut owned = [4, 0];
    settle(&mut [&mut first, &mut second], &mut owned, &[2, 2]);
    // One leaves with all courtesy, and is gone.
    second.leave().unwrap();
    settle(&mut [&mut first, &mut second], &mut owned, &[4, 0]);
    drop(second);
    drop(first);
}

#[test]
fn cooperative_members_share_and_leave() {
    partitions_move("cooperative-sticky");
}

#[test]
fn eager_members_share_and_leave() {
    partitions_move("range");
}

/// Whatever a client was told and did not answer, it can be dropped.
#[test]
fn an_unanswered_change_does_not_hang() {
    let Some(brokers) = brokers() else { return };
    let topic = topic(brokers, "drop", 4);
    for strategy in ["cooperative-sticky", "range"] {
        for answered in [0, 1, 2] {
            let settings = client(brokers, &fresh("drop"), strategy);
            let mut client = settings.subscribe(&[&topic]).unwrap();
            if answered > 0 {
                assert_eq!(assigned(&mut client).len(), 4);
            }
            if answered != 1 {
                if answered == 2 {
                    client.leave().unwrap();
                }
                let started = Instant::now();
                while client.poll(Duration::from_millis(50), &mut Kept::default()) == Ok(None) {
                    assert!(started.elapsed() < DEADLINE, "no change is told");
                }
            }
            let (tell, told) = mpsc::channel();
            thread::spawn(move || {
                drop(client);
                let _ = tell.send(());
            });
            let dropped = told.recv_timeout(Duration::from_secs(30));
            assert!(dropped.is_ok(), "{strategy}, {answered} changes were answered: it hangs");
        }
    }
}
