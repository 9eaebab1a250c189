//! Making durable what an earlier process wrote.
//!
//! A sync that failed has left its pages clean: a later one succeeds and writes nothing, while the system's cache
//! shows bytes that the medium does not have ("Can Applications Recover from fsync Failures?", USENIX ATC
//! 2020). Whoever finds bytes that nothing vouches for cannot know whether that has happened. Written
//! once more, as they are, they are on their way again, and the next sync tells the truth.

use std::io;

use crate::sys::{File, read_exact_at, write_all_at};

/// So much is written at a time.
const CHUNK: u64 = 1 << 20;

/// Writes the bytes from `from` up to `end` again, and makes them durable. Those before are durable.
pub(crate) fn secure(file: &dyn File, from: u64, end: u64) -> io::Result<()> {
    let mut chunk = Vec::new();
    let mut at = from;
    while at < end {
        chunk.resize((end - at).min(CHUNK) as usize, 0);
        read_exact_at(file, &mut chunk, at)?;
        write_all_at(file, &chunk, at)?;
        at += chunk.len() as u64;
    }
    file.sync_data()
}
