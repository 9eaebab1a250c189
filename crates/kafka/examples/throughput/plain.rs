//! A consumer as most are: batches, work, offsets. No ids, no store.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use firstseen_kafka::rdkafka::KafkaClient;
use firstseen_kafka::{
    Batch, BoxError, Client, Committed, Inbox, Message, Rebalance, TopicPartition,
};

use crate::amount;
use crate::measure::{Meter, Taken};

/// As the settings of a consumer are by default.
const BATCH: usize = 4_096;
const LINGER: Duration = Duration::from_millis(20);
const COMMIT_EVERY: Duration = Duration::from_secs(1);
const POLL_MOST: Duration = Duration::from_millis(100);

/// One partition.
struct Part {
    name: TopicPartition,
    batch: Batch,
    since: Option<Instant>,
    committed: Instant,
}

/// All that are assigned.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Inbox for Parts {
    fn take(&mut self, _: &str, partition: i32, message: &Message<'_>) {
        let Some(part) = self.0.iter_mut().find(|part| part.name.partition == partition) else {
            return;
        };
        part.since.get_or_insert_with(Instant::now);
        part.batch.push(message);
    }
}

/// Consumes until everything is counted.
pub fn consume(mut client: KafkaClient, meter: Rc<RefCell<Meter>>) -> Result<Taken, BoxError> {
    let mut parts = Parts::default();
    let mut sum = 0;
    while !meter.borrow().is_done() {
        let due = parts.0.iter().filter_map(|part| part.since).min();
        let wait = due.map_or(POLL_MOST, |since| LINGER.saturating_sub(since.elapsed()));
        match client.poll(wait.min(POLL_MOST), &mut parts)? {
            Some(Rebalance::Assigned(names)) => {
                client.accept(&names)?;
                for name in names {
                    let next = client.committed(&name)?.map_or(0, |committed| committed.next);
                    client.read_from(&name, next)?;
                    let (batch, committed) = (Batch::default(), Instant::now());
                    parts.0.push(Part { name, batch, since: None, committed });
                }
            }
            Some(Rebalance::Revoked(names) | Rebalance::Lost(names)) => {
                parts.0.retain(|part| !names.contains(&part.name));
                client.give_up(&names)?;
            }
            None => {}
        }
        for part in &mut parts.0 {
            let due = part.since.is_some_and(|since| since.elapsed() >= LINGER);
            if due || part.batch.len() >= BATCH {
                sum += work(part, &mut client, &meter)?;
            }
        }
    }
    // Whatever the optimizer would leave out if nobody asked.
    std::hint::black_box(sum);
    Ok(meter.borrow().taken())
}

/// Works on a batch, and commits its offset if that is due.
fn work(
    part: &mut Part,
    client: &mut KafkaClient,
    meter: &RefCell<Meter>,
) -> Result<u64, BoxError> {
    let mut sum = 0;
    for message in part.batch.iter() {
        sum += amount(&message)?;
    }
    meter.borrow_mut().count(part.batch.len() as u64);
    if part.committed.elapsed() >= COMMIT_EVERY
        && let Some(next) = part.batch.next_offset()
    {
        client.commit(&part.name, &Committed { next, metadata: String::new() }, false)?;
        part.committed = Instant::now();
    }
    part.batch.clear();
    part.since = None;
    Ok(sum)
}
