//! A group: members, generations, rebalances, committed offsets.
//!
//! A change of the members opens a *round*: every member joins it at one of its polls, the eager ones once
//! they have given up all they had. When all have joined, a new generation begins and everybody is told what is
//! new to it. In the cooperative protocol a partition that moves is only revoked in that round; once it is
//! given up, a second round assigns it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::assign::{MemberId, deal};
use crate::client::{Committed, Fault, FaultKind, Rebalance};
use crate::message::TopicPartition;

/// How a group rebalances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Everybody gives up everything, and is assigned anew.
    Eager,
    /// Only what moves is given up.
    Cooperative,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Group {
    protocol: Protocol,
    partitions: Vec<TopicPartition>,
    generation: u64,
    members: BTreeMap<MemberId, Membership>,
    /// Whether a round is open, and who has joined it.
    round: Option<BTreeSet<MemberId>>,
    pub(super) offsets: BTreeMap<TopicPartition, Committed>,
}

/// What the group knows of a member.
#[derive(Debug, Default)]
struct Membership {
    has: BTreeSet<TopicPartition>,
    /// What it has not been told yet.
    news: VecDeque<Rebalance>,
    /// What it was told to give up and has not.
    leaving: BTreeSet<TopicPartition>,
    /// Whether it goes once it has nothing any more.
    goes: bool,
}

impl Group {
    pub(super) fn new(protocol: Protocol, partitions: Vec<TopicPartition>) -> Group {
        Group {
            protocol,
            partitions,
            generation: 0,
            members: BTreeMap::new(),
            round: None,
            offsets: BTreeMap::new(),
        }
    }

    pub(super) fn join(&mut self, member: MemberId) {
        self.members.insert(member, Membership::default());
        self.open_round();
    }

    /// Takes a member out, at once. Returns what it had; `None` if it was none.
    pub(super) fn remove(&mut self, member: MemberId) -> Option<BTreeSet<TopicPartition>> {
        let gone = self.members.remove(&member)?;
        self.open_round();
        self.try_complete();
        Some(gone.has)
    }

    /// Opens a round. Who has joined one that is open need not join again.
    fn open_round(&mut self) {
        self.round.get_or_insert_default();
    }

    /// What is new to a member, at one of its polls.
    pub(super) fn news(&mut self, member: MemberId) -> Option<Rebalance> {
        let told = self.members.get_mut(&member)?;
        if told.news.is_empty()
            && told.leaving.is_empty()
            && !told.goes
            && let Some(joined) = &mut self.round
            && !joined.contains(&member)
        {
            if self.protocol == Protocol::Eager && !told.has.is_empty() {
                told.leaving = told.has.clone();
                return Some(Rebalance::Revoked(told.has.iter().cloned().collect()));
            }
            joined.insert(member);
            self.try_complete();
        }
        self.members.get_mut(&member)?.news.pop_front()
    }

    /// Begins to leave: a member that has nothing is gone at once.
    pub(super) fn leave(&mut self, member: MemberId) {
        let Some(membership) = self.members.get_mut(&member) else { return };
        membership.goes = true;
        membership.news.clear();
        if membership.has.is_empty() {
            self.remove(member);
            return;
        }
        membership.leaving = membership.has.clone();
        membership.news.push_back(Rebalance::Revoked(membership.has.iter().cloned().collect()));
    }

    pub(super) fn give_up(&mut self, member: MemberId, partitions: &[TopicPartition]) {
        let Some(membership) = self.members.get_mut(&member) else { return };
        for partition in partitions {
            membership.has.remove(partition);
            membership.leaving.remove(partition);
        }
        if membership.goes && membership.has.is_empty() {
            self.remove(member);
            return;
        }
        match self.protocol {
            Protocol::Cooperative => self.open_round(),
            Protocol::Eager => {
                self.round.get_or_insert_default().insert(member);
                self.try_complete();
            }
        }
    }

