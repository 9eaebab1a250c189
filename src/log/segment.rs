//! One file of the log, and the room set aside in it.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::format::segment::{BYTES as HEADER, Previous, SegmentHeader};
use crate::planted::{Bug, planted};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, lock};
use crate::sys::File;

/// Room is set aside in steps that double from the first to the second of these.
const STEP_MIN: u64 = 1 << 20;
const STEP_MAX: u64 = 64 << 20;
/// Behind the first step it is filled, and may be used, in pieces of this: a call waits for one.
const PIECE: u64 = 256 << 10;
/// With no more than this left a caller readies the next piece before somebody has to wait for it.
const LOW: u64 = 128 << 10;

/// How the log is written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriteMode {
    /// By a call of the system for what one call, or several at once, let in. A disk that fails is an error.
    #[default]
    Positioned,
    /// Through a mapping of room that was set aside and filled before: a call of one id takes a third of the time.
    /// What would be an error of a write ends the process with SIGBUS: a medium or a file system that fails, a file
    /// that somebody cuts, and, on a file system that puts what is written anew in another place (btrfs, ZFS), a
    /// disk that is full. What a call has acknowledged is as durable as with the other. With a sync for each call
    /// there is nothing to gain. Linux alone has it; elsewhere, and where the system refuses a mapping, and with
    /// [`Backend::Sled`](crate::Backend), it is as the other.
    Mapped,
}

/// A segment that frames can be appended to.
///
/// Room is reserved before an id is inserted anywhere, so that a full disk is noticed while the call
/// can still be refused as a whole.
#[derive(Debug)]
pub(crate) struct Segment {
    /// What its header will say, but for what it says of the segment before.
    header: SegmentHeader,
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn File>,
    mode: WriteMode,
    /// Bytes that are ready and not reserved by a call.
    free: AtomicU64,
    /// Whether they have become few, and nobody has taken it upon himself to ready more.
    low: AtomicBool,
    room: Mutex<Room>,
    /// Where the next frame goes. Changed under the writer's lock only.
    pub(super) tail: AtomicU64,
    /// How much of it the system has; what a failed write left behind does not count.
    pub(super) written: AtomicU64,
    /// How much of it is durable.
    pub(super) synced: AtomicU64,
}

/// How far the file has room.
#[derive(Debug, Default)]
struct Room {
    /// Bytes set aside.
    allocated: u64,
    /// How many of them may be used.
    ready: u64,
}

impl Segment {
    /// The segment that will begin with `header`, in a new, empty file, with some room.
    pub(crate) fn new(
        file: Box<dyn File>,
        path: PathBuf,
        header: SegmentHeader,
        mode: WriteMode,
    ) -> Result<Segment> {
        let segment = Segment {
            header,
            path,
            file,
            mode,
            free: AtomicU64::new(0),
            low: AtomicBool::new(false),
            room: Mutex::default(),
            tail: AtomicU64::new(0),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
        };
        segment.extend(HEADER as u64)?;
        Ok(segment)
    }

    /// The number in its name.
    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    /// Length of its content in bytes.
    pub(crate) fn content_len(&self) -> u64 {
        self.tail.load(Ordering::Relaxed)
    }

    /// How much of its content is durable.
    pub(crate) fn synced_len(&self) -> u64 {
        self.synced.load(Ordering::Relaxed)
    }

    /// What the next segment says of it. Nothing more is staged for it.
    pub(crate) fn as_previous(&self) -> Previous {
        Previous { len: self.content_len(), durable: self.synced_len() }
    }

    /// Bytes that it takes on the disk.
    pub(crate) fn allocated(&self) -> u64 {
        lock(&self.room).allocated
    }

