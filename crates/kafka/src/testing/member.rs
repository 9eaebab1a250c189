//! A consumer of the cluster: a member of a group, or one that has partitions by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use super::assign::MemberId;
use super::cluster::{Cluster, State};
use super::log::Isolation;
use super::process::Process;
use crate::client::{Bounds, Client, Committed, Fault, FaultKind, Inbox, Rebalance};
use crate::message::TopicPartition;

/// Who a consumer is in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub(super) name: String,
    /// `None` for one that has partitions by hand.
    pub(super) member: Option<(MemberId, u64)>,
}

/// How many messages a poll gives at most. Small, so that batches end in the midst of what there is.
const POLL_MESSAGES: usize = 8;

/// A [`Client`] of the cluster.
#[derive(Debug)]
pub struct Member {
    cluster: Cluster,
    group: String,
    process: Process,
    isolation: Isolation,
    me: Me,
    /// What was accepted, and from where it is read; `None` while it is not.
    reads: BTreeMap<TopicPartition, Option<u64>>,
    /// The partition that a poll begins with: one behind that of the last.
    turn: usize,
    /// Whether it was told to give up what it has not given up yet.
    owes: bool,
    /// What a poll that failed was about to tell.
    untold: Option<Rebalance>,
    poll_messages: usize,
}

#[derive(Debug)]
enum Me {
    Member(MemberId),
    /// Expelled, and it knows: it joins anew once it has given up what it had.
    Expelled,
    Leaving(MemberId),
    ByHand {
        untold: Option<Rebalance>,
    },
}

impl Member {
    pub(super) fn join(
        cluster: Cluster,
        group: &str,
        process: Process,
        isolation: Isolation,
    ) -> Member {
        let id = cluster.state().join(group, &process);
        Member::new(cluster, group, process, isolation, Me::Member(id))
    }

    pub(super) fn by_hand(
        cluster: Cluster,
        group: &str,
        partitions: Vec<TopicPartition>,
        process: Process,
    ) -> Member {
        let me = Me::ByHand { untold: Some(Rebalance::Assigned(partitions)) };
        Member::new(cluster, group, process, Isolation::ReadCommitted, me)
    }

    fn new(
        cluster: Cluster,
        group: &str,
        process: Process,
        isolation: Isolation,
        me: Me,
    ) -> Member {
        let (group, reads) = (group.to_owned(), BTreeMap::new());
        Member {
            cluster,
            group,
            process,
            isolation,
            me,
            reads,
            turn: 0,
            owes: false,
            untold: None,
            poll_messages: POLL_MESSAGES,
        }
    }

    /// Lets a poll give up to so many messages, in place of eight.
    #[must_use]
    pub fn poll_messages(mut self, messages: usize) -> Member {
        self.poll_messages = messages;
        self
    }

    /// What is new to it.
    fn news(&mut self) -> Option<Rebalance> {
        let mut state = self.cluster.state();
        let lost = || Rebalance::Lost(self.reads.keys().cloned().collect());
        match &mut self.me {
            Me::Member(id) | Me::Leaving(id) if state.deaf.contains(id) => None,
            Me::Member(id) | Me::Leaving(id) if state.is_member(&self.group, *id) => {
                state.group(&self.group).news(*id)
            }
            Me::Member(_) => {
                self.me = Me::Expelled;
                (!self.reads.is_empty()).then(lost)
            }
            Me::Leaving(_) => (!self.reads.is_empty()).then(lost),
            Me::Expelled => {
                self.me = Me::Member(state.join(&self.group, &self.process));
                None
            }
            Me::ByHand { untold } => untold.take(),
        }
    }

    /// Gives messages of what is read, beginning with another partition each time.
    fn fetch(&mut self, inbox: &mut dyn Inbox) -> Result<(), Fault> {
        let state = self.cluster.state();
        let mut partitions: Vec<_> = self.reads.iter_mut().collect();
        let first = self.turn % partitions.len().max(1);
        partitions.rotate_left(first);
        self.turn += 1;
        let mut room = self.poll_messages;
        for (partition, next) in partitions {
            let Some(next) = next else { continue };
            let log = &state.logs[partition];
            if *next < log.bounds().first {
                let said = format!("offset {next} of {partition} is out of range");
                return Err(Fault { kind: FaultKind::Transient, doing: "fetch", said });
            }
            while room > 0
                && let Some(record) = log.read(*next, self.isolation)
            {
                record.as_message(|message| {
                    inbox.take(&partition.topic, partition.partition, message);
                });
                *next = record.offset + 1;
                room -= 1;
            }
        }
        Ok(())
    }

