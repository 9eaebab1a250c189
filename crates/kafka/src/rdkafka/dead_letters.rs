//! A topic for messages that cannot be worked on.

use ::rdkafka::config::ClientConfig;
use ::rdkafka::producer::{BaseProducer, Producer as _};

use super::deliveries::{Deliveries, send, wait_for_deliveries};
use super::{config, fault};
use crate::client::{Fault, OutputRecord};
use crate::dead::{DeadLetters, Reason};
use crate::error::BoxError;
use crate::history::{POSITION, SOURCE};
use crate::message::{Header, Headers, Message, TopicPartition};

/// Sends dead letters to a topic: key, payload, headers and timestamp as they were, with three headers more:
/// `firstseen-source` (as in `orders/3`), `firstseen-position` (decimal) and `firstseen-reason`.
pub struct DeadLetterTopic {
    producer: BaseProducer<Deliveries>,
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
        let producer = config.create_with_context(Deliveries::default());
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
            (SOURCE, Some(source.as_bytes())),
            (POSITION, Some(position.as_bytes())),
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
        match self.producer.context().take_failed() {
            None => Ok(()),
            Some((failed, said)) => {
                Err(format!("{failed} dead letters were not delivered: {said}").into())
            }
        }
    }
}

impl std::fmt::Debug for DeadLetterTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetterTopic").field("topic", &self.topic).finish_non_exhaustive()
    }
}
