//! The log for benches: one segment in a file of the real disk, and frames of ids.

use std::path::Path;

use super::{Log, Need, Segment, WriteMode, records_of};
use crate::error::{Error, Result};
use crate::format::frame::{FrameBuffer, FrameKind};
use crate::format::segment::{Previous, SegmentHeader};
use crate::key::Fingerprint;
use crate::sync::Arc;
use crate::sys::Storage;
use crate::sys::disk::Disk;
use crate::time::{Ticks, Timestamp};

const HEADER: SegmentHeader = SegmentHeader {
    store: *b"a store of bench",
    number: 1,
    generation: 1,
    ticks: Ticks { base: Timestamp::MIN, micros: 1 },
    previous: Previous { len: 0, durable: 0 },
};

/// A frame that is sealed but for its place: it can be appended many times.
#[derive(Debug)]
pub struct BenchFrame(FrameBuffer);

impl BenchFrame {
    /// The frame that a call leaves which lets these in.
    #[must_use]
    pub fn of(ids: &[Fingerprint]) -> BenchFrame {
        let mut frame = FrameBuffer::default();
        frame.start();
        ids.iter().for_each(|&id| frame.push(id));
        frame.seal(FrameKind::Ids, Timestamp::MIN, 0, &[]);
        BenchFrame(frame)
    }
}

/// A log with one segment.
#[derive(Debug)]
pub struct BenchLog {
    log: Log,
    segment: Arc<Segment>,
}

impl BenchLog {
    /// A log in a new file, written in this way.
    pub fn create(path: &Path, mode: WriteMode) -> Result<BenchLog> {
        let file = Disk.create(path).map_err(|e| Error::io("create", path, e))?;
        let segment = Arc::new(Segment::new(file, path.to_path_buf(), HEADER, mode)?);
        let log = Log::new(false);
        log.activate(&segment, Previous::default());
        Ok(BenchLog { log, segment })
    }

    /// Sets room aside where there is none, stages the frame, and waits until the system has it, or if it is to
    /// be synced, the medium.
    pub fn append(&self, frame: &BenchFrame, synced: bool) -> Result<()> {
        // The log takes it.
        let mut frame = frame.0.clone();
        let bytes = frame.len() as u64;
        while !self.segment.reserve(bytes) {
            self.segment.extend(bytes)?;
        }
        let upto = self.log.stage(&self.segment, &mut frame);
        self.log.wait(upto, if synced { Need::Synced } else { Need::Written })
    }

    /// Cuts off the room that was set aside and not used.
    pub fn close(self) -> Result<()> {
        self.segment.trim()
    }

    /// Length of its content.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segment.content_len()
    }

    /// How often it was synced.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.log.stats().syncs
    }
}

/// Reads the file of a [`BenchLog`] back; returns how many frames there are, and ids in them.
pub fn replay(path: &Path) -> Result<(u64, u64)> {
    let file = Disk.open(path).map_err(|e| Error::io("open", path, e))?;
    let (mut frames, mut ids) = (0, 0);
    super::replay(&*file, path, HEADER.salt(), &mut |offset, header, payload| {
        frames += 1;
        ids += records_of(path, offset, header, payload)?.map(std::hint::black_box).count() as u64;
        Ok(())
    })?;
    Ok((frames, ids))
}
