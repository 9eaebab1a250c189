//! The standard workload: orders of three partitions, a third of them delivered again.

use std::collections::BTreeMap;

use firstseen_kafka::testing::{Cluster, Produce};

pub const TOPIC: &str = "orders";
pub const PARTITIONS: i32 = 3;

/// How many messages each partition gets.
const MESSAGES: u64 = 20;

/// What is written in the place `place` of a partition: every fourth place has a copy of an order that came three to
/// seven places before.
fn order_at(partition: i32, place: u64) -> String {
    let original = match place % 4 {
        3 => place.saturating_sub(3 + place % 5),
        _ => place,
    };
    // What stood there may have been a copy itself.
    if original == place {
        format!("order-{partition}-{place}")
    } else {
        order_at(partition, original)
    }
}

/// Writes the first or the second half of the orders.
pub fn produce_half(cluster: &Cluster, half: u64) {
    let half = MESSAGES / 2 * half..MESSAGES / 2 * (half + 1);
    for place in half {
        for partition in 0..PARTITIONS {
            cluster.produce(TOPIC, partition, Produce::new(order_at(partition, place), "1"));
        }
    }
}

/// Every order, once.
pub fn all() -> BTreeMap<String, u64> {
    let places = (0..PARTITIONS).flat_map(|partition| (0..MESSAGES).map(move |at| (partition, at)));
    places.map(|(partition, place)| (order_at(partition, place), 1)).collect()
}

/// How often each comes.
pub fn counted(orders: impl IntoIterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for order in orders {
        *counts.entry(order).or_default() += 1;
    }
    counts
}
