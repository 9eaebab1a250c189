//! The cluster: everything behind one lock, and what a test does to it from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard};

use firstseen::Timestamp;

use super::assign::MemberId;
use super::group::{Group, Protocol};
use super::log::{Isolation, Log, Produce, Record};
use super::member::{self, Member};
use super::process::Process;
use super::producer::FakeProducers;
use super::transactions::{Open, Transactions};
use crate::client::{Bounds, Committed, Fault, FaultKind};
use crate::message::TopicPartition;

/// A cluster in memory: see [the module](crate::testing). Clones are the same cluster.
#[derive(Debug, Clone, Default)]
pub struct Cluster(Arc<Mutex<State>>);

/// All that there is.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) logs: BTreeMap<TopicPartition, Log>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) transactions: Transactions,
    /// Every member that there was, and whose it is.
    members: BTreeMap<MemberId, Process>,
    /// Members that hear nothing of their group.
    pub(super) deaf: BTreeSet<MemberId>,
    pub(super) violations: Vec<String>,
    /// Microseconds since the Unix epoch: when the cluster was made, and one more for each record.
    now: u64,
}

impl Cluster {
    /// A cluster without topics.
    #[must_use]
    pub fn new() -> Cluster {
        let now = Timestamp::now().as_micros();
        Cluster(Arc::new(Mutex::new(State { now, ..State::default() })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics under the lock")
    }

    /// Makes a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        let new = (0..partitions).map(|p| (TopicPartition::new(topic, p), Log::default()));
        self.state().logs.extend(new);
    }

    /// Makes a group that reads these topics, which must be there.
    pub fn create_group(&self, group: &str, topics: &[&str], protocol: Protocol) {
        let mut state = self.state();
        let of = |partition: &&TopicPartition| topics.contains(&&*partition.topic);
        let partitions = state.logs.keys().filter(of).cloned().collect();
        state.groups.insert(group.to_owned(), Group::new(protocol, partitions));
    }

    /// Writes a record outside of any transaction. Returns its offset.
    pub fn produce(&self, topic: &str, partition: i32, record: Produce) -> u64 {
        self.state().append(&TopicPartition::new(topic, partition), record, None)
    }

    /// A member that joins a group.
    #[must_use]
    pub fn join(&self, group: &str, process: &Process, isolation: Isolation) -> Member {
        Member::join(self.clone(), group, process.clone(), isolation)
    }

    /// A client that has partitions by hand, and commits for a group without being a member.
    #[must_use]
    pub fn assign(&self, group: &str, by_hand: &[TopicPartition], process: &Process) -> Member {
        Member::by_hand(self.clone(), group, by_hand.to_vec(), process.clone())
    }

    /// Producers of a process, for the partitions of a group.
    #[must_use]
    pub fn producers(&self, group: &str, process: &Process) -> FakeProducers {
        FakeProducers::new(self.clone(), group, process.clone())
    }

    /// Takes a member out of its group: its session has timed out, though it may live. It hears of it at its
    /// next poll, unless it is [deaf](Cluster::set_deaf).
    pub fn expel(&self, group: &str, member: u64) {
        let mut state = self.state();
        if let Some(group) = state.groups.get_mut(group) {
            group.remove(member);
        }
    }

    /// The member of a group that a process is now: whoever was expelled joins by another number.
    #[must_use]
    pub fn member_of(&self, group: &str, process: &Process) -> Option<u64> {
        let mut state = self.state();
        let theirs = state.members.iter().filter(|(_, whose)| whose.is(process));
        let theirs: Vec<MemberId> = theirs.map(|(id, _)| *id).collect();
        theirs.into_iter().find(|id| state.is_member(group, *id))
    }

    /// The members of a group, in the order in which they joined.
    #[must_use]
    pub fn members(&self, group: &str) -> Vec<u64> {
        let mut state = self.state();
        let all: Vec<MemberId> = state.members.keys().copied().collect();
        all.into_iter().filter(|id| state.is_member(group, *id)).collect()
    }

    /// Lets a member hear nothing of its group, as if its heartbeats were lost. It goes on reading what
    /// it has.
    pub fn set_deaf(&self, member: u64, deaf: bool) {
        let mut state = self.state();
        if deaf {
            state.deaf.insert(member)
        } else {
            state.deaf.remove(&member)
        };
    }

    /// Aborts all transactions that are open, as the broker does after their timeout.
    pub fn time_out(&self) {
        let mut state = self.state();
        for name in state.transactions.open_names() {
            let (_, open) = state.transactions.init(&name);
            state.finish(open, false);
        }
    }

    /// Drops records below `first`: retention.
    pub fn trim(&self, topic: &str, partition: i32, first: u64) {
        let mut state = self.state();
        state.log(&TopicPartition::new(topic, partition)).trim(first);
    }

    /// All records of a topic that a reader sees, by partition.
    #[must_use]
    pub fn read(&self, topic: &str, isolation: Isolation) -> Vec<(i32, Record)> {
        let state = self.state();
        let logs = state.logs.iter().filter(|(partition, _)| &*partition.topic == topic);
        let records = logs.flat_map(|(partition, log)| {
            let mut next = 0;
            std::iter::from_fn(move || {
                let record = log.read(next, isolation)?.clone();
                next = record.offset + 1;
                Some((partition.partition, record))
            })
        });
        records.collect()
    }

    /// The first offset of a partition that is kept, and the one of its next record.
    #[must_use]
    pub fn bounds(&self, topic: &str, partition: i32) -> Bounds {
        self.state().log(&TopicPartition::new(topic, partition)).bounds()
    }

    /// What a group has committed of a partition, without waiting for open transactions.
    #[must_use]
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<Committed> {
        let state = self.state();
        state.groups.get(group)?.offsets.get(&TopicPartition::new(topic, partition)).cloned()
    }

    /// Sets what a group has committed, as a tool does from outside.
    pub fn set_committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        committed: Option<Committed>,
    ) {
        let mut state = self.state();
        let offsets = &mut state.groups.get_mut(group).expect("the group is there").offsets;
        match committed {
            Some(committed) => offsets.insert(TopicPartition::new(topic, partition), committed),
            None => offsets.remove(&TopicPartition::new(topic, partition)),
        };
    }

