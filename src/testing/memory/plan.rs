//! What shall go wrong on a memory disk, and what has been done on it.

use std::collections::BTreeMap;
use std::io;

/// An operation on a storage, by the method that does it. Asking a file's length is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Op {
    CreateDir,
    List,
    Create,
    Open,
    OpenWrite,
    Rename,
    Remove,
    RemoveDir,
    Link,
    SyncDir,
    Lock,
    Read,
    Write,
    Allocate,
    Truncate,
    SyncData,
    SyncAll,
    Map,
}

/// The faults to come, and the operations so far. Operations are numbered from 0.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) history: Vec<Op>,
    pub(super) once: BTreeMap<u64, io::ErrorKind>,
    pub(super) sticky: Option<(u64, io::ErrorKind)>,
    pub(super) write_limit: Option<usize>,
}

impl Plan {
    /// Counts an operation, and fails it if that is planned.
    pub(super) fn step(&mut self, op: Op) -> io::Result<()> {
        let number = self.history.len() as u64;
        self.history.push(op);
        if let Some((from, kind)) = self.sticky
            && number >= from
        {
            return Err(kind.into());
        }
        self.once.remove(&number).map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Whether the last operation was one of those that fail without end.
    pub(super) fn has_stopped(&self) -> bool {
        self.sticky.is_some_and(|(from, _)| self.history.len() as u64 > from)
    }
}

/// A reproducible stream of choices (SplitMix64).
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}
