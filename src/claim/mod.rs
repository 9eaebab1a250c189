//! Claims: the ids that transactions under way hold, in memory.
//!
//! | module | what it is |
//! |---|---|
//! | `mono` | a moment by the monotonic clock, by which leases are measured |
//! | `ticket` | one transaction's hold on its ids: its phase, its lease, those who wait for it |
//! | `table` | which id is held by which ticket, and the arbiter between claims and insertions |
//! | `lone` | the ids of a transaction that is alone, apart from that table |
//! | `settlement` | waiting for a ticket, as a future or on a thread |
//!
//! # Promises
//!
//! - **One winner.** A claim and an insertion of one id decide and act under the lock of the id's
//!   stripe. Of all that present it, one gets it. Whoever claims alone needs no lock, for whoever calls
//!   [`Claims::alone`] sees to it that nobody else claims or inserts before it is done.
//! - **A lease ends once.** Whether a ticket begins to settle or its lease ends is one
//!   compare-and-swap on one word. Whoever loses is told; nothing of an ended ticket can be
//!   committed, and nothing that it does late touches an id that has gone to another.
//! - **A settled ticket holds nothing**, from the moment at which it is settled, though its ids may
//!   stand in the table until they are given back.
//! - **Nobody waits for ever.** Whoever waits for a ticket is woken when it is settled, and when its
//!   lease ends: a blocked thread by itself, a future by [`Claims::wake_ended`], which the store's
//!   upkeep calls. What nobody can settle any more ends with the store, by [`Claims::close`].
//!
//! # How a ticket ends
//!
//! 1. *Commit*: [`Ticket::start_settling`], insert the ids, [`Claims::give_back`],
//!    [`Ticket::settle`]. The insertions come before the ids are given back, or one would be
//!    free in between; so whoever looks whether an id is held, and then for it in the store, finds it.
//! 2. *Abort*: [`Claims::give_back`], then [`Ticket::settle`].
//! 3. *Prepare*: [`Ticket::start_settling`], write that it is prepared,
//!    [`Ticket::mark_prepared`]. From then on it has no lease; a commit or an abort starts with
//!    [`Ticket::start_settling`] again, which one of several handles wins.
//! 4. *The end of the lease*: whoever meets an id of the ticket, or upkeep, ends it.
//!
//! # Memory
//!
//! Nothing until the first claim. A transaction that is alone takes 24 to 48 bytes for each id that it is asked to
//! claim, and 16 to 32 for the payload of one, kept for the next transaction until upkeep finds none. Once there
//! were two at a time: 512 KiB of stripes, and an id takes 48 bytes and its share of its stripe's spare room, a
//! ticket 128. So 10,000 claims of one id each, with a ticket each, take
//! less than 320 bytes a claim, all counted. A stripe that has emptied gives its room back.

mod lone;
mod mono;
mod settlement;
mod table;
mod ticket;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(test)]
mod tests;

pub(crate) use lone::LoneClaim;
pub(crate) use mono::Mono;
pub(crate) use settlement::{Settlement, wait_until};
pub(crate) use table::{Claims, Held, Take};
pub(crate) use ticket::{Refusal, Ticket};
