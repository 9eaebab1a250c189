//! Which record stands at which place of the stream.
//!
//! Places are decided one after the other: a fresh record, or a redelivery of one that stands a
//! random age before. Fresh records are counted, and the n-th of them is record `order(n)`, a
//! shuffle within slices; so a redelivery finds what stood there without having kept it.

use super::random::{Random, shuffled};

/// No redelivery is older than so many times the mean.
const AGE_MAX: f64 = 10.0;

/// Whether a record stands in the stream for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fresh,
    Redelivery,
}

/// The state of the stream: a few numbers, however long it is.
#[derive(Debug)]
pub(super) struct Plan {
    seed: u64,
    random: Random,
    duplicates: f64,
    /// Mean age of a redelivery, in fresh records.
    age: f64,
    /// Fresh records that are shuffled among each other; 1 keeps the order.
    slice: u64,
    /// Fresh records so far, and at most.
    fresh: u64,
    fresh_max: u64,
    oldest: u64,
}

impl Plan {
    pub(super) fn new(seed: u64, duplicates: f64, fresh_max: u64) -> Plan {
        let random = Random::new(seed ^ 0x7061_6765);
        Plan { seed, random, duplicates, age: 1.0, slice: 1, fresh: 0, fresh_max, oldest: 0 }
    }

    /// Sets the mean age of redeliveries, in fresh records.
    pub(super) fn ages(mut self, age: f64) -> Plan {
        self.age = age.max(1.0);
        self
    }

    /// Sets how many neighbouring records are shuffled among each other.
    pub(super) fn slices(mut self, slice: f64) -> Plan {
        self.slice = (slice as u64).max(1);
        self
    }

    /// What stands at the next place, and the number of its record.
    pub(super) fn next(&mut self) -> (Kind, u64) {
        if self.fresh > 0 && self.random.unit() < self.duplicates {
            let spread = self.random.exponential().min(AGE_MAX);
            // The stream's youth has no old records: ages wrap around there.
            let age = (spread * self.age) as u64 % self.fresh;
            self.oldest = self.oldest.max(age);
            return (Kind::Redelivery, self.order(self.fresh - 1 - age));
        }
        self.fresh += 1;
        (Kind::Fresh, self.order(self.fresh - 1))
    }

    /// The greatest age of a redelivery so far, in fresh records.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// The number of the record that is the `index`-th fresh one.
    fn order(&self, index: u64) -> u64 {
        if self.slice == 1 {
            return index;
        }
        let start = index - index % self.slice;
        let len = self.slice.min(self.fresh_max - start);
        start + shuffled(self.seed ^ start, index - start, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn redeliveries_repeat_what_stood_before() {
        let mut plan = Plan::new(3, 0.2, 10_000).ages(50.0).slices(100.0);
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            let (kind, number) = plan.next();
            assert_eq!(seen.insert(number), kind == Kind::Fresh);
        }
        assert!((7_800..8_200).contains(&seen.len()), "{}", seen.len());
        assert!((100..=500).contains(&plan.oldest()), "{}", plan.oldest());
    }

    #[test]
    fn records_stay_in_their_slice() {
        let mut plan = Plan::new(3, 0.0, 1_000).slices(10.0);
        let numbers: Vec<u64> = (0..1_000).map(|_| plan.next().1).collect();
        assert!(numbers.iter().zip(0..).all(|(number, place)| number / 10 == place / 10));
        assert!(!numbers.is_sorted());
    }

    #[test]
    fn the_extremes_work() {
        let mut plan = Plan::new(3, 1.0, 5);
        assert_eq!(plan.next(), (Kind::Fresh, 0));
        assert_eq!(plan.next(), (Kind::Redelivery, 0));
        let mut plan = Plan::new(3, 0.0, 5);
        assert!((0..5).all(|place| plan.next() == (Kind::Fresh, place)));
    }
}