    /// What no broker refuses and no right client does: commits of partitions that their member has not.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }
}

impl State {
    /// A log that is there.
    pub(super) fn log(&mut self, partition: &TopicPartition) -> &mut Log {
        self.logs.get_mut(partition).unwrap_or_else(|| panic!("there is no partition {partition}"))
    }

    pub(super) fn append(
        &mut self,
        partition: &TopicPartition,
        record: Produce,
        transaction: Option<u64>,
    ) -> u64 {
        self.now += 1;
        let now = Timestamp::from_micros(self.now);
        self.log(partition).append(record, now, transaction)
    }

    /// The partition of a topic that a key belongs to.
    pub(super) fn partition_of(&self, topic: &str, key: Option<&[u8]>) -> TopicPartition {
        let partitions = self.logs.keys().filter(|partition| &*partition.topic == topic).count();
        assert!(partitions > 0, "there is no topic {topic}");
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        TopicPartition::new(topic, (hasher.finish() % partitions as u64) as i32)
    }

    /// Writes the ends of a transaction, and the offsets that waited for it.
    pub(super) fn finish(&mut self, open: Option<Open>, committed: bool) {
        let Some(open) = open else { return };
        for partition in &open.partitions {
            self.log(partition).end(open.id, committed);
        }
        for (group, partition, offset) in open.offsets.into_iter().filter(|_| committed) {
            let group = self.groups.get_mut(&group).expect("it was checked");
            group.offsets.insert(partition, offset);
        }
    }

    /// A group that is there.
    pub(super) fn group(&mut self, name: &str) -> &mut Group {
        self.groups.get_mut(name).unwrap_or_else(|| panic!("there is no group {name}"))
    }

    pub(super) fn is_member(&mut self, group: &str, member: MemberId) -> bool {
        self.group(group).generation_of(member).is_some()
    }

    /// Lets a new member join a group. Returns its number.
    pub(super) fn join(&mut self, group: &str, process: &Process) -> MemberId {
        let member = self.members.len() as MemberId + 1;
        self.members.insert(member, process.clone());
        self.group(group).join(member);
        member
    }

    /// Whether a consumer may commit an offset of a partition; says so by `kind` if not.
    pub(super) fn check_group(
        &mut self,
        who: &member::Group,
        partition: &TopicPartition,
        kind: FaultKind,
        doing: &'static str,
    ) -> Result<(), Fault> {
        let Some((id, generation)) = who.member else { return Ok(()) };
        let group = self.group(&who.name);
        group.check(id, generation, kind, doing)?;
        if !group.has(id, partition) {
            self.violations.push(format!("member {id} committed an offset of {partition}"));
        }
        Ok(())
    }
}
