//! Models of the insertion protocol: every interleaving that loom can tell apart.

use loom::thread;

use super::{Insert, Table};
use crate::key::Fingerprint;
use crate::sync::Arc;

fn table() -> Arc<Table> {
    Arc::new(Table::new(super::slot::BUCKET_BITS_MIN).unwrap())
}

/// Runs the insertions, each on its own thread, and returns what they were told.
fn race(ids: &'static [Fingerprint]) -> (Arc<Table>, Vec<Insert>) {
    let table = table();
    let threads: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(tick, &id)| {
            let table = Arc::clone(&table);
            thread::spawn(move || table.insert(id, tick as u8))
        })
        .collect();
    let told = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    (table, told)
}

#[test]
fn of_two_insertions_of_one_id_exactly_one_wins() {
    loom::model(|| {
        const ID: Fingerprint = Fingerprint::from_u128(7 << 64 | 9);
        let (table, told) = race(&[ID, ID]);
        let winner = told.iter().position(|&told| told == Insert::Inserted).unwrap();
        assert_eq!(told[1 - winner], Insert::Present { tick: winner as u8 });
        assert_eq!(table.get(ID), Some(winner as u8));
    });
}

#[test]
fn ids_that_share_a_slot_or_a_low_word_are_all_kept() {
    loom::model(|| {
        const A: Fingerprint = Fingerprint::from_u128(7 << 64 | 9);
        const B: Fingerprint = Fingerprint::from_u128(8 << 64 | 9);
        let (table, told) = race(&[A, B]);
        assert_eq!(told, [Insert::Inserted; 2]);
        assert!(table.get(A).is_some() && table.get(B).is_some());
        let mut drained = Vec::new();
        table.drain().fill(&table, 3, &mut drained);
        assert_eq!(drained.len(), 2);
    });
}
