//! The log as an opening would replay it, without changing it, also while it grows.
//!
//! A segment's header is written after everything in the segments before it. So all headers are read
//! first, then the contents: whatever a header says of the segment before is there by then, unless
//! it was lost.

use std::path::{Path, PathBuf};

use super::snapshot::{SegmentFile, Snapshot};
use crate::error::{Error, Result};
use crate::format::checksum::Salt;
use crate::format::frame::FrameKind;
use crate::format::manifest::{ForgottenEntry, Manifest};
use crate::format::segment::SegmentHeader;
use crate::key::Fingerprint;
use crate::log::{Tail, records_of, replay, replay_prefix};
use crate::store::chain::Chain;
use crate::store::layout::read_segment_header;
use crate::sys::File;
use crate::time::{Ticks, Timestamp};
use crate::window::Forgotten;

/// How often a segment that seems damaged is read again, if it seems damaged elsewhere each time.
const TRIES: usize = 16;

/// A segment that an opening would replay, and how much of it verifies.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn File>,
    pub(super) header: SegmentHeader,
    pub(super) tail: Tail,
}

/// An id in the log, or one that was told to be forgotten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logged {
    pub(super) fingerprint: Fingerprint,
    pub(super) tick: u8,
    /// The time of the call.
    pub(super) time: Timestamp,
    pub(super) forget: bool,
}

/// What the log says as a whole, on top of the manifest.
#[derive(Debug)]
pub(super) struct Survey {
    /// Ids in the log, those let in again included.
    pub(super) ids: u64,
    pub(super) high_water: Timestamp,
    /// A generation number above all in manifest and log.
    pub(super) next_generation: u64,
    /// The set of forgotten ids as an opening would have it.
    pub(super) forgotten: Forgotten,
}

/// The segments of a snapshot that an opening would replay.
pub(super) fn parts(snapshot: &mut Snapshot) -> Result<Vec<Part>> {
    let store = &snapshot.superblock.store;
    let segments = std::mem::take(&mut snapshot.files.segments);
    let headers: Vec<Option<SegmentHeader>> = segments
        .iter()
        .map(|s| read_segment_header(&*s.file, &s.path, store, s.number))
        .collect::<Result<_>>()?;
    let mut parts: Vec<Part> = Vec::new();
    let mut chain = Chain::new(store);
    for (segment, header) in segments.into_iter().zip(headers) {
        let SegmentFile { number, path, file } = segment;
        let Some(header) = chain.follow(&*file, &path, number, header)? else {
            break;
        };
        let tail = measure(&*file, &path, header.salt())?;
        chain.push(number, Some(tail));
        parts.push(Part { path, file, header, tail });
    }
    Ok(parts)
}

/// How much of a segment verifies. It may be written to: what looks like damage because a part was
/// read before it was written is gone at the next look, and real damage is not.
pub(super) fn measure(file: &dyn File, path: &Path, salt: Salt) -> Result<Tail> {
    let mut before = None;
    for _ in 1..TRIES {
        match replay(file, path, salt, &mut |_, _, _| Ok(())) {
            Err(Error::Corrupt(damage)) if before != Some(damage.offset) => {
                before = Some(damage.offset);
            }
            measured => return measured,
        }
    }
    replay(file, path, salt, &mut |_, _, _| Ok(()))
}

impl Part {
    /// Gives all that verified when the part was measured to `each`, in order.
    pub(super) fn each(&self, each: &mut dyn FnMut(Logged) -> Result<()>) -> Result<()> {
        each_in(&*self.file, &self.path, self.header.salt(), self.tail, each)
    }

    pub(super) fn generation(&self) -> u64 {
        self.header.generation
    }

    pub(super) fn ticks(&self) -> Ticks {
        self.header.ticks
    }
}

/// Gives all records of a segment up to `tail` to `each`, in order.
pub(super) fn each_in(
    file: &dyn File,
    path: &Path,
    salt: Salt,
    tail: Tail,
    each: &mut dyn FnMut(Logged) -> Result<()>,
) -> Result<()> {
    replay_prefix(file, path, salt, tail.end, &mut |offset, frame, payload| {
        let (time, forget) = (frame.time, frame.kind == Some(FrameKind::Forget));
        for (fingerprint, tick) in records_of(path, offset, frame, payload)? {
            each(Logged { fingerprint, tick, time, forget })?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Reads the whole log for what it says beside its ids.
pub(super) fn survey(manifest: &Manifest, parts: &[Part]) -> Result<Survey> {
    let mut survey = Survey {
        ids: 0,
        high_water: manifest.high_water,
        next_generation: manifest.next_generation,
        forgotten: Forgotten::restore(&manifest.forgotten),
    };
    for part in parts {
        survey.next_generation = survey.next_generation.max(part.generation() + 1);
        part.each(&mut |logged| {
            survey.high_water = survey.high_water.max(logged.time);
            if logged.forget {
                survey.forgotten.insert(logged.fingerprint, logged.time);
                return Ok(());
            }
            survey.ids += 1;
            if !survey.forgotten.is_empty() {
                survey.forgotten.open().let_in(logged.fingerprint, logged.time);
            }
            Ok(())
        })?;
    }
    Ok(survey)
}

impl Survey {
    /// The forgotten ids, ascending.
    pub(super) fn forgotten_entries(&self) -> Vec<ForgottenEntry> {
        let mut entries = self.forgotten.entries();
        entries.sort_unstable_by_key(|entry| entry.fingerprint);
        entries
    }
}
