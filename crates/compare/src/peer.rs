//! What a peer is: a set of ids that tells which ones are new.

use std::error::Error;
use std::path::Path;

use crate::course::Course;
use crate::plan::Scenario;

/// An id: 16 bytes, as of a UUID.
pub(crate) type Id = [u8; 16];

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A set of ids, opened.
pub(crate) trait Peer {
    /// Presents a batch. Leaves in `new`, for each id in order, whether it was seen for the first
    /// time: of all calls that present an id, from any threads, exactly one is told so, and inside
    /// a batch the first.
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()>;

    /// Does the work that acknowledged calls have put off, up to the last sync. What is on disk
    /// afterwards counts as the peer's bytes.
    fn finish(&self) -> Result<()>;

    /// Time has passed: `inserted` ids have come since the beginning, and those that came more than a window's ids
    /// ago may be forgotten. Only peers that were opened to forget are told.
    fn forget(&self, inserted: usize) -> Result<()> {
        let _ = inserted;
        Ok(())
    }

    /// Whether all the work is done in this process, so that its processor time can be told.
    fn in_this_process(&self) -> bool {
        true
    }
}

/// What a peer gets to open with.
pub(crate) struct Setup<'a> {
    /// An empty folder of its own.
    pub(crate) folder: &'a Path,
    /// How many ids it will hold in the end; or of how many a window consists, for a peer that forgets.
    pub(crate) expected_ids: usize,
}

/// An opened peer, and whether threads may share it.
pub(crate) enum Opened {
    Alone(Box<dyn Peer>),
    Shared(Box<dyn Peer + Sync>),
}

impl Opened {
    pub(crate) fn peer(&self) -> &dyn Peer {
        match self {
            Opened::Alone(peer) => &**peer,
            Opened::Shared(peer) => &**peer,
        }
    }
}

/// What an acknowledged id survives, in the words of firstseen's own durability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Nothing: it is in memory only.
    MemoryOnly,
    /// The death of the process, once it is half a second old.
    Delayed,
    /// The death of the process, not that of the machine.
    Buffered,
    /// The death of the process; that of the machine, once it is half a second old.
    Interval,
    /// The death of the machine: every call ends with a sync.
    Sync,
}

/// Ids a call from which on peers that sync each call are measured. A small batch would measure the
/// disk alone, for hours.
const SYNCED_BATCH: usize = 256;

impl Durability {
    pub(crate) const ALL: [Durability; 5] = [
        Durability::MemoryOnly,
        Durability::Delayed,
        Durability::Buffered,
        Durability::Interval,
        Durability::Sync,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Durability::MemoryOnly => "memory only",
            Durability::Delayed => "none for 500 ms",
            Durability::Buffered => "Buffered",
            Durability::Interval => "Interval(500 ms)",
            Durability::Sync => "Sync",
        }
    }
}

pub(crate) type Open = fn(&Setup) -> Result<Opened>;

/// A peer on the list.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) durability: Durability,
    open: Open,
    /// For a run in which it forgets.
    open_to_forget: Option<Open>,
    /// What it wants and this machine does not have.
    missing: fn() -> Option<&'static str>,
}

impl Entry {
    pub(crate) fn new(name: &'static str, durability: Durability, open: Open) -> Entry {
        Entry { name, durability, open, open_to_forget: None, missing: || None }
    }

    /// A peer that also takes part where ids are forgotten: there it is opened so.
    pub(crate) fn forgetting(self, open: Open) -> Entry {
        Entry { open_to_forget: Some(open), ..self }
    }

    /// A peer that is skipped where something is missing.
    #[cfg(all(unix, feature = "redis"))]
    pub(crate) fn unless(self, missing: fn() -> Option<&'static str>) -> Entry {
        Entry { missing, ..self }
    }

    /// What it wants and this machine does not have.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        (self.missing)()
    }

    /// Whether it is measured in that scenario.
    pub(crate) fn takes(&self, scenario: Scenario) -> bool {
        let batch_is_large = self.durability != Durability::Sync || scenario.batch >= SYNCED_BATCH;
        batch_is_large && self.opener(scenario.course).is_some()
    }

    /// How it is opened for that course, if it takes part.
    pub(crate) fn opener(&self, course: Course) -> Option<Open> {
        match course {
            Course::Window => Some(self.open),
            Course::Sustained => self.open_to_forget,
        }
    }
}
