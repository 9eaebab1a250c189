//! Mappings of files. All unsafe code about mapped files is here.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapOptions};

/// Maps the first `len` bytes of a sealed file for reading at random places.
///
/// The caller has checked that the file is at least `len` bytes long, and nobody writes to or
/// truncates it from now on; that is a rule of [`Storage`](super::Storage), which only the crate
/// itself uses. A media error under the mapping ends the process with SIGBUS.
pub(super) fn map_file(file: &File, len: usize) -> io::Result<Mmap> {
    // SAFETY: mapped memory must not change while it is borrowed. The file is sealed: the store that
    // holds its folder's lock never writes to or cuts a file that it has mapped, and it creates its
    // files writable by their owner alone.
    let map = unsafe { MmapOptions::new().len(len).map(file)? };
    #[cfg(unix)]
    map.advise(memmap2::Advice::Random)?;
    Ok(map)
}
