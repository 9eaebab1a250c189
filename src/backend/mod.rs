//! The seam between the front of a store and where its log and its sealed records are kept.
//!
//! In front of it: identity, window filter, active table, verdicts, claims, progress, state and
//! outcomes, and the manifest that lists what is alive. Behind it: bytes of log segments, and *runs*:
//! sorted, immutable sets of records of one generation, with what is kept beside their ids. What crosses
//! it is plain: numbers, fingerprints, ticks, values, slices of bytes.
//!
//! | module | what it is |
//! |---|---|
//! | `open` | the vault of a store, by the name of its backend |
//! | `mapped` | segments and runs as files, read through mappings: the default |
//! | `sled` | segments and runs as keys of a sled database: behind the feature `sled` |
//!
//! # What a backend promises
//!
//! 1. A segment's bytes are written in the order in which they are handed over, and what
//!    [`File::write_at`] has taken survives the death of the process. What [`File::sync_data`] has
//!    confirmed is as durable as the backend can make it.
//! 2. A run is complete and durable when [`RunSink::finish`] returns it. A sink that is dropped before
//!    leaves nothing behind that counts.
//! 3. A run answers exactly: it finds every record that was pushed and nothing else.
//! 4. A run or segment that should be there and is not is
//!    [`Error::WindowIncomplete`](crate::Error::WindowIncomplete), never an empty one.
//! 5. Whatever the manifest does not list is without meaning, and removed by
//!    [`Vault::remove_leftovers`].

pub(crate) mod mapped;
mod open;
#[cfg(feature = "sled")]
pub(crate) mod sled;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Corruption, Result};
use crate::format::manifest::{Manifest, RunEntry};
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::{Record, Records};
use crate::sys::File;
use crate::time::Ticks;

pub(crate) use open::{Place, check_backend, open_vault, remove_vault};

/// Where a store keeps its log and its runs.
pub(crate) trait Vault: fmt::Debug + Send + Sync {
    /// The numbers of the segments that are there, from `first` on, ascending.
    fn segments(&self, first: u64) -> Result<Vec<u64>>;

    /// Creates an empty segment, in place of one of that number that a creation that failed has left.
    /// Its name is durable.
    fn create_segment(&self, number: u64) -> Result<Box<dyn File>>;

    /// Opens a segment to read it back, and to sync it.
    fn open_segment(&self, number: u64) -> Result<Box<dyn File>>;

    /// Makes the bytes of a segment durable that an earlier process wrote from `from` up to `end`, though a
    /// sync of them may have failed. Those before are durable.
    fn secure_segment(&self, file: &dyn File, from: u64, end: u64) -> std::io::Result<()>;

    /// Removes a segment. That it is gone is durable once [`Vault::sync_names`] was called.
    fn remove_segment(&self, number: u64) -> Result<()>;

    /// Makes durable which segments there are.
    fn sync_names(&self) -> Result<()>;

    /// What messages call a segment.
    fn segment_path(&self, number: u64) -> PathBuf;

    /// Opens a run that the manifest lists, and holds it against what that says of it.
    fn open_run(&self, entry: &RunEntry) -> Result<Arc<dyn Sealed>>;

    /// Starts a run.
    fn start_run(&self, target: RunTarget) -> Result<Box<dyn RunSink>>;

    /// Removes a run that no manifest lists any more. Nobody looks into it.
    fn remove_run(&self, entry: &RunEntry) -> Result<()>;

    /// Removes all there is of a generation that has expired; `runs` are those it had.
    fn remove_generation(&self, generation: u64, runs: &[RunEntry]) -> Result<()>;

    /// Removes what the manifest does not list: runs, and segments below the first one. Returns how
    /// many.
    fn remove_leftovers(&self, manifest: &Manifest) -> Result<u64>;

    /// How many bytes the disk is short of for a byte of a run, in the long run.
    fn amplification(&self) -> u64 {
        1
    }

    /// Bytes that the disk is short of beside that, and beside the log, however little is stored.
    fn overhead(&self) -> u64 {
        0
    }

    /// Whether all is in files of its own, which can be read also while the store is open elsewhere.
    fn is_in_files(&self) -> bool {
        true
    }