    fn who(&self, state: &State) -> Group {
        let generation = |id| state.groups[&self.group].generation_of(id).unwrap_or(0);
        let member = match self.me {
            Me::Member(id) | Me::Leaving(id) => Some((id, generation(id))),
            // An id that nobody has.
            Me::Expelled => Some((0, 0)),
            Me::ByHand { .. } => None,
        };
        Group { name: self.group.clone(), member }
    }
}

impl Client for Member {
    type Group = Group;

    fn poll(&mut self, _: Duration, inbox: &mut dyn Inbox) -> Result<Option<Rebalance>, Fault> {
        self.process.clone().step("poll", || {
            if self.untold.is_none() {
                self.untold = self.news();
            }
            if self.untold.is_none() { self.fetch(inbox) } else { Ok(()) }
        })?;
        self.owes |= matches!(self.untold, Some(Rebalance::Revoked(_)));
        Ok(self.untold.take())
    }

    fn accept(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault> {
        self.process.step("accept partitions", || {
            self.reads.extend(partitions.iter().map(|partition| (partition.clone(), None)));
            Ok(())
        })
    }

    fn give_up(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault> {
        self.process.step("give partitions up", || {
            self.reads.retain(|partition, _| !partitions.contains(partition));
            if let Me::Member(id) | Me::Leaving(id) = self.me
                && std::mem::take(&mut self.owes)
            {
                self.cluster.state().group(&self.group).give_up(id, partitions);
            }
            Ok(())
        })
    }

    fn read_from(&mut self, partition: &TopicPartition, next: u64) -> Result<(), Fault> {
        self.process.step("read a partition", || {
            let read = self.reads.get_mut(partition);
            *read.unwrap_or_else(|| panic!("{partition} was not accepted")) = Some(next);
            Ok(())
        })
    }

    fn hold(&mut self, partition: &TopicPartition) -> Result<(), Fault> {
        self.process.step("hold a partition", || {
            let read = self.reads.get_mut(partition);
            *read.unwrap_or_else(|| panic!("{partition} was not accepted")) = None;
            Ok(())
        })
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<Committed>, Fault> {
        let doing = "ask for the group's offset";
        self.process.step(doing, || {
            let mut state = self.cluster.state();
            if state.transactions.is_pending(&self.group, partition) {
                let said = "a transaction over it is open".to_owned();
                return Err(Fault { kind: FaultKind::Transient, doing, said });
            }
            Ok(state.group(&self.group).offsets.get(partition).cloned())
        })
    }

    fn commit(
        &mut self,
        partition: &TopicPartition,
        committed: &Committed,
        wait: bool,
    ) -> Result<(), Fault> {
        let doing = "commit an offset";
        self.process.step(doing, || {
            let mut state = self.cluster.state();
            let who = self.who(&state);
            match state.check_group(&who, partition, FaultKind::Fenced, doing) {
                Ok(()) => {
                    let offsets = &mut state.group(&self.group).offsets;
                    offsets.insert(partition.clone(), committed.clone());
                    Ok(())
                }
                // Who does not wait does not learn of it.
                Err(_) if !wait => Ok(()),
                Err(fault) => Err(fault),
            }
        })
    }

    fn bounds(&mut self, partition: &TopicPartition) -> Result<Bounds, Fault> {
        self.process.step("ask for a partition's bounds", || {
            Ok(self.cluster.state().log(partition).bounds())
        })
    }

    fn group(&mut self) -> Result<Group, Fault> {
        self.process.step("ask for the membership", || Ok(self.who(&self.cluster.state())))
    }

    fn leave(&mut self) -> Result<(), Fault> {
        self.process.clone().step("leave the group", || {
            let mut state = self.cluster.state();
            match &mut self.me {
                Me::Member(id) => {
                    state.group(&self.group).leave(*id);
                    self.me = Me::Leaving(*id);
                }
                Me::ByHand { untold } => {
                    *untold = Some(Rebalance::Revoked(self.reads.keys().cloned().collect()));
                }
                Me::Leaving(_) => {}
                Me::Expelled => self.me = Me::Leaving(0),
            }
            Ok(())
        })
    }
}
