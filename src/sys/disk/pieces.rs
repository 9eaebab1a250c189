//! The pieces of a file that are written to through mappings.

use std::fs;
use std::ops::Range;

use crate::sys::mmap::WritablePiece;

/// Pieces in ascending order, each until something is written to a later one.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<(Range<u64>, WritablePiece)>);

impl Pieces {
    /// Writes what of `bytes` lies in the piece that holds `offset`, and lets go of those before it. Returns how many
    /// bytes that was; `None` if there is no such piece.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> Option<usize> {
        let index = self.0.iter().position(|(place, _)| place.contains(&offset))?;
        let (place, piece) = &mut self.0[index];
        let here = usize::try_from(place.end - offset).map_or(bytes.len(), |n| n.min(bytes.len()));
        piece.write((offset - place.start) as usize, &bytes[..here]);
        self.0.drain(..index);
        Some(here)
    }

    /// Adds the piece at `place`, if the system has its pages.
    pub(super) fn add(&mut self, file: &fs::File, place: Range<u64>) {
        let Ok(len) = usize::try_from(place.end - place.start) else { return };
        match WritablePiece::map(file, place.start, len) {
            Ok(piece) => self.0.push((place, piece)),
            Err(error) => tracing::debug!(%error, "cannot map a piece to write to"),
        }
    }

    /// Lets go of all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
