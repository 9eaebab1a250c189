//! A store's folder without opening the store: look, verify, dump, copy, move.
//!
//! | function | what it does |
//! |---|---|
//! | [`inspect`] | says what is there |
//! | [`state()`] | hands out what was committed beside ids, and what is in doubt |
//! | [`verify`] | reads every byte and reports every damage |
//! | [`dump`] | hands out every record |
//! | [`checkpoint`] | makes a copy that can be opened, sharing the runs |
//! | [`restore`] | makes a copy that shares nothing, of a checkpoint |
//! | [`migrate`] | makes a copy with another [`Backend`] |
//! | [`export`], [`import`] | a store as a stream of bytes |
//!
//! No function takes the store's lock, and none changes anything in the folder it reads; all work
//! also while another process writes to the store. But for stores in a database
//! ([`Backend::Sled`](crate::Backend)): those can be read by one process at a time, so there all functions
//! take the lock, and sled may tidy its files when they open it. What they see is the store at one moment between
//! call and return, with everything that was acknowledged before the call and was *written*: see
//! [`Durability`](crate::Durability) for when that is.
//!
//! # What is not promised
//!
//! A store of which a run or a log segment is missing is [`Error::WindowIncomplete`](crate::Error),
//! and never read as if the file had been empty; only [`verify`] reads on.
//!
//! The end of the log of a store that is not synced at each call cannot be told from a torn write
//! when it is damaged: [`verify`] counts such bytes apart, as an opening would drop them.
//!
//! # Example
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # let (orders, copy) = (dir.path().join("orders.seen"), dir.path().join("copy"));
//! use firstseen::{Store, offline};
//!
//! let store = Store::open(&orders)?;
//! store.check_and_insert(&["order-1", "order-2"])?;
//! offline::checkpoint(&orders, &copy)?;
//! assert_eq!(offline::inspect(&copy)?.ids_in_log, 2);
//! let damaged = offline::verify(&copy, &mut |damage| eprintln!("{damage}"))?;
//! assert_eq!(damaged.damages, 0);
//! assert!(Store::open(&copy)?.contains(&["order-1"])?[0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkpoint;
mod dest;
mod dump;
mod held;
mod inspect;
mod log;
mod open_store;
mod snapshot;
mod state;
mod survey;
#[cfg(test)]
mod tests;
mod through;
#[cfg(test)]
mod transaction_tests;
mod transfer;
mod verify;

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use crate::config::Backend;
use crate::error::{Corruption, Result};
use crate::sys::Storage;
use crate::sys::disk::Disk;

pub(crate) use checkpoint::checkpoint_in;
pub use dump::Record;
pub use inspect::{Generation, Inspection};
pub use state::{CommittedState, InDoubt};
pub(crate) use transfer::export_in;
pub use verify::Verified;

/// Says what the folder of a store holds. Reads the log and the state, and no run.
///
/// # Errors
///
/// [`Error::NotAStore`](crate::Error::NotAStore),
/// [`Error::WindowIncomplete`](crate::Error::WindowIncomplete),
/// [`Error::Corrupt`](crate::Error::Corrupt), [`Error::Version`](crate::Error::Version) and I/O; for a
/// store in a database [`Error::Locked`](crate::Error::Locked) while it is open elsewhere, and
/// [`Error::InvalidOption`](crate::Error::InvalidOption) where this build has no such backend.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # firstseen::Store::open(dir.path())?.check_and_insert(&["a"])?;
/// let found = firstseen::offline::inspect(dir.path())?;
/// assert_eq!((found.ids_in_runs, found.ids_in_log), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn inspect(dir: impl AsRef<Path>) -> Result<Inspection> {
    inspect::inspect(&Disk, dir.as_ref())
}

/// The committed state of a store as an opening would find it: the progress of sources, keys with
/// their values, and what is prepared and not settled. It is copied: megabytes, not gigabytes.
///
/// # Errors
///
/// As [`inspect`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// let store = firstseen::Store::open(dir.path())?;
/// let mut tx = store.begin_from("orders/3", &[(7, "order-1")])?;
/// tx.put_state("orders", "1");
/// tx.commit()?;
/// let _ = store.begin(&["order-2"])?.prepare("ledger-2")?;
/// let found = firstseen::offline::state(dir.path())?;
/// assert_eq!(found.sources, [("orders/3".to_string(), 8)]);
/// assert_eq!(found.entries, [(b"orders".to_vec(), b"1".to_vec())]);
/// assert_eq!(found.in_doubt[0].ids, [b"order-2"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn state(dir: impl AsRef<Path>) -> Result<CommittedState> {
    state::state(&Disk, dir.as_ref())
}

