//! The usual consumer: ids in memory, the offset committed, then the work. It is not firstseen's, and goes
//! wrong: beside the others it shows what they are for.
//!
//! What was committed and not worked on when the process died is lost. What was worked on is known to this process
//! alone: a copy that comes to another one, or to the next life of this one, is worked on again.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use firstseen_kafka::BoxError;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::ORDERS;
use crate::child::{Env, Told};
use crate::stream::ID;
use crate::ways::{Appended, BATCH, SESSION_MOST, Way};

/// Works until it is told to stop.
pub fn consume(env: &Env) -> Result<(), BoxError> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &env.brokers)
        .set("group.id", Way::Article.name())
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", SESSION_MOST)
        .set("heartbeat.interval.ms", "500")
        .set("reconnect.backoff.max.ms", "1000")
        .create()?;
    consumer.subscribe(&[ORDERS])?;
    let mut done = Appended::create(env, Way::Article)?;
    let mut seen: HashSet<Vec<u8>> = HashSet::new();
    let mut told = Told::of(Way::Article);
    while !env.stop.load(Ordering::Relaxed) {
        let batch = gather(&consumer);
        if batch.ids.is_empty() || !commit(&consumer, &batch, env)? {
            continue;
        }
        for id in batch.ids {
            if !seen.contains(&id) {
                done.append_one(&id)?;
                told.tell_of_work();
                seen.insert(id);
            }
        }
    }
    Ok(())
}

/// Messages of all partitions, and the offsets behind them.
#[derive(Default)]
struct Batch {
    ids: Vec<Vec<u8>>,
    next: BTreeMap<i32, i64>,
}

fn gather(consumer: &BaseConsumer) -> Batch {
    let mut batch = Batch::default();
    let mut wait = Duration::from_millis(100);
    while batch.ids.len() < BATCH {
        // What librdkafka tells in place of a message, it goes about by itself.
        let Some(polled) = consumer.poll(wait) else { break };
        let Ok(message) = polled else { continue };
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let id = headers.filter(|header| header.key == ID).find_map(|header| header.value);
        batch.ids.extend(id.map(<[u8]>::to_vec));
        batch.next.insert(message.partition(), message.offset() + 1);
        wait = Duration::ZERO;
    }
    batch
}

/// Commits the offsets behind a batch. `false` if the group has others for these partitions now.
fn commit(consumer: &BaseConsumer, batch: &Batch, env: &Env) -> Result<bool, BoxError> {
    let mut list = TopicPartitionList::new();
    for (&partition, &next) in &batch.next {
        list.add_partition_offset(ORDERS, partition, Offset::Offset(next))?;
    }
    while !env.stop.load(Ordering::Relaxed) {
        match consumer.commit(&list, CommitMode::Sync).map_err(|e| e.rdkafka_error_code()) {
            Ok(()) => return Ok(true),
            Err(Some(Code::UnknownMemberId | Code::IllegalGeneration)) => return Ok(false),
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
    Ok(false)
}