    /// Gives up what keeps others from opening the store. Nothing is asked any more.
    fn close(&self) {}
}

/// What a run is started with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunTarget {
    pub(crate) number: u64,
    pub(crate) generation: u64,
    pub(crate) ticks: Ticks,
    /// How many records will come, about; what is laid out for a run is sized for it.
    pub(crate) expected: u64,
}

/// A run under construction. Dropped before it is finished it leaves nothing behind that counts.
pub(crate) trait RunSink: fmt::Debug + Send {
    /// Adds records, which ascend, also from call to call. After an error the run cannot be finished.
    fn push(&mut self, records: &[Record]) -> Result<()>;

    /// Adds what is kept with an id. Ids ascend; records come no more.
    fn push_value(&mut self, id: Fingerprint, value: &Value) -> Result<()>;

    /// The run, complete and durable.
    fn finish(self: Box<Self>) -> Result<Arc<dyn Sealed>>;
}

/// A run: a sorted, immutable set of records of one generation, wherever it is kept.
pub(crate) trait Sealed: fmt::Debug + Send + Sync {
    /// What the manifest says of it.
    fn entry(&self) -> RunEntry;

    /// How its generation remembers time.
    fn ticks(&self) -> Ticks;

    /// Smallest and largest tick; 255 and 0 in an empty run.
    fn tick_range(&self) -> (u8, u8);

    /// Memory that it takes beside caches, in bytes.
    fn memory(&self) -> usize;

    /// Adds to `out` those of the indices `asked` whose ids it may have a record of: in memory, or by one cache
    /// line each. Those that are left out are not here, for certain. After an error what it added is of no use.
    fn sift(&self, ids: &[Fingerprint], asked: &[u32], out: &mut Vec<u32>) -> Result<()>;

    /// Looks up those of `ids` that stand at the indices `asked`.
    fn find(&self, ids: &[Fingerprint], asked: &[u32], found: &mut Found) -> Result<()>;

    /// Tells the system what a step for these ids will read, so that the reads overlap. Ids that ascend are told in
    /// the fewest words. Returns how many reads that are; none where there is nothing to tell.
    fn announce(&self, ids: &[Fingerprint], asked: &[u32], step: Step) -> usize {
        let _ = (ids, asked, step);
        0
    }

    /// Whether it may have a record of `id`: in memory, or by one cache line. `false` is certain.
    fn may_contain(&self, id: Fingerprint) -> Result<bool>;

    /// How many ids have something kept with them.
    fn values(&self) -> u64;

    /// What is kept with `id`, which need not have a record here.
    fn value(&self, id: Fingerprint) -> Result<Option<Value>>;

    /// The records whose top 64 bits are `hi` or more, ascending, each checked as it is read.
    fn records_from(&self, hi: u64) -> Box<dyn Records + '_>;

    /// Reads all of it, and reports what is not as it was written. Only the medium's errors are errors.
    fn verify(&self, report: &mut dyn FnMut(Corruption)) -> Result<()>;

    /// What is kept with ids above `id`, or with all, ascending.
    fn values_after(&self, id: Option<Fingerprint>) -> ValuesInOrder<'_>;
}

/// What is kept with ids, ascending.
pub(crate) type ValuesInOrder<'a> = Box<dyn Iterator<Item = Result<(Fingerprint, Value)>> + 'a>;

/// What a run can be told of before it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// [`Sealed::sift`].
    Sift,
    /// [`Sealed::find`].
    Find,
}

/// What a look into a run found and what it cost. Its memory is used again from run to run.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Those that have a record: index of the id, tick.
    pub(crate) hits: Vec<(u32, u8)>,
    /// Pages that were read.
    pub(crate) pages: u64,
}

impl Found {
    /// Forgets what was found.
    pub(crate) fn clear(&mut self) {
        self.hits.clear();
        self.pages = 0;
    }
}

impl dyn Sealed + '_ {
    /// How many records it has.
    pub(crate) fn records(&self) -> u64 {
        self.entry().records
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.entry().number
    }

    /// The generation it belongs to.
    pub(crate) fn generation(&self) -> u64 {
        self.entry().generation
    }
}
