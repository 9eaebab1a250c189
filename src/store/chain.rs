//! Which segments belong to the log: each that follows on the one before, up to the first that does not.
//!
//! Opening asks for it, and so do the offline tools; the rules are those of `docs/FORMAT.md`.

use std::path::Path;

use super::layout::{header_has_changed, read_segment_header};
use crate::error::{Corruption, Error, Result};
use crate::format::checksum::Salt;
use crate::format::manifest::Manifest;
use crate::format::segment::{MAGIC as SEGMENT_MAGIC, SegmentHeader};
use crate::format::{StoreId, names};
use crate::log::{Tail, replay};
use crate::planted::{Bug, planted};
use crate::sys::File;

/// The segments read so far, of which the last one counts.
#[derive(Debug)]
pub(crate) struct Chain<'a> {
    store: &'a StoreId,
    /// Number and end of the last segment.
    last: Option<(u64, Tail)>,
    /// A segment, and how much of it is known to have been durable.
    known: (u64, u64),
}

impl<'a> Chain<'a> {
    /// A chain of no segments: the first one follows if it has a header. The manifest, where there is one,
    /// knows how much of the log was durable when it was written.
    pub(crate) fn new(store: &'a StoreId, manifest: Option<&Manifest>) -> Chain<'a> {
        let known = manifest.map_or((0, 0), |m| (m.last_segment, m.last_len));
        Chain { store, last: None, known }
    }

    /// The header of segment `number`, if the segment follows on the last one. `None` if neither it nor
    /// any later one belongs to the log, and nothing durable is lost by that.
    pub(crate) fn follow(
        &self,
        file: &dyn File,
        path: &Path,
        number: u64,
        header: Option<SegmentHeader>,
    ) -> Result<Option<SegmentHeader>> {
        let follows = |header: &SegmentHeader| {
            let joins = |tail: Tail| header.previous.len <= tail.end;
            self.last.is_none_or(|(_, tail)| joins(tail) || planted(Bug::HolePassedOver))
        };
        if let (Some(header), Some((before, tail))) = (header, self.last)
            && tail.end < header.previous.durable
            && !planted(Bug::HolePassedOver)
        {
            return Err(lost_before(path, before, tail.end, header.previous.durable));
        }
        if let Some(header) = header.filter(follows) {
            return Ok(Some(header));
        }
        check_not_lost(file, path, self.store, number, header, self.last)?;
        // Segments are made durable in order, so of those before the known one nothing may be missing.
        match number <= self.known.0 && self.known.1 > 0 {
            true => Err(lost(path, 0, self.known.1)),
            false => Ok(None),
        }
    }

    /// Judges the segments behind segment `number`, which does not follow, at `path`, with this header.
    pub(crate) fn check_all_dropped(
        &self,
        file: &dyn File,
        path: &Path,
        number: u64,
        header: Option<SegmentHeader>,
        behind: impl IntoIterator<Item = Result<(u64, impl AsRef<Path>, impl AsRef<dyn File>)>>,
    ) -> Result<()> {
        let changed = header.is_none() && header_has_changed(file, path, self.store, number)?;
        behind.into_iter().try_for_each(|segment| {
            let (number, later, file) = segment?;
            self.check_dropped(file.as_ref(), later.as_ref(), number, changed.then_some(path))
        })
    }

    /// Judges segment `number`, behind one that does not follow: nothing durable may go with the two. Segments are
    /// made durable in order, so if anything says that some of this one, or of the one before, was, then all
    /// before it was. `changed` is a segment whose header was once whole: a power cut does not take it back. One
    /// that is cut short says nothing, for of two segments that nobody made durable it may be the later that is whole.
    fn check_dropped(
        &self,
        file: &dyn File,
        path: &Path,
        number: u64,
        changed: Option<&Path>,
    ) -> Result<()> {
        let header = read_segment_header(file, path, self.store, number)?;
        match (header, changed) {
            (Some(header), _) if header.previous.durable > 0 => {
                Err(lost_before(path, number - 1, 0, header.previous.durable))
            }
            (Some(_), Some(changed)) => Err(Error::from(Corruption {
                path: changed.to_path_buf(),
                offset: 0,
                what: "log segment header",
                expected: "a header, for a later segment has one".into(),
                found: "bytes that do not verify".into(),
            })),
            _ => check_not_lost(file, path, self.store, number, header, self.last),
        }
    }

    /// Checks that segment `number`, which ends so, has what is known to have been durable of it.
    pub(crate) fn check_end(&self, path: &Path, number: u64, tail: Tail) -> Result<()> {
        let (known, len) = self.known;
        match number == known && tail.end < len && !planted(Bug::KnownEndUnchecked) {
            true => Err(lost(path, tail.end, len)),
            false => Ok(()),
        }
    }

    /// How many bytes of segment `number`, which ends so, are known to be durable.
    pub(crate) fn durable_of(&self, number: u64, tail: Tail) -> u64 {
        let (known, len) = self.known;
        tail.synced.max(if number == known { len } else { 0 })
    }

    /// Adds a segment that was read. Where it is not known how it ends, every segment follows on it.
    pub(crate) fn push(&mut self, number: u64, tail: Option<Tail>) {
        self.last = tail.map(|tail| (number, tail));
    }
}

/// The damage of a segment that ends at `end` and had `len` durable bytes.
fn lost(path: &Path, end: u64, len: u64) -> Error {
    Error::from(Corruption {
        path: path.to_path_buf(),
        offset: end,
        what: "log segment",
        expected: format!("frames up to byte {len}, which the manifest says were durable"),
        found: "none from here on".into(),
    })
}

/// The damage of segment `before`, which ends at `end`, though the one at `path` says that it had `len` durable
/// bytes.
fn lost_before(path: &Path, before: u64, end: u64, len: u64) -> Error {
    Error::from(Corruption {
        path: path.with_file_name(names::segment(Path::new(""), before)),
        offset: end,
        what: "log frame",
        expected: format!("durable frames up to byte {len}, as the next segment says"),
        found: "bytes that do not verify".into(),
    })
}

/// Judges segment `number` that does not follow on the one `before`, whose number and end are given:
/// either that one ends too early or this one has no header. That is damage if this one says that
/// anything was synced, for segments are synced in order, and from the front.
fn check_not_lost(
    file: &dyn File,
    path: &Path,
    store: &StoreId,
    number: u64,
    header: Option<SegmentHeader>,
    before: Option<(u64, Tail)>,
) -> Result<()> {
    let salt = Salt::new(store, SEGMENT_MAGIC, number);
    let synced = replay(file, path, salt, &mut |_, _, _| Ok(()));
    let lost = match (synced, header, before) {
        (Ok(tail), ..) if tail.synced == 0 => return Ok(()),
        (Err(Error::Corrupt(_)) | Ok(_), Some(header), Some((before, tail))) => {
            return Err(lost_before(path, before, tail.end, header.previous.len));
        }
        (Err(Error::Corrupt(_)) | Ok(_), ..) => {
            // Whoever looks on while the segment is written may have come before the header.
            if read_segment_header(file, path, store, number)?.is_some() {
                return Ok(());
            }
            Corruption {
                path: path.to_path_buf(),
                offset: 0,
                what: "log segment header",
                expected: "a header, for frames behind it are durable".into(),
                found: "zeros".into(),
            }
        }
        (Err(error), ..) => return Err(error),
    };
    Err(lost.into())
}
