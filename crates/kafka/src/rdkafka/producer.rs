//! The transactional producers of a transformation: one for each partition, named by group and partition.

use std::time::{Duration, Instant};

use ::rdkafka::config::ClientConfig;
use ::rdkafka::consumer::ConsumerGroupMetadata;
use ::rdkafka::producer::{BaseProducer, Producer as _};

use super::deliveries::{Deliveries, send, wait_for_deliveries};
use super::{PATIENCE, committing, config, fault};
use crate::client::{Committed, Fault, FaultKind, OutputRecord, Producer};
use crate::message::TopicPartition;
use crate::work::Producers;

/// How long an abort waits before deliveries are looked at again.
const ABORT_PATIENCE: Duration = Duration::from_millis(50);

/// Makes the producers of a [`Transform`](crate::Transform).
#[derive(Debug, Clone)]
pub struct KafkaProducers {
    config: ClientConfig,
    group: String,
}

impl KafkaProducers {
    /// Producers for a consumer of `group`: it must be the group of the client.
    ///
    /// A transaction that its producer leaves alone for `transaction.timeout.ms` is aborted by the broker, 10 seconds here: it
    /// holds back whoever reads the outputs, and the next owner of the partition.
    #[must_use]
    pub fn new(brokers: &str, group: &str) -> KafkaProducers {
        let mut config = config(brokers);
        config.set("transaction.timeout.ms", "10000");
        // The batch is whole when it is sent: nothing is gained by waiting for more.
        config.set("linger.ms", "0");
        // librdkafka asks a coordinator again after this; by default a transaction waits 100 ms for nothing.
        config.set("retry.backoff.ms", "1").set("retry.backoff.max.ms", "10");
        config.set("reconnect.backoff.max.ms", "1000");
        KafkaProducers { config, group: group.to_owned() }
    }

    /// Sets something else of librdkafka's.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> KafkaProducers {
        self.config.set(name, value);
        self
    }
}

impl Producers for KafkaProducers {
    type Producer = KafkaProducer;

    fn open(&mut self, partition: &TopicPartition) -> Result<KafkaProducer, Fault> {
        let mut config = self.config.clone();
        config.set("transactional.id", format!("firstseen-{}-{}", self.group, partition.stem()));
        let producer = config.create_with_context(Deliveries::default());
        let producer = producer.map_err(|e| fault::of("make a producer", &e))?;
        Ok(KafkaProducer { producer })
    }
}

/// A transactional producer on librdkafka.
pub struct KafkaProducer {
    producer: BaseProducer<Deliveries>,
}

impl Producer for KafkaProducer {
    type Group = ConsumerGroupMetadata;

    fn init(&mut self) -> Result<(), Fault> {
        let inited = self.producer.init_transactions(PATIENCE);
        inited.map_err(|e| fault::of_transaction("take a producer's name over", &e))
    }

    fn begin(&mut self) -> Result<(), Fault> {
        let begun = self.producer.begin_transaction();
        begun.map_err(|e| fault::of_transaction("begin a transaction", &e))
    }

    fn send(&mut self, record: &OutputRecord<'_>) -> Result<(), Fault> {
        send(&self.producer, record).map_err(|e| fault::of_transaction("send a record", &e))
    }

    fn send_offset(
        &mut self,
        partition: &TopicPartition,
        committed: &Committed,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), Fault> {
        let list = committing(partition, committed)?;
        let sent = self.producer.send_offsets_to_transaction(&list, group, PATIENCE);
        sent.map_err(|e| fault::of_transaction("put an offset into a transaction", &e))
    }

    fn commit(&mut self) -> Result<(), Fault> {
        // rdkafka looks for deliveries ten times a second while it commits; this looks all the time.
        wait_for_deliveries(&self.producer)?;
        let committed = self.producer.commit_transaction(PATIENCE);
        committed.map_err(|e| fault::of_transaction("commit a transaction", &e))
    }

    fn abort(&mut self) -> Result<(), Fault> {
        // It gives up what is on its way, and does not go on before that has been looked at, which it does not do itself.
        let started = Instant::now();
        loop {
            self.producer.poll(Duration::ZERO);
            let aborted = self.producer.abort_transaction(ABORT_PATIENCE);
            let aborted = aborted.map_err(|e| fault::of_transaction("abort a transaction", &e));
            match aborted {
                Err(fault) if fault.kind == FaultKind::Transient => {
                    if started.elapsed() >= PATIENCE {
                        return Err(fault);
                    }
                }
                aborted => return aborted,
            }
        }
    }
}

impl std::fmt::Debug for KafkaProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaProducer").finish_non_exhaustive()
    }
}
