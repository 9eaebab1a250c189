//! The log by itself: a frame staged and waited for, and a segment read back. On real files.
//!
//! ```sh
//! cargo bench --bench log
//! FIRSTSEEN_BENCH_DIR=/mnt cargo bench --bench log -- synced    # what has this in its name, there
//! ```
//!
//! Frames of 16, 256 and 16,384 bytes, beside their headers of 40: calls with 1, 16 and 1024 new ids. They are put
//! together and checksummed once, so what is measured is to set room aside, to fix the frame's place, to copy it, and to
//! wait until the system has it, or the medium. Segments go up to 256 MiB, then another is begun, not counted. What
//! is read back is in the page cache.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use firstseen::internals::log::{BenchFrame, BenchLog, replay};
use firstseen::{Fingerprint, WriteMode};

use support::keys::Random;
use support::setting;

/// Ids of a frame: 16 bytes each.
const IDS: [u64; 3] = [1, 16, 1_024];
/// How long a segment gets.
const SEGMENT: u64 = 256 << 20;
/// How long one is that is read back.
const READ: u64 = 64 << 20;

/// Segments one after the other, under one name.
struct Segments {
    path: PathBuf,
    mode: WriteMode,
    log: BenchLog,
    frames: u64,
    bytes: u64,
    syncs: u64,
}

impl Segments {
    fn new(dir: &Path, mode: WriteMode) -> Segments {
        let path = dir.join("bench.log");
        Segments { log: create(&path, mode), path, mode, frames: 0, bytes: 0, syncs: 0 }
    }

    /// Appends so many frames from each caller; the time of the longest.
    fn append(&mut self, frames: u64, ids: u64, synced: bool, callers: u64) -> Duration {
        let mut spent = Duration::ZERO;
        let mut left = frames;
        while left > 0 {
            let room = SEGMENT.saturating_sub(self.log.bytes()) / (frame_bytes(ids) * callers);
            if room == 0 {
                self.count();
                self.log = create(&self.path, self.mode);
                continue;
            }
            let turn = left.min(room);
            left -= turn;
            spent += append(&self.log, turn, ids, synced, callers);
        }
        self.frames += frames * callers;
        spent
    }

    /// Adds what the log has counted.
    fn count(&mut self) {
        self.bytes += self.log.bytes();
        self.syncs += self.log.syncs();
    }

    fn report(mut self, name: &str) {
        self.count();
        let each = |of: u64| of as f64 / self.frames.max(1) as f64;
        println!(
            "{name}: {} frames; a frame: {:.1} bytes written, {:.3} syncs\n",
            self.frames,
            each(self.bytes),
            each(self.syncs),
        );
    }
}

/// Bytes of a frame of so many ids, with its header.
fn frame_bytes(ids: u64) -> u64 {
    40 + ids * 16
}

fn create(path: &Path, mode: WriteMode) -> BenchLog {
    let _ = std::fs::remove_file(path);
    BenchLog::create(path, mode).expect("a log")
}

fn frame(ids: u64) -> BenchFrame {
    let mut random = Random(ids);
    let ids: Vec<Fingerprint> = (0..ids).map(|_| random.fingerprint()).collect();
    BenchFrame::of(&ids)
}

/// Appends so many frames from each caller; the time of the longest.
fn append(log: &BenchLog, frames: u64, ids: u64, synced: bool, callers: u64) -> Duration {
    let (before, syncs) = (log.bytes(), log.syncs());
    let append = || {
        let frame = frame(ids);
        let start = Instant::now();
        for _ in 0..frames {
            log.append(&frame, synced).expect("the log takes it");
        }
        start.elapsed()
    };
    let spent = if callers == 1 {
        append()
    } else {
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..callers).map(|_| scope.spawn(append)).collect();
            let times = callers.into_iter().map(|caller| caller.join().expect("a caller ends"));
            times.max().expect("there are callers")
        })
    };
    assert_eq!(log.bytes(), before + frames * callers * frame_bytes(ids), "all is in the segment");
    assert!(!synced || log.syncs() > syncs, "it was synced");
    spent
}

fn appending(c: &mut Criterion) {
    let dir = setting::folder();
    let mut group = setting::group(c, "log");
    let (positioned, mapped) = (WriteMode::Positioned, WriteMode::Mapped);
    for (mode, ids, synced, callers) in [
        (positioned, IDS[0], false, 1),
        (mapped, IDS[0], false, 1),
        (positioned, IDS[1], false, 1),
        (mapped, IDS[1], false, 1),
        (positioned, IDS[2], false, 1),
        (mapped, IDS[2], false, 1),
        (positioned, IDS[2], true, 1),
        (mapped, IDS[2], true, 1),
        (positioned, IDS[2], true, 8),
    ] {
        let mut name = format!("append {} bytes", ids * 16);
        if mode == mapped {
            name += ", mapped";
        }
        if synced {
            name += ", synced";
        }
        if callers > 1 {
            name += &format!(", {callers} callers");
        }
        let mut segments = None;
        group.throughput(Throughput::ElementsAndBytes {
            elements: callers,
            bytes: callers * ids * 16,
        });
        group.bench_function(&name, |b| {
            let segments = segments.get_or_insert_with(|| Segments::new(dir.path(), mode));
            b.iter_custom(|frames| segments.append(frames, ids, synced, callers));
        });
        if let Some(segments) = segments {
            segments.report(&name);
        }
    }
    group.finish();
}

fn replaying(c: &mut Criterion) {
    let dir = setting::folder();
    let mut group = setting::group(c, "log");
    let long = if setting::quick() { 1 << 20 } else { READ };
    for ids in IDS {
        let path = dir.path().join(format!("read-{ids}.log"));
        let name = format!("replay, frames of {} bytes", ids * 16);
        let frames = long / frame_bytes(ids);
        let mut written = false;
        let bytes = frames * frame_bytes(ids);
        group.throughput(Throughput::ElementsAndBytes { elements: frames, bytes });
        group.bench_function(&name, |b| {
            if !written {
                let log = create(&path, WriteMode::Positioned);
                append(&log, frames, ids, false, 1);
                log.close().expect("a log closes");
                written = true;
            }
            b.iter(|| assert_eq!(replay(&path).expect("sound"), (frames, frames * ids)));
        });
    }
    group.finish();
}

criterion_group!(benches, appending, replaying);
criterion_main!(benches);
