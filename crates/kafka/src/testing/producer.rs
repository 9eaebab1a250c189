//! Transactional producers of the cluster.

use super::cluster::Cluster;
use super::log::Produce;
use super::member::Group;
use super::process::Process;
use crate::client::{Committed, Fault, FaultKind, OutputRecord, Producer};
use crate::message::TopicPartition;
use crate::work::Producers;

/// Makes producers, each named by the group and the partition.
#[derive(Debug, Clone)]
pub struct FakeProducers {
    cluster: Cluster,
    group: String,
    process: Process,
}

impl FakeProducers {
    pub(super) fn new(cluster: Cluster, group: &str, process: Process) -> FakeProducers {
        FakeProducers { cluster, group: group.to_owned(), process }
    }
}

impl Producers for FakeProducers {
    type Producer = FakeProducer;

    fn open(&mut self, partition: &TopicPartition) -> Result<FakeProducer, Fault> {
        let FakeProducers { cluster, group, process } = self;
        let (cluster, name) = (cluster.clone(), format!("{group}-{partition}"));
        process.step("make a producer", || {
            Ok(FakeProducer {
                cluster,
                name,
                process: process.clone(),
                epoch: None,
                in_transaction: false,
            })
        })
    }
}

/// A producer: see [`Producer`].
#[derive(Debug)]
pub struct FakeProducer {
    cluster: Cluster,
    name: String,
    process: Process,
    /// Since it was initialised.
    epoch: Option<u64>,
    /// Whether it has begun a transaction and not learnt of its end.
    in_transaction: bool,
}

impl FakeProducer {
    fn epoch(&self, doing: &'static str) -> Result<u64, Fault> {
        let said = "the producer is not initialised".to_owned();
        self.epoch.ok_or(Fault { kind: FaultKind::Fatal, doing, said })
    }

    fn end(&mut self, doing: &'static str, commit: bool) -> Result<(), Fault> {
        let epoch = self.epoch(doing)?;
        self.process.step(doing, || {
            let mut state = self.cluster.state();
            let open = state.transactions.end(&self.name, epoch, commit)?;
            state.finish(open, commit);
            Ok(())
        })?;
        self.in_transaction = false;
        Ok(())
    }
}

impl Producer for FakeProducer {
    type Group = Group;

    fn init(&mut self) -> Result<(), Fault> {
        let FakeProducer { cluster, name, process, epoch, in_transaction } = self;
        process.step("initialise a producer", || {
            let mut state = cluster.state();
            let (new, open) = state.transactions.init(name);
            state.finish(open, false);
            *epoch = Some(new);
            *in_transaction = false;
            Ok(())
        })
    }

    fn begin(&mut self) -> Result<(), Fault> {
        // The broker learns of it by the first record.
        let doing = "begin a transaction";
        self.epoch(doing)?;
        self.process.step(doing, || match self.in_transaction {
            true => {
                let said = "the last one has not ended".to_owned();
                Err(Fault { kind: FaultKind::Fatal, doing, said })
            }
            false => Ok(()),
        })?;
        self.in_transaction = true;
        Ok(())
    }

    fn send(&mut self, record: &OutputRecord<'_>) -> Result<(), Fault> {
        let doing = "send a record";
        let epoch = self.epoch(doing)?;
        self.process.step(doing, || {
            let mut state = self.cluster.state();
            let partition = match record.partition {
                Some(partition) => TopicPartition::new(record.topic, partition),
                None => state.partition_of(record.topic, record.key),
            };
            let open = state.transactions.open(&self.name, epoch, doing)?;
            open.partitions.insert(partition.clone());
            let id = open.id;
            state.append(&partition, Produce::of(record), Some(id));
            Ok(())
        })
    }

