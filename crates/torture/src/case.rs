//! One case of a fault class, by the number that replays it, and what came of it.

use std::collections::BTreeMap;

/// Numbers from here on are seeds.
const SAMPLED: u64 = 1 << 63;

/// Which case of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// One of those that the class counts through.
    Enumerated(u64),
    /// One that this seed draws.
    Sampled(u64),
}

impl Case {
    /// The case that a seed draws.
    pub(crate) fn of_seed(seed: u64) -> Case {
        Case::Sampled(seed | SAMPLED)
    }

    /// The case of a number, as a replay names it.
    pub(crate) fn of_number(number: u64) -> Case {
        if number & SAMPLED == 0 { Case::Enumerated(number) } else { Case::Sampled(number) }
    }

    /// The number that replays it.
    pub(crate) fn number(self) -> u64 {
        match self {
            Case::Enumerated(number) | Case::Sampled(number) => number,
        }
    }
}

/// A promise that was kept, with what the case needs of it; or, as text, how it was broken.
pub(crate) type Promise<T = ()> = Result<T, String>;

/// Fails with this text unless the condition holds.
pub(crate) fn ensure(holds: bool, broken: impl FnOnce() -> String) -> Promise {
    if holds { Ok(()) } else { Err(broken()) }
}

/// What was done, by name: states looked at, ids acknowledged, processes killed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// Counts `n` more of these.
    pub(crate) fn add(&mut self, what: &'static str, n: u64) {
        *self.0.entry(what).or_default() += n;
    }

    /// Takes over what somebody else counted.
    pub(crate) fn merge(&mut self, other: &Counts) {
        other.iter().for_each(|(what, n)| self.add(what, n));
    }

    /// Each with its number, in alphabetical order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(&what, &n)| (what, n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_names_its_case() {
        for case in [Case::Enumerated(0), Case::Enumerated(77), Case::of_seed(0), Case::of_seed(9)]
        {
            assert_eq!(Case::of_number(case.number()), case);
        }
    }
}
