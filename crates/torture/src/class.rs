//! A fault class: one way of making the world bad, and what must hold all the same.

use crate::case::{Case, Counts, Promise};

/// A way of making faults, with the promises that it checks.
pub(crate) trait Class: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What is injected, and what is asserted, in a line.
    fn about(&self) -> &'static str;

    /// Its share of the time, beside the others'.
    fn weight(&self) -> u32 {
        2
    }

    /// How many cases are counted through before seeds are drawn.
    fn enumerated(&self) -> u64 {
        0
    }

    /// Whether seeds draw more cases than those.
    fn is_sampled(&self) -> bool {
        true
    }

    /// Whether cases may run beside each other.
    fn is_parallel(&self) -> bool {
        true
    }

    /// What this machine lacks for it.
    fn lacks(&self) -> Option<String> {
        None
    }

    /// Runs one case. A panic is a broken promise, too.
    fn run(&self, case: Case, counts: &mut Counts) -> Promise;
}
