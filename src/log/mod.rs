//! The log: every id that was let in since the last run was sealed, in the order it was let in.
//!
//! | module | what it is |
//! |---|---|
//! | `segment` | one file of the log, and the room set aside in it |
//! | `writer` | staging, group commit, failure |
//! | `replay` | reading a segment back, and telling a torn tail from damage |
//! | `secure` | making durable what an earlier process wrote |
//! | `content` | what a frame says |
//!
//! # Life of a segment
//!
//! *Created* with room set aside and its name durable; *active* from the moment its header is staged,
//! when it belongs to the active table of one generation; *closed* when the table is frozen; let
//! go of, synced or not, and removed when the table's run is in the manifest. A segment is never
//! appended to after a reopen.
//!
//! # Durability
//!
//! A frame is *staged* (in memory, its place is fixed), then *written* (the system has it: the death
//! of the process does not lose it), then *synced* (the medium has it). Frames are written in the
//! order they were staged, with no hole, and segments are synced in order. After a failed write or
//! sync nothing is written or acknowledged any more.

mod content;
mod replay;
mod secure;
mod segment;
mod writer;

#[cfg(feature = "testing")]
pub mod harness;
#[cfg(all(test, loom))]
mod loom_tests;

pub(crate) use content::Content;
pub(crate) use replay::{Tail, records_of, replay, replay_prefix};
pub(crate) use secure::secure;
pub(crate) use segment::Segment;
pub use segment::WriteMode;
pub(crate) use writer::{Log, Lsn, Need};
