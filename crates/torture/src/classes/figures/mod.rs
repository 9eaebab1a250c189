//! What a store says of itself, and what can be counted from outside: where every answer is right and a
//! figure is not, something has stopped working that nobody would miss.
//!
//! | module | what is counted |
//! |---|---|
//! | `pages` | new ids that filters rule out, and pages that they cost |
//! | `keys` | fingerprints that two stores have in common |
//! | `idle` | what is left of a store that nobody calls |
//! | `growth` | ids that are found while the filter grows |
//! | `cap` | bytes on a disk that has no more than the cap |

mod cap;
mod growth;
mod idle;
mod keys;
mod pages;

use crate::case::{Case, Counts, Promise};
use crate::class::Class;
use crate::support::Rng;

type Figure = fn(&mut Rng, &mut Counts) -> Promise;

const FIGURES: [Figure; 5] = [keys::run, pages::run, idle::run, cap::run, growth::run];
/// So many of them, the first, take a moment only.
const QUICK: usize = 3;

pub(crate) struct Figures;

impl Class for Figures {
    fn name(&self) -> &'static str {
        "figures"
    }

    fn about(&self) -> &'static str {
        "filters rule out, keys differ, idle stores age, caps are kept, also while filters grow"
    }

    fn weight(&self) -> u32 {
        3
    }

    fn enumerated(&self) -> u64 {
        FIGURES.len() as u64
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let mut random = Rng::new(case.number() ^ 6);
        let figure = match case {
            Case::Enumerated(number) => FIGURES[number as usize % FIGURES.len()],
            Case::Sampled(_) if random.one_in(4) => random.pick(&FIGURES),
            Case::Sampled(_) => random.pick(&FIGURES[..QUICK]),
        };
        figure(&mut random, counts)
    }
}

fn text(error: firstseen::Error) -> String {
    error.to_string()
}
