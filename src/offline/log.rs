//! The log as an opening would replay it, without changing it, also while it grows.
//!
//! A segment's header is written after everything in the segments before it. So all headers are read
//! first, then the contents: whatever a header says of the segment before is there by then, unless
//! it was lost.

use std::path::{Path, PathBuf};

use super::snapshot::{SegmentFile, Snapshot};
use crate::error::{Error, Result};
use crate::format::checksum::Salt;
use crate::format::segment::SegmentHeader;
use crate::key::{Fingerprint, Record};
use crate::log::{Content, Tail, records_of, replay, replay_prefix};
use crate::store::chain::Chain;
use crate::store::layout::read_segment_header;
use crate::sys::File;
use crate::time::{Ticks, Timestamp};

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

/// What takes frames: see [`Part::each_frame`].
pub(super) type EachFrame<'a> =
    dyn FnMut(Timestamp, &Content<'_>, &mut dyn Iterator<Item = Record>) -> Result<()> + 'a;

/// An id in the log, or one that was told to be forgotten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logged {
    pub(super) fingerprint: Fingerprint,
    pub(super) tick: u8,
    pub(super) forget: bool,
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
    let mut chain = Chain::new(store, Some(&snapshot.manifest));
    let mut segments = segments.into_iter().zip(headers);
    while let Some((SegmentFile { number, path, file }, header)) = segments.next() {
        let Some(header) = chain.follow(&*file, &path, number, header)? else {
            let behind = segments.map(|(s, _)| Ok((s.number, s.path, s.file)));
            chain.check_all_dropped(&*file, &path, number, header, behind)?;
            break;
        };
        let tail = measure(&*file, &path, header.salt())?;
        chain.check_end(&path, number, tail)?;
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
    /// Gives all ids that verified when the part was measured to `each`, in order.
    pub(super) fn each(&self, each: &mut dyn FnMut(Logged) -> Result<()>) -> Result<()> {
        self.each_frame(&mut |_, content, records| {
            let forget = matches!(content, Content::Forget);
            let mut logged =
                records.map(|(fingerprint, tick)| Logged { fingerprint, tick, forget });
            logged.try_for_each(&mut *each)
        })
    }

    /// Gives all frames that verified when the part was measured to `each`, in order: the time of
    /// each, what it says, its ids with their ticks.
    pub(super) fn each_frame(&self, each: &mut EachFrame<'_>) -> Result<()> {
        let Part { path, file, header, tail } = self;
        replay_prefix(&**file, path, header.salt(), tail.end, &mut |offset, frame, payload| {
            let mut records = records_of(path, offset, frame, payload)?;
            let content = Content::of(path, offset, frame, payload)?;
            each(frame.time, &content, &mut records)
        })?;
        Ok(())
    }

    pub(super) fn generation(&self) -> u64 {
        self.header.generation
    }

    pub(super) fn ticks(&self) -> Ticks {
        self.header.ticks
    }
}
