//! Replaying the log: from the segments that no run has replaced to tables.
//!
//! What is kept is a prefix of what was let in, in the order it was let in: where frames are missing
//! in the middle, later ones are not taken either. Frames that were acknowledged under `Sync` are
//! never missing; where one of them does not verify, that is damage and an error.

use std::path::Path;

use super::open::Recovery;
use crate::error::{Corruption, Error, Result};
use crate::format::frame::{FrameHeader, FrameKind};
use crate::format::manifest::Manifest;
use crate::format::segment::{BYTES as HEADER, SegmentHeader};
use crate::format::{StoreId, names};
use crate::index::Table;
use crate::log::{Tail, replay};
use crate::sys::{File, Storage};
use crate::time::Timestamp;
use crate::window::{Forgotten, MemTable};

/// What the log held.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// Tables with all ids of the log, oldest first.
    pub(crate) tables: Vec<MemTable>,
    /// The latest store time in it.
    pub(crate) high_water: Timestamp,
    /// A generation number above all in it.
    pub(crate) next_generation: u64,
    /// The number for the next segment.
    pub(crate) next_segment: u64,
    /// Segments that do not follow on what was kept, ascending: to be removed.
    pub(crate) dropped: Vec<u64>,
}

/// Replays all segments that the manifest's runs have not replaced.
#[allow(clippy::too_many_arguments)]
pub(crate) fn replay_log(
    storage: &dyn Storage,
    dir: &Path,
    store: &StoreId,
    manifest: &Manifest,
    forgotten: &Forgotten,
    table_limit: usize,
    bucket_bits: u32,
    recovery: &mut Recovery,
) -> Result<Replayed> {
    let mut replayed = Replayed {
        tables: Vec::new(),
        high_water: Timestamp::MIN,
        next_generation: 0,
        next_segment: manifest.first_segment,
        dropped: Vec::new(),
    };
    let numbers = list_segments(storage, dir, manifest)?;
    let mut previous: Option<(u64, Tail)> = None;
    for (position, &number) in numbers.iter().enumerate() {
        let path = names::segment(dir, number);
        let file = storage.open(&path).map_err(|e| Error::io("open", &path, e))?;
        let header = read_header(&*file, &path, store, number)?;
        let follows = header.filter(|header| match &previous {
            Some((_, tail)) => header.previous_len <= tail.end,
            None => true,
        });
        let Some(header) = follows else {
            if let (Some(header), Some((before, tail))) = (header, previous) {
                check_not_lost(&*file, &path, &header, dir, before, tail)?;
            }
            replayed.dropped = numbers[position..].to_vec();
            break;
        };
        let fill = Fill { forgotten, table_limit, bucket_bits, header, path: &path };
        let tail = replay(&*file, &path, header.salt(), &mut |offset, frame, payload| {
            fill.frame(offset, frame, payload, &mut replayed, recovery)
        })?;
        // Whoever wrote it may have died before it was synced. What a duplicate rests on from here
        // on must be as durable as any log, and so must what a manifest says of it.
        let synced = storage.open_write(&path).and_then(|file| file.sync_data());
        synced.map_err(|e| Error::io("sync", &path, e))?;
        recovery.segments += 1;
        recovery.torn_bytes += tail.torn;
        replayed.next_generation = replayed.next_generation.max(header.generation + 1);
        replayed.next_segment = number + 1;
        previous = Some((number, tail));
    }
    Ok(replayed)
}

/// The numbers of the segments to replay, ascending, with none missing.
fn list_segments(storage: &dyn Storage, dir: &Path, manifest: &Manifest) -> Result<Vec<u64>> {
    let entries = storage.list(dir).map_err(|e| Error::io("read", dir, e))?;
    let mut numbers: Vec<u64> = entries
        .iter()
        .filter_map(|name| match names::parse(name) {
            names::Kind::Segment(number) => Some(number),
            _ => None,
        })
        .filter(|&number| number >= manifest.first_segment)
        .collect();
    numbers.sort_unstable();
    let last = numbers.last().copied().unwrap_or(0).max(manifest.last_segment);
    let missing = (manifest.first_segment..=last)
        .zip(numbers.iter().map(Some).chain(std::iter::repeat(None)));
    for (expected, found) in missing {
        if found != Some(&expected) {
            return Err(Error::WindowIncomplete { missing: names::segment(dir, expected) });
        }
    }
    Ok(numbers)
}

