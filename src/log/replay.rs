//! Reading a segment back, and telling a torn tail from damage.
//!
//! Frames are read from the front to the first that does not verify. What follows it was either
//! never acknowledged (the tail was torn by the death of the machine) or is damage. Frames say how
//! much of the segment was durable when they were written: if a later frame is found that says so of
//! the place that does not verify, acknowledged bytes are gone, and that is an error.

use std::path::Path;

use crate::error::{Corruption, Error, Result};
use crate::format::VERSION;
use crate::format::checksum::Salt;
use crate::format::frame::{ALIGN, FrameHeader, HEADER};
use crate::format::segment::BYTES as SEGMENT_HEADER;
use crate::key::Record;
use crate::planted::{Bug, planted};
use crate::sys::{File, read_exact_at};

/// How much is read at once.
const WINDOW: usize = 1 << 20;

/// What takes frames: the offset of each, its header, its payload.
pub(crate) type EachFrame<'a> = dyn FnMut(u64, &FrameHeader, &[u8]) -> Result<()> + 'a;

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Length of the content that verifies.
    pub(crate) end: u64,
    /// Bytes behind it that are neither zero nor a frame: the remains of unacknowledged calls.
    pub(crate) torn: u64,
    /// The highest durable length that a frame states.
    pub(crate) synced: u64,
}

/// Gives every frame of a segment to `each`, in order, with its payload.
pub(crate) fn replay(
    file: &dyn File,
    path: &Path,
    salt: Salt,
    each: &mut EachFrame<'_>,
) -> Result<Tail> {
    let len = file.len().map_err(|e| Error::io("read", path, e))?;
    replay_prefix(file, path, salt, len, each)
}

/// Like [`replay`], as if the segment ended after `len` bytes, which it has.
pub(crate) fn replay_prefix(
    file: &dyn File,
    path: &Path,
    salt: Salt,
    len: u64,
    each: &mut EachFrame<'_>,
) -> Result<Tail> {
    let mut window = Window { file, path, len, start: 0, bytes: Vec::new() };
    let mut tail = Tail { end: SEGMENT_HEADER as u64, torn: 0, synced: 0 };
    while let Some((header, payload)) = window.frame(salt, tail.end)? {
        if header.kind.is_none() {
            let (path, found) = (path.to_path_buf(), VERSION + 1);
            return Err(Error::Version { path, found, supported: VERSION });
        }
        each(tail.end, &header, payload)?;
        tail.synced = tail.synced.max(header.synced);
        tail.end += (HEADER + header.padded_len()) as u64;
    }
    tail.torn = window.judge_rest(salt, tail.end)?;
    Ok(tail)
}

/// The fingerprints and ticks of a verified frame at `offset` of the segment at `path`.
pub(crate) fn records_of<'a>(
    path: &Path,
    offset: u64,
    frame: &FrameHeader,
    payload: &'a [u8],
) -> Result<impl Iterator<Item = Record> + 'a> {
    let records = frame.records(payload).ok_or_else(|| Corruption {
        path: path.to_path_buf(),
        offset,
        what: "log frame",
        expected: "a payload of whole records".into(),
        found: format!("{} bytes", frame.len),
    })?;
    Ok(records)
}

/// A part of the file in memory.
struct Window<'a> {
    file: &'a dyn File,
    path: &'a Path,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// `len` bytes at `offset`; `None` where the file ends before.
    fn get(&mut self, offset: u64, len: usize) -> Result<Option<&[u8]>> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        let have = self.start..self.start + self.bytes.len() as u64;
        if offset < have.start || offset + len as u64 > have.end {
            let left = usize::try_from(self.len - offset).unwrap_or(usize::MAX);
            self.bytes.resize(len.max(WINDOW).min(left), 0);
            self.start = offset;
            let read = read_exact_at(self.file, &mut self.bytes, offset);
            read.map_err(|e| Error::io("read", self.path, e))?;
        }
        let from = (offset - self.start) as usize;
        Ok(Some(&self.bytes[from..from + len]))
    }

    /// The frame at `offset`, if one verifies there.
    fn frame(&mut self, salt: Salt, offset: u64) -> Result<Option<(FrameHeader, &[u8])>> {
        let Some(bytes) = self.get(offset, HEADER)? else {
            return Ok(None);
        };
        let bytes = bytes.try_into().expect("the length of a header");
        let Some(header) = FrameHeader::decode(bytes, salt, offset) else {
            return Ok(None);
        };
        let whole = HEADER + header.padded_len();
        let Some(bytes) = self.get(offset, whole)? else {
            return Ok(None);
        };
        let payload = &bytes[HEADER..];
        Ok(header.verifies(payload).then_some((header, payload)))
    }

    /// Looks behind the last frame: how many bytes up to the last that is not zero, or an error if
    /// acknowledged frames were among them.
    fn judge_rest(&mut self, salt: Salt, end: u64) -> Result<u64> {
        let mut torn = 0;
        let mut offset = end;
        while offset < self.len {
            let step = usize::try_from(self.len - offset).unwrap_or(WINDOW).min(4096);
            let block = self.get(offset, step)?.expect("within the file");
            let Some(last) = block.iter().rposition(|&b| b != 0) else {
                offset += step as u64;
                continue;
            };
            torn = offset + last as u64 + 1 - end;
            for at in (offset..offset + step as u64).step_by(ALIGN) {
                let Some((header, _)) = self.frame(salt, at)? else {
                    continue;
                };
                if header.synced > end && !planted(Bug::RotTakenForTorn) {
                    return Err(self.lost(end, at, header.synced).into());
                }
            }
            offset += step as u64;
        }
        Ok(torn)
    }

    fn lost(&self, end: u64, at: u64, synced: u64) -> Corruption {
        Corruption {
            path: self.path.to_path_buf(),
            offset: end,
            what: "log frame",
            expected: format!(
                "a frame, for the frame at byte {at} says {synced} bytes are durable"
            ),
            found: "bytes that do not verify".into(),
        }
    }
}
