//! Who gets which partition.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::TopicPartition;

/// The number of a member, in the order in which they joined.
pub(super) type MemberId = u64;

/// Deals all partitions out evenly. With `had`, as the cooperative protocol: a member keeps what it had, up to
/// its share.
pub(super) fn deal(
    partitions: &[TopicPartition],
    members: &BTreeMap<MemberId, BTreeSet<TopicPartition>>,
    sticky: bool,
) -> BTreeMap<MemberId, BTreeSet<TopicPartition>> {
    let mut dealt: BTreeMap<MemberId, BTreeSet<TopicPartition>> =
        members.keys().map(|&id| (id, BTreeSet::new())).collect();
    if members.is_empty() {
        return dealt;
    }
    let (share, more) = (partitions.len() / members.len(), partitions.len() % members.len());
    let mut free: BTreeSet<&TopicPartition> = partitions.iter().collect();
    if sticky {
        // Whoever has more than a share comes first for one of the larger ones.
        let mut by_had: Vec<_> = members.iter().collect();
        by_had.sort_by_key(|(id, had)| (usize::MAX - had.len(), **id));
        for (i, (id, had)) in by_had.into_iter().enumerate() {
            let most = share + usize::from(i < more);
            for partition in
                had.iter().filter(|had| free.contains(had)).take(most).collect::<Vec<_>>()
            {
                free.remove(partition);
                dealt.get_mut(id).expect("a member").insert(partition.clone());
            }
        }
    }
    for partition in free {
        let fewest = dealt.iter().min_by_key(|(id, has)| (has.len(), **id));
        let id = *fewest.expect("there are members").0;
        dealt.get_mut(&id).expect("a member").insert(partition.clone());
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_what_stays_stays() {
        let all: Vec<TopicPartition> = (0..5).map(|p| TopicPartition::new("t", p)).collect();
        let had = |has: &[usize]| has.iter().map(|&p| all[p].clone()).collect::<BTreeSet<_>>();
        let members = BTreeMap::from([(1, had(&[])), (2, had(&[0, 1, 2, 3, 4]))]);
        let sticky = deal(&all, &members, true);
        assert_eq!(sticky[&2], had(&[0, 1, 2]));
        assert_eq!(sticky[&1], had(&[3, 4]));
        let eager = deal(&all, &members, false);
        assert_eq!((eager[&1].len(), eager[&2].len()), (3, 2));
        assert!(deal(&all, &BTreeMap::new(), true).is_empty());
    }
}