/// Reads every byte of a store and reports every damage, by file and offset: checksums, order and
/// counts of records, filters that would hide a record, files that are missing, and lists that
/// contradict each other. Lookups are not needed for any of it; memory is 0.03 bytes an id of the
/// largest run.
///
/// Not damage are bytes at the end of the log that an opening drops because they were never
/// acknowledged, or not yet synced when the machine died: [`Verified::torn_bytes`].
///
/// # Errors
///
/// [`Error::NotAStore`](crate::Error::NotAStore), [`Error::InvalidOption`](crate::Error::InvalidOption)
/// where this build has not the store's backend, [`Error::Locked`](crate::Error::Locked) for one in a
/// database that is open elsewhere, and I/O. Damage is never an error.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # firstseen::Store::open(dir.path())?.check_and_insert(&["a", "b"])?;
/// let verified = firstseen::offline::verify(dir.path(), &mut |damage| eprintln!("{damage}"))?;
/// assert_eq!((verified.damages, verified.records), (0, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(dir: impl AsRef<Path>, report: &mut dyn FnMut(&Corruption)) -> Result<Verified> {
    verify::verify(&Disk, dir.as_ref(), report)
}

/// Hands every record on disk to `each`: those of the runs, the oldest run first, then those of the
/// log in the order they were let in, then ids that were forgotten and let in again. Returns how
/// many. Ids that were forgotten are left out; ids whose window has passed and whose generation has
/// not been dropped yet are not. An id can come more than once: where it came back after its window,
/// and where a log segment outlives a part of its ids that is in a run already.
///
/// Memory does not grow with the records, but for the ids that were forgotten within the window.
///
/// # Errors
///
/// As [`inspect`]; an error of `each` ends it and becomes [`Error::Io`](crate::Error::Io).
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # firstseen::Store::open(dir.path())?.check_and_insert(&["a", "b"])?;
/// let mut lines = Vec::new();
/// let records = firstseen::offline::dump(dir.path(), &mut |record| {
///     lines.push(format!("{} {}", record.fingerprint, record.first_seen));
///     Ok(())
/// })?;
/// assert_eq!(records, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn dump(dir: impl AsRef<Path>, each: &mut dyn FnMut(Record) -> io::Result<()>) -> Result<u64> {
    dump::dump(&Disk, dir.as_ref(), each)
}

/// Makes a copy of a store, in the folder `dest`, that can be opened. Runs are immutable and get a
/// second name (a copy where the file system has none), as does the state file; the rest is copied. The
/// copy has everything that was written before the call, and is durable when the call returns. Its ids,
/// progress, state, outcomes and what is prepared in it are those of one moment.
///
/// A checkpoint on the same file system shares its runs' bytes with the store: it protects against a
/// store that goes wrong, not against a medium that does. It is as secret as the store.
///
/// # Errors
///
/// As [`inspect`], [`Error::Misuse`](crate::Error::Misuse) if `dest` is not empty, and
/// [`Error::DiskFull`](crate::Error::DiskFull). On an error `dest` is left as it was; where even
/// that fails, what is left is refused by [`Store::open`](crate::Store::open).
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (from, to) = (dir.path().join("a"), dir.path().join("b"));
/// # let store = firstseen::Store::open(&from)?;
/// store.check_and_insert(&["a"])?;
/// firstseen::offline::checkpoint(&from, &to)?;
/// assert!(firstseen::Store::open(&to)?.contains(&["a"])?[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn checkpoint(dir: impl AsRef<Path>, dest: impl AsRef<Path>) -> Result<()> {
    checkpoint::checkpoint_in(&disk(), dir.as_ref(), dest.as_ref())
}

/// Copies a checkpoint, or a store, into the new folder `dest`, which then shares nothing with it.
/// Everything that is listed must be there; contents are for [`verify`] to check.
///
/// # Errors
///
/// As [`checkpoint`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (from, to) = (dir.path().join("a"), dir.path().join("b"));
/// # firstseen::Store::open(&from)?.check_and_insert(&["a"])?;
/// firstseen::offline::restore(&from, &to)?;
/// assert!(firstseen::Store::open(&to)?.contains(&["a"])?[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn restore(checkpoint: impl AsRef<Path>, dest: impl AsRef<Path>) -> Result<()> {
    checkpoint::restore_in(&disk(), checkpoint.as_ref(), dest.as_ref())
}

