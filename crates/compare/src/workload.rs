//! What is presented: ids, and for each whether it must be called new.

use crate::course::Course;
use crate::peer::Id;
use crate::yardstick::Random;

pub(crate) const ALL: [Workload; 4] =
    [Workload::New, Workload::Duplicate, Workload::Half, Workload::Sustained];

/// The most ids of a workload that asks a full window: more would tell no more.
const ASKED: usize = 10_000_000;

/// How many times the ids of a window are presented, sustained: what filled it is forgotten by then, however coarsely a
/// peer forgets.
const WINDOWS: usize = 3;

/// No duplicate is taken from the oldest one of so many parts of the window: peers forget by whole batches.
const OLDEST: usize = 10;

/// One of so many sustained ids is a duplicate.
const DUPLICATE_EVERY: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Ids that nobody has seen fill the window.
    New,
    /// Ids out of the full window, all equally likely: half as many as it holds.
    Duplicate,
    /// As many again, a new one and a duplicate in turns.
    Half,
    /// Three times as many ids as the full window holds: nine new ones, then a duplicate out of the window, but for its
    /// oldest tenth.
    Sustained,
}

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::New => "new",
            Workload::Duplicate => "duplicate",
            Workload::Half => "half",
            Workload::Sustained => "sustained",
        }
    }

    /// Whether the id at this place of the workload is new.
    pub(crate) fn is_new(self, place: usize) -> bool {
        match self {
            Workload::New => true,
            Workload::Duplicate => false,
            Workload::Half => place.is_multiple_of(2),
            Workload::Sustained => !(place + 1).is_multiple_of(DUPLICATE_EVERY),
        }
    }

    /// How many new ids stand before this place.
    fn new_before(self, place: usize) -> usize {
        match self {
            Workload::New => place,
            Workload::Duplicate => 0,
            Workload::Half => place.div_ceil(2),
            Workload::Sustained => place - place / DUPLICATE_EVERY,
        }
    }

    /// How many ids it presents, where the window has room for `window`.
    fn len(self, window: usize) -> usize {
        match self {
            Workload::New => window,
            Workload::Duplicate | Workload::Half => (window / 2).min(ASKED),
            Workload::Sustained => WINDOWS * window,
        }
    }
}

/// A workload, spelt out.
pub(crate) struct Load {
    pub(crate) workload: Workload,
    pub(crate) ids: Vec<Id>,
}

impl Load {
    /// What is timed, in order.
    pub(crate) fn all(course: Course, window: usize) -> Vec<Load> {
        course.workloads().iter().map(|&workload| Load::new(workload, window)).collect()
    }

    pub(crate) fn new(workload: Workload, window: usize) -> Load {
        let mut random = Random(workload as u64);
        let mut below = |n: usize| ((u128::from(random.word()) * n as u128) >> 64) as usize;
        let mut id_at = |place| {
            // All but the first workload find the window full.
            let before = workload.new_before(place);
            match workload {
                Workload::New => id(before),
                _ if workload.is_new(place) => id(window + before),
                Workload::Duplicate | Workload::Half => id(below(window)),
                Workload::Sustained => id(window + before - 1 - below(window - window / OLDEST)),
            }
        };
        let ids = (0..workload.len(window)).map(&mut id_at).collect();
        Load { workload, ids }
    }

    /// How many of its ids are new.
    pub(crate) fn new_ids(&self) -> usize {
        self.workload.new_before(self.ids.len())
    }
}

/// The `n`th id: uniform over all 16 bytes, as random UUIDs are nearly.
pub(crate) fn id(n: usize) -> Id {
    let mut random = Random((n as u64).wrapping_mul(0xd134_2543_de82_ef95));
    (u128::from(random.word()) << 64 | u128::from(random.word())).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_counted_as_they_are_dealt_out() {
        for workload in ALL {
            let mut new = 0;
            for place in 0..100 {
                assert_eq!(workload.new_before(place), new, "{workload:?} at {place}");
                new += usize::from(workload.is_new(place));
            }
        }
    }
}
