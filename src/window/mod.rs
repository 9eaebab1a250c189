//! The window: what is remembered, since when, and by which clock.
//!
//! | module | what it is |
//! |---|---|
//! | `clock` | store time: how it advances, and what it does not believe |
//! | `view` | what a call looks at: active table, frozen tables, runs, filter |
//! | `values` | what is kept with some of a table's ids |
//! | `forget` | the ids that were told to be forgotten |
//!
//! # Time
//!
//! Store time follows the system clock or the event times presented; it never runs backwards. An id
//! is first seen at the store time of its call. It is remembered until the end of the tick (1/2048
//! of the window) it was first seen in, plus the window: never less than the window, and checked on
//! every hit. An event time before the window is late: an earlier copy of the same event may have
//! been forgotten. An event time from beyond the clock's `future_skew` counts as the latest
//! believable one.
//!
//! # Generations
//!
//! The window is cut into slices. A generation is what was let in during one slice: first in the
//! active table, then in runs. It is forgotten as a whole when its last tick has expired, which
//! costs the removal of its files and no rewriting.

mod clock;
mod forget;
mod values;
mod view;

#[cfg(all(test, loom))]
mod loom_tests;

pub(crate) use clock::StoreClock;
pub(crate) use forget::{Again, FORGOTTEN_MAX, Forgotten, OpenForgotten};
pub(crate) use values::ValueTable;
pub(crate) use view::{Claiming, Frozen, MemTable, Sighting, View};