    fn send_offset(
        &mut self,
        partition: &TopicPartition,
        committed: &Committed,
        group: &Group,
    ) -> Result<(), Fault> {
        let doing = "send an offset";
        let epoch = self.epoch(doing)?;
        self.process.step(doing, || {
            let mut state = self.cluster.state();
            state.transactions.open(&self.name, epoch, doing)?;
            state.check_group(group, partition, FaultKind::Abortable, doing)?;
            let open = state.transactions.open(&self.name, epoch, doing)?;
            open.offsets.push((group.name.clone(), partition.clone(), committed.clone()));
            Ok(())
        })
    }

    fn commit(&mut self) -> Result<(), Fault> {
        self.end("commit a transaction", true)
    }

    fn abort(&mut self) -> Result<(), Fault> {
        self.end("abort a transaction", false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Isolation, Protocol};
    use super::*;
    use crate::client::Client as _;
    use crate::message::Headers;

    fn record(payload: &[u8]) -> OutputRecord<'_> {
        let headers = Headers::default();
        let (key, payload) = (None, Some(payload));
        OutputRecord { topic: "out", partition: Some(0), key, payload, headers, time: None }
    }

    fn seen(cluster: &Cluster) -> Vec<Vec<u8>> {
        let seen = cluster.read("out", Isolation::ReadCommitted).into_iter();
        seen.filter_map(|(_, record)| record.payload).collect()
    }

    fn world() -> (Cluster, TopicPartition, Process) {
        let cluster = Cluster::new();
        cluster.create_topic("in", 1);
        cluster.create_topic("out", 1);
        cluster.create_group("g", &["in"], Protocol::Eager);
        (cluster, TopicPartition::new("in", 0), Process::new())
    }

    #[test]
    fn a_new_producer_ends_what_the_last_one_left() {
        let (cluster, partition, process) = world();
        let mut client = cluster.assign("g", std::slice::from_ref(&partition), &process);
        let group = client.group().unwrap();
        let mut producers = cluster.producers("g", &process);
        let mut old = producers.open(&partition).unwrap();
        assert_eq!(old.begin().unwrap_err().kind, FaultKind::Fatal, "it is not initialised");
        old.init().unwrap();
        old.begin().unwrap();
        old.send(&record(b"old")).unwrap();
        let committed = Committed { next: 7, metadata: "m".into() };
        old.send_offset(&partition, &committed, &group).unwrap();
        assert_eq!(client.committed(&partition).unwrap_err().kind, FaultKind::Transient);
        let mut new = producers.open(&partition).unwrap();
        new.init().unwrap();
        assert_eq!(client.committed(&partition), Ok(None));
        assert_eq!(old.commit().unwrap_err().kind, FaultKind::Fenced);
        new.begin().unwrap();
        assert_eq!(new.begin().unwrap_err().kind, FaultKind::Fatal, "one is open");
        new.send(&record(b"new")).unwrap();
        new.send_offset(&partition, &committed, &group).unwrap();
        new.commit().unwrap();
        new.commit().unwrap();
        assert_eq!(new.abort().unwrap_err().kind, FaultKind::Fatal, "it was committed");
        assert_eq!(seen(&cluster), [b"new"]);
        assert_eq!(client.committed(&partition), Ok(Some(committed)));
    }

    #[test]
    fn who_is_no_member_cannot_send_offsets() {
        let (cluster, partition, process) = world();
        let mut member = cluster.join("g", &process, Isolation::ReadCommitted);
        let group = member.group().unwrap();
        cluster.expel("g", cluster.member_of("g", &process).unwrap());
        let mut producer = cluster.producers("g", &process).open(&partition).unwrap();
        producer.init().unwrap();
        producer.begin().unwrap();
        producer.send(&record(b"x")).unwrap();
        let committed = Committed { next: 7, metadata: String::new() };
        let refused = producer.send_offset(&partition, &committed, &group).unwrap_err();
        assert_eq!(refused.kind, FaultKind::Abortable);
        producer.abort().unwrap();
        assert!(seen(&cluster).is_empty());
        cluster.time_out();
        assert_eq!(producer.commit().unwrap_err().kind, FaultKind::Fatal);
    }
}
