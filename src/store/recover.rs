//! Replaying the log: from the segments that no run has replaced to tables.
//!
//! What is kept is a prefix of what was let in, in the order it was let in: where frames are missing
//! in the middle, later ones are not taken either. Frames that were synced are never missing after a
//! crash: where a later frame tells that a place was durable and it does not verify, that is damage
//! and an error. The last frames of the log have no later one; there damage looks like a torn tail.

use std::path::Path;

use super::catalog::Catalog;
use super::chain::Chain;
use super::layout::read_segment_header;
use super::open::Recovery;
use super::transaction::keep_values;
use crate::backend::Vault;
use crate::error::{Error, Result};
use crate::format::StoreId;
use crate::format::frame::{FrameHeader, FrameKind};
use crate::format::manifest::Manifest;
use crate::format::segment::{Previous, SegmentHeader};
use crate::index::{AHEAD, Table};
use crate::key::{Fingerprint, Record};
use crate::log::{Content, records_of, replay};
use crate::planted::{Bug, planted};
use crate::state::State;
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
    /// Bytes of the segment before that, which are durable; 0 if none was replayed.
    last_len: u64,
    /// Segments that do not follow on what was kept, ascending.
    pub(crate) dropped: Vec<u64>,
    /// Ids found in frames.
    ids: u64,
}

impl Replayed {
    /// What the next segment says of the last one that was replayed.
    pub(crate) fn end(&self) -> Previous {
        Previous { len: self.last_len, durable: self.last_len }
    }

    /// Notes in a manifest how far the log is durable by now, for the next time that it is written.
    pub(crate) fn note_end(&self, manifest: &mut Manifest) {
        if self.last_len > 0 && self.dropped.is_empty() {
            (manifest.last_segment, manifest.last_len) = (self.next_segment - 1, self.last_len);
        }
    }
}

/// What the log is replayed over.
#[derive(Debug)]
pub(crate) struct Base<'a> {
    pub(crate) forgotten: &'a Forgotten,
    pub(crate) state: &'a mut State,
    /// How many ids a table takes.
    pub(crate) table_limit: usize,
    pub(crate) bucket_bits: u32,
}

/// Replays all segments that the manifest's runs have not replaced.
pub(crate) fn replay_log(
    vault: &dyn Vault,
    store: &StoreId,
    manifest: &Manifest,
    base: &mut Base<'_>,
    recovery: &mut Recovery,
) -> Result<Replayed> {
    let mut replayed = Replayed {
        tables: Vec::new(),
        high_water: Timestamp::MIN,
        next_generation: 0,
        next_segment: manifest.first_segment,
        last_len: 0,
        dropped: Vec::new(),
        ids: 0,
    };
    let numbers = segments_to_replay(vault, manifest)?;
    let mut chain = Chain::new(store, Some(manifest));
    for (position, &number) in numbers.iter().enumerate() {
        let (path, file) = (vault.segment_path(number), vault.open_segment(number)?);
        let header = read_segment_header(&*file, &path, store, number)?;
        let Some(header) = chain.follow(&*file, &path, number, header)? else {
            let behind = numbers[position + 1..].iter();
            let behind = behind.map(|&n| Ok((n, vault.segment_path(n), vault.open_segment(n)?)));
            chain.check_all_dropped(&*file, &path, number, header, behind)?;
            replayed.dropped = numbers[position..].to_vec();
            break;
        };
        let len = file.len().map_err(|e| Error::io("read", &path, e))?;
        let mut fill = Fill { base, header, path: &path, len };
        let tail = replay(&*file, &path, header.salt(), &mut |offset, frame, payload| {
            fill.frame(offset, frame, payload, &mut replayed)
        })?;
        chain.check_end(&path, number, tail)?;
        // What the last process wrote and did not live to sync is what verdicts of this one rest on.
        if !planted(Bug::ReplayUnsynced) {
            let secured = vault.secure_segment(&*file, chain.durable_of(number, tail), tail.end);
            secured.map_err(|e| Error::io("sync", &path, e))?;
        }
        recovery.segments += 1;
        recovery.torn_bytes += tail.torn;
        replayed.next_generation = replayed.next_generation.max(header.generation + 1);
        replayed.next_segment = number + 1;
        replayed.last_len = tail.end;
        chain.push(number, Some(tail));
    }
    recovery.ids = replayed.ids;
    Ok(replayed)
}

/// The numbers of the segments to replay, ascending, with none missing.
fn segments_to_replay(vault: &dyn Vault, manifest: &Manifest) -> Result<Vec<u64>> {
    let numbers = vault.segments(manifest.first_segment)?;
    let last = numbers.last().copied().unwrap_or(0).max(manifest.last_segment);
    let missing = (manifest.first_segment..=last)
        .zip(numbers.iter().map(Some).chain(std::iter::repeat(None)));
    for (expected, found) in missing {
        if found != Some(&expected) {
            return Err(Error::WindowIncomplete { missing: vault.segment_path(expected) });
        }
    }
    Ok(numbers)
}

/// Removes the segments that were dropped, the last first. A manifest may list them: it is replaced
/// before, so that an opening that dies in between is not followed by one that misses them.
pub(crate) fn remove_dropped(
    vault: &dyn Vault,
    replayed: &Replayed,
    catalog: &mut Catalog,
    recovery: &mut Recovery,
) -> Result<()> {
    let last_segment = replayed.next_segment.saturating_sub(1);
    if !replayed.dropped.is_empty() && catalog.manifest.last_segment > last_segment {
        catalog.install(|manifest| {
            (manifest.last_segment, manifest.last_len) = (last_segment, 0);
        })?;
    }
    for &number in replayed.dropped.iter().rev() {
        vault.remove_segment(number)?;
        vault.sync_names()?;
        recovery.removed_files += 1;
    }
    Ok(())
}