/// Writes a store as one stream of bytes, for another machine or another version. Returns how many
/// records it has. The format is described in `docs/FORMAT-export.md`.
///
/// The stream is about ids: it has them, when they were first seen, and what is kept with them. It has
/// no progress, no state and nothing that is only prepared, for these belong to one place and its
/// sources: to keep them, copy the whole folder with [`checkpoint`].
///
/// The stream holds the key of the store's identity and is as secret as the store: whoever has it
/// can craft ids that are taken for others.
///
/// Memory: the records of the log, 32 bytes each, with what is kept with them, and 256 KiB for each
/// run of a generation.
///
/// # Errors
///
/// As [`inspect`], and what `out` says. Wrap `out` in a buffer only if small writes are dear: blocks
/// of about 64 KiB are written.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (from, to) = (dir.path().join("a"), dir.path().join("b"));
/// # firstseen::Store::open(&from)?.check_and_insert(&["a"])?;
/// let mut stream = Vec::new();
/// firstseen::offline::export(&from, &mut stream)?;
/// firstseen::offline::import(&mut stream.as_slice(), &to)?;
/// assert!(firstseen::Store::open(&to)?.contains(&["a"])?[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn export(dir: impl AsRef<Path>, out: &mut dyn Write) -> Result<u64> {
    transfer::export_in(&Disk, dir.as_ref(), out)
}

/// Builds a store in the new folder `dest` out of a stream that [`export`] wrote, and returns how
/// many records it has: the same ids, first seen at the same times, in the same generations. The
/// store has a name of its own, so no file of it is taken for one of the original's. It has no progress
/// and no state, and its fencing tokens begin anew. Bytes behind the stream's end are not read.
///
/// # Errors
///
/// [`Error::Corrupt`](crate::Error::Corrupt) for a stream that is damaged or ends early,
/// [`Error::Version`](crate::Error::Version), what `input` says, and as [`checkpoint`] for `dest`,
/// in which nothing is left behind.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (from, to) = (dir.path().join("a"), dir.path().join("b"));
/// # firstseen::Store::open(&from)?.check_and_insert(&["a"])?;
/// # let mut stream = Vec::new();
/// # firstseen::offline::export(&from, &mut stream)?;
/// let cut = firstseen::offline::import(&mut &stream[..100], &to);
/// assert!(matches!(cut, Err(firstseen::Error::Corrupt(_))) && !to.exists());
/// assert_eq!(firstseen::offline::import(&mut stream.as_slice(), &to)?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import(input: &mut dyn Read, dest: impl AsRef<Path>) -> Result<u64> {
    import_as(input, dest, Backend::Mapped)
}

/// Like [`import`], with the store in another backend.
///
/// # Errors
///
/// As [`import`], and [`Error::InvalidOption`](crate::Error::InvalidOption) where this build has no such
/// backend.
pub fn import_as(input: &mut dyn Read, dest: impl AsRef<Path>, backend: Backend) -> Result<u64> {
    transfer::import_in(&disk(), input, dest.as_ref(), backend)
}

/// Copies a store into the new folder `dest`, with its log and its runs in `backend`. The copy has all that
/// [`checkpoint`] copies: ids, when they were first seen, progress, state, outcomes, what is prepared and
/// what was forgotten. It has the name and the key of the store; go on with one of the two.
///
/// # Errors
///
/// As [`checkpoint`], and [`Error::InvalidOption`](crate::Error::InvalidOption) where this build has no
/// such backend.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (from, to) = (dir.path().join("a"), dir.path().join("b"));
/// use firstseen::{Backend, Store, offline};
///
/// Store::open(&from)?.check_and_insert(&["a"])?;
/// // `Backend::Sled` with the cargo feature `sled`; this one merely copies.
/// offline::migrate(&from, &to, Backend::Mapped)?;
/// assert!(Store::open(&to)?.contains(&["a"])?[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn migrate(dir: impl AsRef<Path>, dest: impl AsRef<Path>, backend: Backend) -> Result<()> {
    checkpoint::migrate_in(&disk(), dir.as_ref(), dest.as_ref(), backend)
}

fn disk() -> Arc<dyn Storage> {
    Arc::new(Disk)
}
