//! The power cut of a mounted ext4 file system: the `ioctl` that its own tests use.

#![allow(unsafe_code)]

use std::fs::File;

use rustix::io::Result;
use rustix::ioctl::{Opcode, Setter, ioctl};

/// `EXT4_IOC_SHUTDOWN`, which is `_IOR('X', 125, __u32)`.
const SHUTDOWN: Opcode = 0x8004_587d;
/// What the journal has is written before.
const LOGFLUSH: u32 = 1;
/// Nothing is.
const NOLOGFLUSH: u32 = 2;

/// Stops the file system that `file` is on: from now on every write fails, and nothing reaches the medium.
pub(super) fn shut_down(file: &File, with_journal: bool) -> Result<()> {
    let flag = if with_journal { LOGFLUSH } else { NOLOGFLUSH };
    // SAFETY: the call reads a `u32` behind its argument, and writes nothing to our memory.
    unsafe { ioctl(file, Setter::<SHUTDOWN, u32>::new(flag)) }
}