/// Fills tables with the frames of one segment.
struct Fill<'a, 'b> {
    base: &'a mut Base<'b>,
    header: SegmentHeader,
    path: &'a Path,
    /// Length of the file.
    len: u64,
}

impl Fill<'_, '_> {
    fn frame(
        &mut self,
        offset: u64,
        frame: &FrameHeader,
        payload: &[u8],
        replayed: &mut Replayed,
    ) -> Result<()> {
        replayed.high_water = replayed.high_water.max(frame.time);
        let records = records_of(self.path, offset, frame, payload)?;
        let ahead = records_of(self.path, offset, frame, payload)?.skip(AHEAD);
        let content = Content::of(self.path, offset, frame, payload)?;
        match &content {
            Content::Forget => {
                for (id, _) in records {
                    self.base.forgotten.insert(id, frame.time);
                    replayed.tables.iter().for_each(|mem| mem.values.remove(id));
                }
            }
            Content::Commit(commit) => {
                let mem = self.let_in(frame, commit.len(), records, ahead, replayed)?;
                if !planted(Bug::OutcomeNotReplayed) {
                    let forgotten = self.base.forgotten.open();
                    keep_values(&mem.values, commit, frame.time, Some(&forgotten));
                }
            }
            Content::Ids => {
                let most = frame.len / Fingerprint::BYTES;
                self.let_in(frame, most, records, ahead, replayed)?;
            }
            Content::Prepare(_) | Content::Abort(_) => {
                self.let_in(frame, 0, records, ahead, replayed)?;
            }
        }
        self.base.state.replay(&content, frame.time);
        Ok(())
    }

    /// Puts what a frame let in, at most `most` ids, into a table; `ahead` are the same records but for the first
    /// few. A frame without ids still ties its segment to one, and lives until that is sealed.
    fn let_in<'r>(
        &self,
        frame: &FrameHeader,
        most: usize,
        records: impl Iterator<Item = Record>,
        mut ahead: impl Iterator<Item = Record>,
        replayed: &'r mut Replayed,
    ) -> Result<&'r MemTable> {
        let forgotten = self.base.forgotten;
        let mut forgotten = (!forgotten.is_empty()).then(|| forgotten.open());
        let (mut ids, mut inserted) = (0, 0);
        let mem = self.table_for(most, replayed)?;
        for (id, tick) in records {
            ids += 1;
            if let Some((id, _)) = ahead.next() {
                mem.table.prefetch(id);
            }
            if let Some(forgotten) = &mut forgotten
                && forgotten.replay_let_in(id, frame.time, self.header.ticks.end_of(tick))
                // A commit puts its ids into the table in any case.
                && frame.kind != Some(FrameKind::Commit)
            {
                continue;
            }
            if mem.table.insert(id, tick) == crate::index::Insert::Inserted {
                inserted += 1;
            }
        }
        mem.release(most - inserted);
        replayed.ids += ids;
        Ok(replayed.tables.last().expect("the one it went into"))
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
            let table = Table::new(self.base.bucket_bits);
            let table = table.map_err(|e| Error::io("allocate a table for", self.path, e))?;
            let SegmentHeader { generation, ticks, .. } = self.header;
            let mem = MemTable::new(table, generation, ticks, self.base.table_limit);
            let reserved = mem.reserve(ids);
            assert!(reserved, "an empty table takes any call");
            replayed.tables.push(mem);
        }
        let mem = replayed.tables.last().expect("there is one now");
        if !mem.segments().contains(&number) {
            mem.add_segment(number);
            mem.add_log_bytes(self.len);
        }
        Ok(mem)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use crate::error::Error;
    use crate::format::names;
    use crate::sys::{Storage, write_all_at};
    use crate::testing::MemoryDisk;
    use crate::{Durability, Store};

    const DIR: &str = "/s";

    fn open(disk: &MemoryDisk, durability: Durability) -> Result<Store, Error> {
        let builder = Store::builder().memory_budget(16 << 20).active_ids(1_000);
        builder.background(false).durability(durability).storage(Arc::new(disk.clone())).open(DIR)
    }

    /// A power cut before anything was synced, with a segment that the manifest lists.
    fn cut_short() -> MemoryDisk {
        let disk = MemoryDisk::new();
        let store = open(&disk, Durability::Buffered).unwrap();
        store.check_and_insert(&["a"]).unwrap();
        store.seal().unwrap();
        store.check_and_insert(&["b"]).unwrap();
        disk.crash()
    }

    #[test]
    fn an_opening_that_dies_can_be_repeated() {
        let disk = cut_short();
        let before = disk.ops();
        drop(open(&disk, Durability::Buffered).unwrap());
        for failing in before..disk.ops() {
            let disk = cut_short();
            disk.fail_from(failing, std::io::ErrorKind::Other);
            let _ = open(&disk, Durability::Buffered);
            let disk = disk.crash();
            let store = open(&disk, Durability::Buffered).unwrap();
            assert!(store.contains(&["a"]).unwrap()[0], "operation {failing}");
        }
    }

    #[test]
    fn a_header_of_zeros_before_durable_frames_is_damage() {
        let disk = MemoryDisk::new();
        let store = open(&disk, Durability::Sync).unwrap();
        for id in ["a", "b", "c"] {
            store.check_and_insert(&[id]).unwrap();
        }
        let disk = disk.crash();
        let path = names::segment(Path::new(DIR), 1);
        write_all_at(&*disk.open_write(&path).unwrap(), &[0; 128], 0).unwrap();
        match open(&disk, Durability::Sync) {
            Err(Error::Corrupt(damage)) => assert_eq!((damage.path, damage.offset), (path, 0)),
            other => panic!("{other:?}"),
        }
    }
}
