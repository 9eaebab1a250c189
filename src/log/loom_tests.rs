//! Models of group commit: callers that stage, lead and wait for each other, and a medium that fails.

use std::path::Path;

use loom::thread;

use super::{Log, Need, Segment, WriteMode, replay};
use crate::format::frame::{FrameBuffer, FrameKind};
use crate::format::segment::{Previous, SegmentHeader};
use crate::key::Fingerprint;
use crate::sync::Arc;
use crate::sys::Storage;
use crate::testing::MemoryDisk;
use crate::time::{Ticks, Timestamp};

const DIR: &str = "store";
const CALLERS: u64 = 2;

/// A log with one active segment whose header is written.
struct World {
    disk: MemoryDisk,
    log: Log,
    segment: Arc<Segment>,
}

impl World {
    fn new(need: Need) -> World {
        let (disk, dir) = (MemoryDisk::new(), Path::new(DIR));
        disk.create_dir(dir).unwrap();
        let segment = segment(&disk, 1);
        let log = Log::new(need == Need::Synced);
        let header = log.activate(&segment, Previous::default());
        log.wait(header, need).unwrap();
        World { disk, log, segment }
    }

    /// Makes another segment the active one, and gives the one before.
    fn rotate(&mut self) -> Arc<Segment> {
        let next = segment(&self.disk, self.segment.number() + 1);
        self.log.activate(&next, self.segment.as_previous());
        std::mem::replace(&mut self.segment, next)
    }

    /// What a call does: whether `id` was acknowledged.
    fn call(&self, id: u64, need: Need) -> bool {
        let mut frame = FrameBuffer::default();
        frame.start();
        frame.push(Fingerprint::from_u128(id.into()));
        frame.seal(FrameKind::Ids, Timestamp::MIN, 0, &[]);
        assert!(self.segment.reserve(frame.len() as u64));
        let lsn = self.log.stage(&self.segment, &mut frame);
        self.log.wait(lsn, need).is_ok()
    }
}

fn segment(disk: &MemoryDisk, number: u64) -> Arc<Segment> {
    let path = Path::new(DIR).join(number.to_string());
    let file = disk.create(&path).unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    let header = SegmentHeader {
        store: [7; 16],
        number,
        generation: 1,
        ticks: Ticks { base: Timestamp::MIN, micros: 1 },
        previous: Previous::default(),
    };
    Arc::new(Segment::new(file, path, header, WriteMode::Positioned).unwrap())
}

/// The ids that are found in the segment on `disk`.
fn found(disk: &MemoryDisk, segment: &Segment) -> Vec<u64> {
    let file = disk.open(&segment.path).unwrap();
    let mut ids = Vec::new();
    let salt = segment.header(Previous::default()).salt();
    replay(&*file, &segment.path, salt, &mut |_, frame, payload| {
        ids.extend(frame.records(payload).unwrap().map(|(id, _)| id.as_u128() as u64));
        Ok(())
    })
    .unwrap();
    ids
}

/// Runs two calls at once. `fails` is the operation, of those to come, that the disk refuses.
/// Returns who was acknowledged.
fn race(need: Need, fails: Option<u64>) -> (Arc<World>, Vec<bool>) {
    let world = Arc::new(World::new(need));
    if let Some(number) = fails {
        world.disk.fail_at(world.disk.ops() + number, std::io::ErrorKind::Other);
    }
    let others: Vec<_> = (1..CALLERS)
        .map(|id| {
            let world = Arc::clone(&world);
            thread::spawn(move || acknowledged_and_kept(&world, id, need))
        })
        .collect();
    let mut told = vec![acknowledged_and_kept(&world, 0, need)];
    told.extend(others.into_iter().map(|other| other.join().unwrap()));
    (world, told)
}

/// Whoever is acknowledged finds its id on what is left of the disk at that moment.
fn acknowledged_and_kept(world: &World, id: u64, need: Need) -> bool {
    let acknowledged = world.call(id, need);
    if acknowledged {
        let left = match need {
            Need::Written => world.disk.kill(),
            Need::Synced => world.disk.crash(),
        };
        assert!(found(&left, &world.segment).contains(&id));
    }
    acknowledged
}

#[test]
fn an_acknowledged_call_is_written() {
    loom::model(|| {
        let (_, told) = race(Need::Written, None);
        assert_eq!(told, [true; CALLERS as usize]);
    });
}

#[test]
fn an_acknowledged_call_is_synced_and_syncs_are_shared() {
    loom::model(|| {
        let (world, told) = race(Need::Synced, None);
        assert_eq!(told, [true; CALLERS as usize]);
        assert!(world.log.stats().syncs <= 1 + CALLERS);
    });
}

/// The medium refuses once and would obey again: whoever comes behind must not be acknowledged.
#[test]
fn nobody_is_acknowledged_after_a_failed_write() {
    loom::model(|| {
        let (world, told) = race(Need::Written, Some(0));
        assert_eq!(told, [false; CALLERS as usize]);
        assert_eq!(found(&world.disk.kill(), &world.segment), []);
    });
}

/// As above for the sync, the second operation; what was written for it is taken back.
#[test]
fn nobody_is_acknowledged_after_a_failed_sync() {
    loom::model(|| {
        let (world, told) = race(Need::Synced, Some(1));
        assert_eq!(told, [false; CALLERS as usize]);
        assert_eq!(found(&world.disk.kill(), &world.segment), []);
    });
}

/// Whether a leader is out just then or not, who may be syncing it; and he loses nothing by it.
#[test]
fn a_segment_that_was_replaced_is_held_by_nobody() {
    for need in [Need::Written, Need::Synced] {
        loom::model(move || {
            let mut world = World::new(Need::Written);
            let replaced = world.rotate();
            let world = Arc::new(world);
            let other = Arc::clone(&world);
            let caller = thread::spawn(move || acknowledged_and_kept(&other, 1, need));
            world.log.let_go_before(world.segment.number());
            assert!(caller.join().unwrap());
            assert_eq!(Arc::strong_count(&replaced), 1);
        });
    }
}
