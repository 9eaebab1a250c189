//! Segments and runs in a database of sled 0.34: the backend behind the feature `sled`.
//!
//! | module | what it is |
//! |---|---|
//! | `database` | sled, opened, with its errors and panics turned into ours |
//! | `keys` | which key holds what |
//! | `piece` | a value with its checksum |
//! | `segment` | a log segment as a row of pieces |
//! | `block` | records of a run, packed |
//! | `filter` | a run's own filter, in memory |
//! | `header` | what is known of a run before its records are read |
//! | `sink` | ascending records in, one durable run out |
//! | `sealed`, `in_order` | a run as the front sees it |
//! | `verify` | reads every key and reports every damage |
//! | `door` | what the fuzz targets reach of all that |
//!
//! The bytes are described in `docs/FORMAT-sled.md`.
//!
//! # What sled promises, and what is done about the rest
//!
//! * *An `apply_batch` is all or nothing.* What a group of calls lets in is one batch.
//! * *`flush` writes, and waits for the medium to have taken the bytes* with `sync_file_range`, which on
//!   Linux neither flushes a disk's cache nor the length of the file. So behind the `flush` that
//!   [`Durability::Sync`](crate::Durability) asks for stands an `fdatasync` of our own. There is no
//!   way to have sled write without waiting, so `Buffered` waits too.
//! * *Values of more than about 128 KiB become files that are never synced*, and so do pages, which have
//!   16 keys whatever those weigh. So no value is longer than [`piece::MAX`].
//! * *Space is used again, not given back.* Sled writes a log of its own and cleans it when half of a
//!   512 KiB stretch of it is garbage: a store takes three to four times the bytes of its records.
//!   It moves old bytes with the same weak sync, so a power cut, unlike the death of the process, can
//!   take what was durable before. Nothing here can mend that; that a run or a stretch of the log is
//!   gone is noticed, by checksums and by what the manifest lists.
//! * *A page that does not verify is the end.* So sled cuts damage off as if it were a torn tail, when it
//!   opens. The manifest, which is not in sled, knows what must be there.
//! * *Room cannot be set aside.* What is free on the disk is asked for instead.
//! * *A page of sled has 16 keys at most*, so a key for each id takes 100 bytes and 7 microseconds an
//!   id. Records are packed 120 to a key.

mod block;
mod database;
#[cfg(feature = "testing")]
pub mod door;
mod filter;
mod header;
mod in_order;
mod keys;
mod piece;
mod sealed;
mod segment;
mod sink;
#[cfg(test)]
mod tests;
mod vault;
mod verify;

pub(crate) use vault::SledVault;
