//! A topic for messages that cannot be worked on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ::rdkafka::client::ClientContext;
use ::rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use ::rdkafka::error::KafkaError;
use ::rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};

use super::producer::{send, wait_for_deliveries};
use super::{config, context, fault};
use crate::client::{Fault, OutputRecord};
use crate::dead::{DeadLetters, Reason};
use crate::error::BoxError;
use crate::message::{Header, Headers, Message, TopicPartition};

/// Sends dead letters to a topic: key, payload, headers and timestamp as they were, with three headers more:
/// `firstseen-source` (as in `orders/3`), `firstseen-position` (decimal) and `firstseen-reason`.
pub struct DeadLetterTopic {
    producer: BaseProducer<Context>,
    topic: String,
}

impl DeadLetterTopic {
    /// Sends to `topic`, which is there.
    ///
    /// # Errors
    ///
    /// [`FaultKind::Fatal`](crate::FaultKind) if librdkafka refuses a setting.
    pub fn new(brokers: &str, topic: &str) -> Result<DeadLetterTopic, Fault> {
        DeadLetterTopic::with(config(brokers), topic)
    }

    /// The same, with more of librdkafka's settings.
    ///
    /// # Errors
    ///
    /// As [`DeadLetterTopic::new`].
    pub fn with(mut config: ClientConfig, topic: &str) -> Result<DeadLetterTopic, Fault> {
        config.set("enable.idempotence", "true");
        let producer = config.create_with_context(Context::default());
        let producer = producer.map_err(|e| fault::of("make a producer", &e))?;
        Ok(DeadLetterTopic { producer, topic: topic.to_owned() })
    }
}

impl DeadLetters for DeadLetterTopic {
    fn send(
        &mut self,
        partition: &TopicPartition,
        message: &Message<'_>,
        reason: &Reason,
    ) -> Result<(), BoxError> {
        let (source, position) = (partition.to_string(), message.offset.to_string());
        let reason = reason.to_string();
        let mut headers: Vec<Header<'_>> = message.headers.iter().collect();
        headers.extend([
            ("firstseen-source", Some(source.as_bytes())),
            ("firstseen-position", Some(position.as_bytes())),
            ("firstseen-reason", Some(reason.as_bytes())),
        ]);
        let record = OutputRecord {
            topic: &self.topic,
            partition: None,
            key: message.key,
            payload: message.payload,
            headers: Headers::new(&headers),
            time: message.time,
        };
        Ok(send(&self.producer, &record)?)
    }

    fn flush(&mut self) -> Result<(), BoxError> {
        wait_for_deliveries(&self.producer)?;
        let context = self.producer.context();
        match context.failed.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            failed => {
                let said = context.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Err(format!("{failed} dead letters were not delivered: {said}").into())
            }
        }
    }
}

/// Keeps what was not delivered.
#[derive(Debug, Default)]
struct Context {
    failed: AtomicU64,
    said: Mutex<String>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "librdkafka");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = delivered {
            self.failed.fetch_add(1, Ordering::Relaxed);
            *self.said.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
        }
    }
}

impl std::fmt::Debug for DeadLetterTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetterTopic").field("topic", &self.topic).finish_non_exhaustive()
    }
}