fn read_header(
    file: &dyn File,
    path: &Path,
    store: &StoreId,
    number: u64,
) -> Result<Option<SegmentHeader>> {
    let mut bytes = [0; HEADER];
    let mut filled = 0;
    while filled < HEADER {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("read", path, e)),
        }
    }
    SegmentHeader::decode(&bytes[..filled], store, number, path)
}

/// The segment before ends too early. That is damage if this one says that anything was synced, for
/// segments are synced in order.
fn check_not_lost(
    file: &dyn File,
    path: &Path,
    header: &SegmentHeader,
    dir: &Path,
    before: u64,
    tail: Tail,
) -> Result<()> {
    let synced = replay(file, path, header.salt(), &mut |_, _, _| Ok(()))?.synced;
    if synced == 0 {
        return Ok(());
    }
    Err(Error::from(Corruption {
        path: names::segment(dir, before),
        offset: tail.end,
        what: "log frame",
        expected: format!("durable frames up to byte {}", header.previous_len),
        found: "bytes that do not verify".into(),
    }))
}

/// Removes segments that do not follow on what was kept, the last first. The manifest must not count
/// on them any more.
pub(crate) fn remove_dropped(
    storage: &dyn Storage,
    dir: &Path,
    replayed: &Replayed,
    recovery: &mut Recovery,
) -> Result<()> {
    for &number in replayed.dropped.iter().rev() {
        let path = names::segment(dir, number);
        storage.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
        storage.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        recovery.removed_files += 1;
    }
    Ok(())
}

/// Fills tables with the frames of one segment.
struct Fill<'a> {
    forgotten: &'a Forgotten,
    table_limit: usize,
    bucket_bits: u32,
    header: SegmentHeader,
    path: &'a Path,
}

impl Fill<'_> {
    fn frame(
        &self,
        offset: u64,
        frame: &FrameHeader,
        payload: &[u8],
        replayed: &mut Replayed,
        recovery: &mut Recovery,
    ) -> Result<()> {
        replayed.high_water = replayed.high_water.max(frame.time);
        let records = frame.records(payload).ok_or_else(|| Corruption {
            path: self.path.to_path_buf(),
            offset,
            what: "log frame",
            expected: "a payload of whole records".into(),
            found: format!("{} bytes", frame.len),
        })?;
        if frame.kind == Some(FrameKind::Forget) {
            records.for_each(|(id, _)| self.forgotten.insert(id, frame.time));
            return Ok(());
        }
        let most = frame.len / crate::key::Fingerprint::BYTES;
        let mem = self.table_for(most, replayed)?;
        let mut forgotten = (!self.forgotten.is_empty()).then(|| self.forgotten.open());
        let mut inserted = 0;
        for (id, tick) in records {
            recovery.ids += 1;
            if let Some(forgotten) = &mut forgotten
                // No later than it was, by a tick at the most: others of the frame may be younger.
                && forgotten.let_in(id, frame.time.min(self.header.ticks.end_of(tick)))
            {
                continue;
            }
            if mem.table.insert(id, tick) == crate::index::Insert::Inserted {
                inserted += 1;
            }
        }
        mem.release(most - inserted);
        Ok(())
    }

    /// The table for `ids` more ids of this segment: the last one, or a fresh one.
    fn table_for<'r>(&self, ids: usize, replayed: &'r mut Replayed) -> Result<&'r MemTable> {
        let number = self.header.number;
        let fits = replayed.tables.last().is_some_and(|mem| {
            mem.generation == self.header.generation
                && mem.ticks == self.header.ticks
                && mem.reserve(ids)
        });
        if !fits {
            let table = Table::new(self.bucket_bits);
            let table = table.map_err(|e| Error::io("allocate a table for", self.path, e))?;
            let SegmentHeader { generation, ticks, .. } = self.header;
            let mem = MemTable::new(table, generation, ticks, self.table_limit);
            let reserved = mem.reserve(ids);
            assert!(reserved, "an empty table takes any call");
            replayed.tables.push(mem);
        }
        let mem = replayed.tables.last().expect("there is one now");
        if !mem.segments().contains(&number) {
            mem.add_segment(number);
        }
        Ok(mem)
    }
}
