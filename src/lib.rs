//! Has this id been seen inside the time window? An embedded, durable and exact answer, for batches.
//!
//! A [`Store`] is a folder that remembers ids. [`Store::check_and_insert`] says of each id of a
//! batch whether it is the first inside the window, and remembers it if so. It is made for consumers
//! that get messages more than once: streams, queues, webhooks, imports.
//!
//! - [A first store](#a-first-store)
//! - [Exactly once](#exactly-once)
//! - [Verdicts](#verdicts)
//! - [Consistency](#consistency)
//! - [Durability](#durability)
//! - [Time](#time)
//! - [What it does not do](#what-it-does-not-do)
//! - [Limits](#limits)
//! - [Watching it](#watching-it)
//! - [Feature flags](#feature-flags)
//!
//! # A first store
//!
//! ```
//! use std::time::Duration;
//! use firstseen::Store;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("orders.seen");
//! let store = Store::builder().window(Duration::from_secs(7 * 24 * 3600)).open(&path)?;
//!
//! let verdicts = store.check_and_insert(&["order-1", "order-2", "order-1"])?;
//! assert!(verdicts[0].is_new());
//! assert!(verdicts[1].is_new());
//! assert!(verdicts[2].is_duplicate());
//! store.close()?;
//!
//! // Another process, another day.
//! let store = Store::open(&path)?;
//! assert_eq!(store.contains(&["order-1", "order-3"])?, [true, false]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Ids are anything that is bytes. Batches are the interface: what a call costs apart from its ids,
//! above all the wait for the log, is shared by all of them. On a hot path,
//! [`Store::check_and_insert_into`] writes into a vector of yours and allocates nothing once it is warm.
//!
//! A `Store` is a handle. Clones are cheap and are one store, on any threads:
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! let store = firstseen::Store::open(folder.path().join("seen"))?;
//! let winners: usize = std::thread::scope(|scope| {
//!     let present = |store: firstseen::Store| {
//!         move || store.check_and_insert(&["the same id"]).unwrap()[0].is_new()
//!     };
//!     let threads: Vec<_> = (0..4).map(|_| scope.spawn(present(store.clone()))).collect();
//!     threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
//! });
//! assert_eq!(winners, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A consumer that has one store for each partition opens them in a [`StoreSet`]: they share one memory budget and
//! a few background threads, however many there are.
//!
//! # Exactly once
//!
//! `check_and_insert` marks an id *before* you have done its work. If you die in between, or the work
//! fails, the retry is called a duplicate and dropped: at most once. Where that matters, claim first
//! and commit afterwards:
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # fn work(_: &str) -> Result<String, std::io::Error> { Ok("receipt".into()) }
//! let store = firstseen::Store::open(folder.path().join("orders.seen"))?;
//! let records = [(7, "order-1"), (8, "order-2")]; // positions in the source, ids
//!
//! let mut tx = store.begin_from("orders/3", &records)?;
//! for i in tx.fresh() {
//!     let receipt = work(records[i].1)?; // an error drops `tx`: the retry is let in
//!     tx.set_outcome(i, receipt);
//! }
//! tx.put_state("last", "order-2");
//! tx.commit()?; // ids, progress, state and outcomes in one step
//!
//! assert_eq!(store.progress("orders/3")?, Some(9)); // where to read on, also after a crash
//! assert_eq!(store.outcome("order-1")?, Some(b"receipt".to_vec()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Store::begin`], [`Store::begin_from`] and [`Store::claim`] make a [`Claim`];
//!   [`Store::process_once`] is the whole loop as one call.
//! - [`Claim::prepare`] and [`Store::in_doubt`] are for effects in another system that commits by
//!   itself.
//! - [`Store::wait`] and [`Store::settlement`] wait for somebody else's claim to end.
//! - A *lease* ([`Builder::lease`]) ends the claim of one who hangs; it is refused afterwards.
//! - [`Builder::catch_up`] tells a store what was done while it was not there: after a partition has moved, from
//!   what its output topic has on record.
//!
//! Which call gives which promise, how a store moves, what the wrong orders of steps lose, and where the promise ends is
//! in the guide, `docs/exactly-once.md` of the repository.
//!
//! # Verdicts
//!
//! | [`Verdict`] | the id | recorded |
//! |---|---|---|
//! | `New` | was not seen inside the window; this call is its first | now |
//! | `Duplicate` | was first seen at `first_seen`, inside the window | before |
//! | `Late` | has an event time from before the window; it may have been seen and forgotten | no |
//! | `InFlight` | is claimed by a transaction that has not ended | when that commits |
//! | `Replay` | has a position below the committed progress of its source | before |
//! | `Mismatch` | was seen, or is in flight, with another payload | before |
//! | `Unknown` | was claimed by one whose lease ended, and is held back | no |
//!
//! [`Store::check`] gives verdicts without recording anything, [`Store::forget`] lets ids in again.
//!
//! # Consistency
//!
//! **One winner.** Of all calls that ever present one id inside its window, exactly one is told
//! `New`: from any threads, in batches of any size, before and after reopening. Of an id that is twice
//! in a batch the first wins.
//!
//! **Order.** A call is not one atomic step for its batch. Each id is decided at one moment; two calls
//! with the same two ids may win one each.
//!
//! **Exact.** An id that was seen is found. An id that was not is not, but for a collision of its
//! 128-bit fingerprint with another's: for N ids the probability is below N² / 2¹²⁹ with the default
//! [`IdentityKind::AesCmac`], whoever chose the ids; among ids of exactly 16 bytes it is nought. Filters
//! only prove absence.
//!
//! **One commit.** Ids, progress, state and outcomes of a transaction are one frame of the log. After
//! a crash all of it is there or nothing, and what is told of it is as durable as a verdict.
//!
//! **All or nothing.** A call that returns an error has inserted nothing, so it can be repeated. A call of
//! more than 65,536 ids, or one whose times cross the end of a generation, is settled in pieces;
//! if a later piece fails, [`Error::Interrupted`] says how many ids, from the front, have verdicts
//! that stand.
//!
//! **Damage** is an error with file, offset, expected and found ([`Corruption`]), not a wrong
//! answer. A store of which files are missing does not open as if they had been empty
//! ([`Error::WindowIncomplete`]).
//!
//! # Durability
//!
//! A call that returned is *acknowledged*. What that survives is chosen at opening.
//!
//! | [`Durability`] | death of the process | death of the machine | a call waits for |
//! |---|---|---|---|
//! | `Buffered` | loses nothing | may lose what was not synced | the write |
//! | `Interval(d)` | loses nothing | may lose about the last `d` | the write; the sync when one is due |
//! | `Sync` | loses nothing | loses nothing | the sync, shared by all who wait |
//!
//! This holds for duplicates as well: a duplicate whose first call has not reached the log yet waits for
//! it. [`Store::sync`] makes durable what was acknowledged; [`Store::close`] does so too.
//!
//! After a failed write or sync the store refuses work until it is opened again
//! ([`Error::Poisoned`]): what a second sync says after a failed one cannot be trusted. A full disk is
//! noticed before anything is inserted ([`Error::DiskFull`]), and passes when there is room.
//!
//! ```
//! use firstseen::{Durability, Store};
//!
//! # let folder = tempfile::tempdir()?;
//! let store = Store::builder().durability(Durability::Sync).open(folder.path().join("seen"))?;
//! store.check_and_insert(&["payment-1"])?; // on the medium when this returns
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Time
//!
//! Ids expire by *store time*, which never runs backwards, also across reopening. A store follows one
//! of two sources, chosen when it is created:
//!
//! - [`TimeSource::System`], the default: the wall clock.
//! - [`TimeSource::Event`]: the latest event time that was presented. While nothing is presented the
//!   store does not age. For replays, and for streams whose time is not the machine's.
//!
//! An id is remembered since the store time at which it was first presented, for the window and at most a
//! tick longer: 1/256 of a generation, which is 1/2048 of the window or less.
//!
//! Calls that take event times tell `Late` where an event lies before the window, counted back from store
//! time. With the system's clock that works too: store time is then the wall clock.
//!
//! ```
//! use std::time::Duration;
//! use firstseen::{Store, TimeSource, Timestamp};
//!
//! # let folder = tempfile::tempdir()?;
//! let store = Store::builder()
//!     .time(TimeSource::Event)
//!     .window(Duration::from_secs(3600))
//!     .open(folder.path().join("events.seen"))?;
//! let noon = Timestamp::from_secs(1_700_000_000);
//! let hour = Duration::from_secs(3600);
//!
//! assert!(store.check_and_insert_at(&["a"], noon)?[0].is_new());
//! assert!(store.check_and_insert_at(&["a"], noon + hour / 2)?[0].is_duplicate());
//! assert!(store.check_and_insert_at(&["a"], noon + hour * 2)?[0].is_new()); // the window has passed
//! assert!(store.check_and_insert_at(&["b"], noon)?[0].is_late());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! *One wrong time does no harm.* An event time from further ahead of the wall clock than
//! [`Builder::future_skew`] is taken as that limit. A wall clock that runs away from the monotonic one by
//! more than that is not believed until the store is opened again: until then store time lags behind the wall
//! clock. While the wall clock stands behind, store time goes on by the monotonic one, after an opening from the
//! last time that the store knew. At opening a jump ahead is obeyed, so what was seen during such a lag may expire
//! by as much too early; it is told by [`Store::recovery`], or refused beyond [`Builder::max_clock_jump`].
//!
//! *The window may change at reopening.* A shorter one counts at once. A longer one counts for ids that
//! are still known; until it is filled, [`Store::effective_window`] tells how far back the store knows
//! all. It tells the same when [`Builder::max_bytes`] has cut the window.
//!
//! # What it does not do
//!
//! Nothing here makes a *delivery* exactly once: effects are, inside the window. A store is not shared between processes, not
//! replicated, and does not keep the ids themselves, only their fingerprints.
//!
//! # Limits
//!
//! | what | how much |
//! |---|---|
//! | owners | one process at a time ([`Error::Locked`]), any number of threads, of which 64 are inside at once |
//! | window | 1 ms to 1000 years |
//! | generations | 8 to 64, default 8 |
//! | ids of one claim | 65,536 |
//! | state | 64 MiB with 128 bytes for each key; keys to 1 KiB, values to 1 MiB |
//! | prepared transactions | 64 MiB in all |
//! | an outcome; a commit in all | 1 MiB; 16 MiB |
//! | ids told to be forgotten | 1,048,576 inside a window |
//! | [`Builder::memory_budget`] | at least 16 MiB, default 512 MiB; for tables and the window filter |
//! | [`StoreSet`] | at least 16 MiB for each store that is open, default 512 MiB in all; 1 to 64 threads, default 2 |
//! | memory beside it | 0.03 bytes an id in runs; 1.3 with [`ReadMode::Positioned`]; while the filter is rebuilt into another size, the old one |
//! | disk | about 16 bytes an id in runs, and the log of the ids since the last seal |
//! | [`Builder::max_bytes`] | at least 32 MiB, default none |
//!
//! With [`ReadMode::Mapped`], the default, a medium that fails to deliver a page of a run ends the
//! process with SIGBUS. [`ReadMode::Positioned`] makes it an error. [`WriteMode`] says the like of the log.
//!
//! # Watching it
//!
//! [`Store::stats`] counts verdicts, filter answers, page reads, syncs, bytes and memory.
//! [`Store::recovery`] says what opening found. Opening, sealing, merging, expiry and failures are
//! `tracing` events.
//!
//! # Feature flags
//!
//! | flag | default | what it adds |
//! |---|---|---|
//! | `cli` | yes | the `firstseen` command and its dependencies; a library does not need it |
//! | `metrics` | no | the counters of [`Stats`], exported through the `metrics` facade |
//! | `sled` | no | [`Backend::Sled`]: log and runs in a database of sled 0.34, in place of files |
//! | `testing` | no | doors for this crate's own tests and benches; no part of the interface |

