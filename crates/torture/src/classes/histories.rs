//! Rng operations held against plain models: those of the crate's own tests, for as long as there is time.

use crate::case::{Case, Counts, Promise};
use crate::class::Class;
use crate::support::history::step;
use crate::support::machine::{Machine, Settings};
use crate::support::{Rng, transactions};

/// Operations of one history: of ids, and of transactions.
const STEPS: u64 = 120;
const TRANSACTION_STEPS: u64 = 80;

pub(crate) struct Histories;

impl Class for Histories {
    fn name(&self) -> &'static str {
        "histories"
    }

    fn about(&self) -> &'static str {
        "random calls, event times, clocks that jump, claims and leases, ends of every kind: a model's answers"
    }

    fn weight(&self) -> u32 {
        4
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let seed = case.number();
        if seed.is_multiple_of(2) {
            let mut rng = Rng::new(seed);
            let mut machine = Machine::new(Settings::random(&mut rng));
            (0..STEPS).for_each(|_| step(&mut rng, &mut machine));
            machine.check_all();
            counts.add("ids", machine.steps);
        } else {
            let mut rng = Rng::new(seed);
            let bytes: Vec<u8> =
                (0..TRANSACTION_STEPS / 2).flat_map(|_| rng.next().to_le_bytes()).collect();
            let settings = (rng.next() as u32).to_le_bytes();
            transactions::go(settings, &transactions::ops(transactions::IN_MEMORY, &bytes));
            counts.add("transaction steps", TRANSACTION_STEPS);
        }
        Ok(())
    }
}
