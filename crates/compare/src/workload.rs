//! What is presented: ids, and for each whether it must be called new.

use crate::peer::Id;
use crate::yardstick::Random;

/// The workloads, in the order in which one opened peer gets them.
pub(crate) const ALL: [Workload; 3] = [Workload::New, Workload::Duplicate, Workload::Half];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Ids that nobody has seen fill the window.
    New,
    /// Ids out of the full window, all equally likely: half as many as it holds.
    Duplicate,
    /// As many again, a new one and a duplicate in turns.
    Half,
}

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::New => "new",
            Workload::Duplicate => "duplicate",
            Workload::Half => "half",
        }
    }

    /// Whether the id at this place of the workload is new.
    pub(crate) fn is_new(self, place: usize) -> bool {
        match self {
            Workload::New => true,
            Workload::Duplicate => false,
            Workload::Half => place.is_multiple_of(2),
        }
    }

    /// How many ids it presents, where the window has room for `window`.
    fn len(self, window: usize) -> usize {
        match self {
            Workload::New => window,
            Workload::Duplicate | Workload::Half => window / 2,
        }
    }
}

/// A workload, spelt out.
pub(crate) struct Load {
    pub(crate) workload: Workload,
    pub(crate) ids: Vec<Id>,
}

impl Load {
    /// The workloads of a window of that many ids.
    pub(crate) fn all(window: usize) -> Vec<Load> {
        ALL.iter().map(|&workload| Load::new(workload, window)).collect()
    }

    fn new(workload: Workload, window: usize) -> Load {
        let mut random = Random(workload as u64);
        let mut id_at = |place| match workload {
            Workload::New => id(place),
            // The first that are not in the window.
            Workload::Half if workload.is_new(place) => id(window + place / 2),
            Workload::Duplicate | Workload::Half => {
                id(((u128::from(random.word()) * window as u128) >> 64) as usize)
            }
        };
        let ids = (0..workload.len(window)).map(&mut id_at).collect();
        Load { workload, ids }
    }

    /// How many of its ids are new.
    pub(crate) fn new_ids(&self) -> usize {
        (0..self.ids.len()).filter(|&place| self.workload.is_new(place)).count()
    }
}

/// The `n`th id: uniform over all 16 bytes, as random UUIDs are nearly.
pub(crate) fn id(n: usize) -> Id {
    let mut random = Random((n as u64).wrapping_mul(0xd134_2543_de82_ef95));
    (u128::from(random.word()) << 64 | u128::from(random.word())).to_be_bytes()
}