mod backend;
mod claim;
mod compaction;
mod config;
mod error;
mod filter;
mod format;
mod identity;
mod index;
mod key;
mod log;
mod mem;
pub mod offline;
mod planted;
mod run;
mod state;
mod store;
mod sync;
mod sys;
mod time;
mod verdict;
mod window;

#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;

pub use config::{Backend, Durability, LeaseEnd, TimeSource};
pub use error::{Corruption, Error, Refusal, Result};
pub use identity::IdentityKind;
pub use key::Fingerprint;
pub use log::WriteMode;
pub use run::ReadMode;
pub use store::{
    Builder, CatchUp, Claim, ClaimBuilder, ClockCheck, Fresh, Past, Prepared, ProcessError,
    Processed, Record, Recovery, Resolution, SetBuilder, SetStats, Settlement, Stats, Step, Store,
    StoreSet,
};
pub use time::{Clock, SystemClock, Timestamp};
pub use verdict::{InFlight, Verdict};

/// Parts that the crate's own benches and tests reach into. No part of the interface.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod internals {
    pub use crate::filter::{Image, RangeBuilder, Reader, WindowFilter, params as filter_params};
    pub use crate::index::harness as index;
    pub use crate::log::harness as log;
    pub use crate::mem::{Words, prefetch};
    pub use crate::run::harness as run;
    pub use crate::sys::{File, Region};
}

/// Runs the code of the README with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// And that of the guide.
#[cfg(doctest)]
#[doc = include_str!("../docs/exactly-once.md")]
struct ExactlyOnce;
