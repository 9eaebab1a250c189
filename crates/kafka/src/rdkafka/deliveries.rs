//! What a producer sends, and what becomes of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::rdkafka::client::ClientContext;
use ::rdkafka::config::RDKafkaLogLevel;
use ::rdkafka::error::{KafkaError, RDKafkaErrorCode};
use ::rdkafka::message::{Header, OwnedHeaders};
use ::rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext,
};

use super::{PATIENCE, context};
use crate::client::{Fault, FaultKind, OutputRecord};

/// The context of a producer: counts what was not delivered. Of a transaction the commit tells it too.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    failed: AtomicU64,
    said: Mutex<String>,
}

impl Deliveries {
    /// How many records were not delivered since this was asked last, and why the last of them; `None` if all were.
    pub(super) fn take_failed(&self) -> Option<(u64, String)> {
        let failed = self.failed.swap(0, Ordering::Relaxed);
        let said = || self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (failed > 0).then(|| (failed, said()))
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "librdkafka");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = delivered {
            self.failed.fetch_add(1, Ordering::Relaxed);
            *self.said.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
        }
    }
}

/// Queues a record, waiting for room in the queue.
pub(super) fn send(
    producer: &BaseProducer<Deliveries>,
    record: &OutputRecord<'_>,
) -> Result<(), KafkaError> {
    let OutputRecord { topic, partition, key, payload, headers, time } = *record;
    let mut outgoing: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
    outgoing.partition = partition;
    outgoing.key = key;
    outgoing.payload = payload;
    outgoing.timestamp = time.and_then(|time| i64::try_from(time.as_micros() / 1_000).ok());
    if !headers.is_empty() {
        let owned = OwnedHeaders::new_with_capacity(headers.len());
        let owned =
            headers.iter().fold(owned, |owned, (key, value)| owned.insert(Header { key, value }));
        outgoing.headers = Some(owned);
    }
    let started = Instant::now();
    loop {
        match producer.send(outgoing) {
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                if started.elapsed() < PATIENCE =>
            {
                outgoing = back;
                producer.poll(Duration::from_millis(1));
            }
            sent => return sent.map_err(|(error, _)| error),
        }
    }
}

/// Waits until everything that was queued is delivered, or was given up.
pub(super) fn wait_for_deliveries(producer: &BaseProducer<Deliveries>) -> Result<(), Fault> {
    let started = Instant::now();
    while producer.in_flight_count() > 0 {
        if started.elapsed() >= PATIENCE {
            let said = format!("{} records are still on their way", producer.in_flight_count());
            return Err(Fault { kind: FaultKind::Transient, doing: "deliver records", said });
        }
        producer.poll(Duration::from_millis(1));
    }
    Ok(())
}
