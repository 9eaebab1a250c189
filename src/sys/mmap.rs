//! Mappings of files. All unsafe code about mapped files is here.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapOptions, MmapRaw};

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

/// A piece of a file, mapped to be written to.
#[derive(Debug)]
pub(super) struct WritablePiece {
    map: MmapRaw,
}

impl WritablePiece {
    /// Maps the `len` bytes from `offset`, and has the system make all their pages ready to be written to: one that
    /// it cannot give is an error here, and not yet a SIGBUS.
    pub(super) fn map(file: &File, offset: u64, len: usize) -> io::Result<WritablePiece> {
        let map = MmapOptions::new().offset(offset).len(len).map_raw(file)?;
        make_ready(&map)?;
        Ok(WritablePiece { map })
    }

    /// Writes `bytes` at `at` of the piece.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(at <= self.map.len() && bytes.len() <= self.map.len() - at, "beyond the piece");
        // SAFETY: the bytes lie inside the mapping, as was just checked, and whoever reads the file does so by calls
        // of the system: the mapping is reached through here alone, by one thread at a time, and no reference to
        // its memory is ever made. Pages stay behind the mapping: the store that holds its folder's lock cuts a file
        // only after it has given up its pieces.
        unsafe {
            let to = self.map.as_mut_ptr().add(at);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
    }
}

#[cfg(target_os = "linux")]
fn make_ready(map: &MmapRaw) -> io::Result<()> {
    map.advise(memmap2::Advice::PopulateWrite)
}

/// Other systems have no such call.
#[cfg(not(target_os = "linux"))]
fn make_ready(_map: &MmapRaw) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
