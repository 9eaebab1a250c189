//! Which segments belong to the log: each that follows on the one before, up to the first that does not.
//!
//! Opening asks for it, and so do the offline tools; the rules are those of `docs/FORMAT.md`.

use std::path::Path;

use super::layout::read_segment_header;
use crate::error::{Corruption, Error, Result};
use crate::format::checksum::Salt;
use crate::format::segment::{MAGIC as SEGMENT_MAGIC, SegmentHeader};
use crate::format::{StoreId, names};
use crate::log::{Tail, replay};
use crate::sys::File;

/// The segments read so far, of which the last one counts.
#[derive(Debug)]
pub(crate) struct Chain<'a> {
    store: &'a StoreId,
    /// Number and end of the last segment.
    last: Option<(u64, Tail)>,
}

impl<'a> Chain<'a> {
    /// A chain of no segments: the first one follows if it has a header.
    pub(crate) fn new(store: &'a StoreId) -> Chain<'a> {
        Chain { store, last: None }
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
            self.last.is_none_or(|(_, tail)| header.previous_len <= tail.end)
        };
        if let Some(header) = header.filter(follows) {
            return Ok(Some(header));
        }
        check_not_lost(file, path, self.store, number, header, self.last).map(|()| None)
    }

    /// Adds a segment that was read. Where it is not known how it ends, every segment follows on it.
    pub(crate) fn push(&mut self, number: u64, tail: Option<Tail>) {
        self.last = tail.map(|tail| (number, tail));
    }
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
        (Err(Error::Corrupt(_)) | Ok(_), Some(header), Some((before, tail))) => Corruption {
            path: path.with_file_name(names::segment(Path::new(""), before)),
            offset: tail.end,
            what: "log frame",
            expected: format!("durable frames up to byte {}", header.previous_len),
            found: "bytes that do not verify".into(),
        },
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
