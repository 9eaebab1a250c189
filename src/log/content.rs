//! What the payload of a frame says, checked beyond its checksum.

use std::path::Path;

use crate::error::{Corruption, Result};
use crate::format::commit::{self, Commit, Prepare};
use crate::format::frame::{self, FrameHeader, FrameKind};

/// What a frame says beside [its records](super::records_of).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    /// Its records were let in.
    Ids,
    /// Its records were told to be forgotten.
    Forget,
    /// Its records were let in, with what the transaction brought.
    Commit(Commit<'a>),
    /// What is to be settled later; no records.
    Prepare(Prepare<'a>),
    /// The token of what was given up; no records.
    Abort(&'a [u8]),
}

impl<'a> Content<'a> {
    /// Reads the payload of a verified frame at `offset` of the segment at `path`, with its padding.
    pub(crate) fn of(
        path: &Path,
        offset: u64,
        frame: &FrameHeader,
        payload: &'a [u8],
    ) -> Result<Content<'a>> {
        let payload = &payload[..frame.len];
        let content = match frame.kind {
            Some(FrameKind::Forget) => Ok(Content::Forget),
            Some(FrameKind::Commit) => Commit::decode(payload).map(Content::Commit),
            Some(FrameKind::Prepare) => Prepare::decode(payload).map(Content::Prepare),
            Some(FrameKind::Abort) => commit::decode_abort(payload).map(Content::Abort),
            Some(FrameKind::Ids | FrameKind::TimedIds) | None => Ok(Content::Ids),
        };
        let offset = offset + frame::HEADER as u64;
        let corrupt = |flaw: commit::Flaw| -> Corruption {
            flaw.corruption(path, offset, "transaction in the log")
        };
        content.map_err(|flaw| corrupt(flaw).into())
    }
}