    /// Reserves `bytes`, or tells that there is no room set aside for them: see
    /// [`Segment::extend`].
    pub(crate) fn reserve(&self, bytes: u64) -> bool {
        let take = |free: u64| free.checked_sub(bytes);
        let Ok(before) = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) else {
            return false;
        };
        if before > LOW && before - bytes <= LOW {
            self.low.store(true, Ordering::Relaxed);
        }
        true
    }

    /// Whether the caller is the one to set more aside, while others go on in what there is.
    pub(crate) fn take_low(&self) -> bool {
        self.low.load(Ordering::Relaxed) && self.low.swap(false, Ordering::Relaxed)
    }

    /// Whether there is room set aside for `bytes` more.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.free.load(Ordering::Relaxed) >= bytes
    }

    /// Gives back what was reserved and not used.
    pub(crate) fn release(&self, bytes: u64) {
        self.free.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Makes room for at least `bytes` more.
    pub(crate) fn extend(&self, bytes: u64) -> Result<()> {
        let mut room = lock(&self.room);
        // Segments of small stores stay in their first step, which is not filled where that gains little.
        let unfilled = room.ready == 0 && self.mode == WriteMode::Positioned;
        let piece = bytes.max(if unfilled { STEP_MIN } else { PIECE });
        let short = (room.ready + piece).saturating_sub(room.allocated);
        let fail = |e| Error::io("set room aside in", &self.path, e);
        if short > 0 {
            let step = room.allocated.clamp(STEP_MIN, STEP_MAX).max(short);
            if !planted(Bug::LogRoomUnreserved) {
                self.file.allocate(room.allocated, step).map_err(fail)?;
            }
            room.allocated += step;
        }
        if !unfilled {
            self.file.fill(room.ready, piece).map_err(fail)?;
        }
        if self.mode == WriteMode::Mapped {
            self.file.map_to_write(room.ready, piece);
        }
        room.ready += piece;
        self.free.fetch_add(piece, Ordering::Relaxed);
        Ok(())
    }

    /// Cuts off the room that was not used. Nobody may append any more.
    pub(crate) fn trim(&self) -> Result<()> {
        let len = self.content_len();
        self.file.truncate(len).map_err(|e| Error::io("trim", &self.path, e))
    }

    /// The header, for a segment that follows one of which this is known.
    pub(super) fn header(&self, previous: Previous) -> SegmentHeader {
        SegmentHeader { previous, ..self.header }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::io::ErrorKind;
    use std::path::Path;

    use super::*;
    use crate::sys::Storage;
    use crate::testing::MemoryDisk;
    use crate::time::{Ticks, Timestamp};

    /// One whose first step is reserved.
    fn segment(disk: &MemoryDisk) -> Segment {
        let segment = empty(disk, WriteMode::Positioned);
        assert!(segment.reserve(STEP_MIN) && !segment.reserve(1));
        segment
    }

    fn empty(disk: &MemoryDisk, mode: WriteMode) -> Segment {
        let path = Path::new("/s/1.log");
        disk.create_dir(Path::new("/s")).unwrap();
        let ticks = Ticks { base: Timestamp::MIN, micros: 1 };
        let previous = Previous::default();
        let header = SegmentHeader { store: [1; 16], number: 1, generation: 1, ticks, previous };
        Segment::new(disk.create(path).unwrap(), path.into(), header, mode).unwrap()
    }

    #[test]
    fn room_that_is_mapped_is_filled_from_the_first_piece_on() {
        let disk = MemoryDisk::new();
        let segment = empty(&disk, WriteMode::Mapped);
        assert!(segment.reserve(PIECE) && !segment.reserve(1));
        assert_eq!(segment.allocated(), STEP_MIN);
        let before = disk.ops();
        segment.extend(1).unwrap();
        assert_eq!(disk.ops() - before, 1, "it is filled, and set aside already");
        assert!(segment.reserve(PIECE) && !segment.reserve(1));
    }

    #[test]
    fn room_is_there_only_once_all_of_it_could_be_made() {
        let disk = MemoryDisk::new();
        let segment = segment(&disk);
        // Setting it aside and filling it are a step each.
        for failing in 0..2 {
            disk.fail_at(disk.ops() + failing, ErrorKind::StorageFull);
            assert!(matches!(segment.extend(1), Err(Error::DiskFull { .. })), "step {failing}");
            assert!(!segment.reserve(1));
            // What was set aside, and could not be filled, is used by the next who asks.
            assert_eq!(segment.allocated(), STEP_MIN * (1 + failing));
        }
        segment.extend(1).unwrap();
        assert!(segment.reserve(PIECE) && !segment.reserve(1));
        assert_eq!(segment.allocated(), 2 * STEP_MIN);
        segment.extend(2 * STEP_MAX).unwrap();
        assert_eq!(segment.allocated(), 2 * STEP_MAX + STEP_MIN + PIECE);
        assert!(segment.reserve(2 * STEP_MAX) && !segment.reserve(1));
    }

    #[test]
    fn one_caller_is_told_that_room_becomes_scarce() {
        let segment = segment(&MemoryDisk::new());
        assert!(segment.take_low(), "all of it was reserved");
        segment.extend(1).unwrap();
        assert!(segment.reserve(PIECE - LOW - 1) && !segment.take_low());
        assert!(segment.reserve(1) && segment.take_low() && !segment.take_low());
        assert!(segment.reserve(LOW) && !segment.take_low());
    }
}