    /// Begins the next generation if all have joined.
    fn try_complete(&mut self) {
        let Some(joined) = &self.round else { return };
        let stays = |(_, membership): &(&MemberId, &Membership)| !membership.goes;
        if self.members.is_empty() {
            self.round = None;
            return;
        }
        if !self.members.keys().all(|id| joined.contains(id)) {
            return;
        }
        self.round = None;
        self.generation += 1;
        let had = self.members.iter().filter(stays);
        let had = had.map(|(id, membership)| (*id, membership.has.clone())).collect();
        let dealt = deal(&self.partitions, &had, self.protocol == Protocol::Cooperative);
        let taken: BTreeSet<TopicPartition> =
            self.members.values().flat_map(|membership| membership.has.clone()).collect();
        for (id, wanted) in dealt {
            let membership = self.members.get_mut(&id).expect("it was dealt to");
            let moves: Vec<_> = membership.has.difference(&wanted).cloned().collect();
            let new: Vec<_> = wanted.difference(&taken).cloned().collect();
            if !new.is_empty() {
                membership.has.extend(new.iter().cloned());
                membership.news.push_back(Rebalance::Assigned(new));
            }
            if !moves.is_empty() {
                membership.leaving.extend(moves.iter().cloned());
                membership.news.push_back(Rebalance::Revoked(moves));
            }
        }
    }

    /// The generation that a member is in; `None` if it is no member.
    pub(super) fn generation_of(&self, member: MemberId) -> Option<u64> {
        self.members.contains_key(&member).then_some(self.generation)
    }

    pub(super) fn has(&self, member: MemberId, partition: &TopicPartition) -> bool {
        self.members.get(&member).is_some_and(|membership| membership.has.contains(partition))
    }

    /// Whether `member` of `generation` may commit.
    pub(super) fn check(
        &self,
        member: MemberId,
        generation: u64,
        kind: FaultKind,
        doing: &'static str,
    ) -> Result<(), Fault> {
        let said = match self.generation_of(member) {
            None => "unknown member id".to_owned(),
            Some(current) if current != generation => format!("generation {generation} is over"),
            Some(_) => return Ok(()),
        };
        Err(Fault { kind, doing, said })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls and gives up whatever is revoked, until nothing is new to anybody. Returns all news.
    fn settle(group: &mut Group, members: &[MemberId]) -> Vec<(MemberId, Rebalance)> {
        let mut all = Vec::new();
        for _ in 0..10 {
            for &member in members {
                let Some(news) = group.news(member) else { continue };
                if let Rebalance::Revoked(partitions) = &news {
                    group.give_up(member, partitions);
                }
                all.push((member, news));
            }
        }
        all
    }

    fn partitions(numbers: std::ops::Range<i32>) -> Vec<TopicPartition> {
        numbers.map(|partition| TopicPartition::new("t", partition)).collect()
    }

    #[test]
    fn cooperative_members_give_up_what_moves() {
        let mut group = Group::new(Protocol::Cooperative, partitions(0..3));
        group.join(1);
        assert_eq!(settle(&mut group, &[1]), [(1, Rebalance::Assigned(partitions(0..3)))]);
        group.join(2);
        let (revoked, moved) = (Rebalance::Revoked(partitions(2..3)), partitions(2..3));
        let moves = [(1, revoked), (2, Rebalance::Assigned(moved))];
        assert_eq!(settle(&mut group, &[1, 2]), moves);
        assert_eq!(group.generation_of(2), Some(3), "two rounds for the second member");
    }

    #[test]
    fn eager_members_give_up_all() {
        let mut group = Group::new(Protocol::Eager, partitions(0..3));
        group.join(1);
        settle(&mut group, &[1]);
        group.join(2);
        let news = settle(&mut group, &[1, 2]);
        assert_eq!(news[0], (1, Rebalance::Revoked(partitions(0..3))));
        assert_eq!(news.len(), 3);
        assert_eq!(group.generation_of(1), Some(2));
        group.leave(2);
        let news = settle(&mut group, &[1, 2]);
        assert_eq!(news.last(), Some(&(1, Rebalance::Assigned(partitions(0..3)))));
        assert_eq!(group.generation_of(2), None);
    }

    #[test]
    fn a_generation_waits_for_all_and_not_for_the_expelled() {
        let mut group = Group::new(Protocol::Eager, partitions(0..2));
        group.join(1);
        settle(&mut group, &[1]);
        group.join(2);
        assert_eq!(settle(&mut group, &[2]), [], "the first has not joined the round");
        let check = |group: &Group| group.check(1, 1, FaultKind::Fenced, "commit").is_ok();
        assert!(check(&group), "its generation is not over");
        assert_eq!(group.remove(1), Some(partitions(0..2).into_iter().collect()));
        assert_eq!(settle(&mut group, &[2]), [(2, Rebalance::Assigned(partitions(0..2)))]);
        assert!(!check(&group));
        assert!(group.check(2, 1, FaultKind::Fenced, "commit").is_err(), "generation 1 is over");
        assert!(group.check(2, 2, FaultKind::Fenced, "commit").is_ok());
    }
}
