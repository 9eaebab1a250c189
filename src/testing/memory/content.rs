//! A file of the memory disk: what was written, what is durable, and which sectors differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::plan::Chance;

/// Bytes that reach the medium together or not at all.
const SECTOR: u64 = 512;

/// Bytes of a file, sparse: an absent sector is zeros. Cheap to clone, since sectors are shared.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    len: u64,
    /// No sector starts at or behind `len`, and bytes behind `len` in the last one are zero.
    sectors: BTreeMap<u64, Arc<[u8; SECTOR as usize]>>,
}

impl Content {
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let count = self.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        for (sector, within, part) in pieces(offset, count) {
            match self.sectors.get(&sector) {
                Some(bytes) => buf[part].copy_from_slice(&bytes[within]),
                None => buf[part].fill(0),
            }
        }
        count
    }

    /// Cuts or extends.
    fn resize(&mut self, len: u64) {
        self.sectors.split_off(&len.div_ceil(SECTOR));
        if len < self.len
            && let Some(last) = self.sectors.get_mut(&(len / SECTOR))
        {
            Arc::make_mut(last)[(len % SECTOR) as usize..].fill(0);
        }
        self.len = len;
    }

    /// Takes over one sector of `other`, and nothing of its length.
    fn take_sector(&mut self, sector: u64, other: &Content) {
        match other.sectors.get(&sector) {
            Some(bytes) => self.sectors.insert(sector, bytes.clone()),
            None => self.sectors.remove(&sector),
        };
    }
}

/// A file, under however many names.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    /// What readers see: the page cache.
    now: Content,
    /// What the medium holds.
    durable: Content,
    /// Sectors written since they last became durable.
    dirty: BTreeSet<u64>,
    /// Sectors that were dirty when a sync failed. The system takes them for clean: no later sync
    /// writes them, though they may have reached the medium.
    lost: BTreeSet<u64>,
    /// Open handles.
    pub(super) handles: usize,
    /// Whether it was ever mapped; it must not change any more.
    pub(super) mapped: bool,
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        self.now.len
    }

    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        self.now.read(buf, offset)
    }

    pub(super) fn write(&mut self, buf: &[u8], offset: u64) {
        self.assert_unmapped();
        for (sector, within, part) in pieces(offset, buf.len()) {
            let bytes =
                self.now.sectors.entry(sector).or_insert_with(|| Arc::new([0; SECTOR as usize]));
            Arc::make_mut(bytes)[within].copy_from_slice(&buf[part]);
            self.touch(sector);
        }
        self.now.len = self.now.len.max(offset + buf.len() as u64);
    }

    pub(super) fn resize(&mut self, len: u64) {
        self.assert_unmapped();
        let cut: Vec<u64> = self.now.sectors.range(len / SECTOR..).map(|(&s, _)| s).collect();
        if len < self.now.len {
            cut.into_iter().for_each(|sector| self.touch(sector));
        }
        self.now.resize(len);
    }

    /// What a sync that succeeds does.
    pub(super) fn sync(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            self.durable.take_sector(sector, &self.now);
        }
        self.durable.resize(self.now.len);
    }

    /// What a sync that fails does.
    pub(super) fn fail_sync(&mut self) {
        self.lost.append(&mut self.dirty);
    }

    /// The file after the death of the process.
    pub(super) fn after_kill(&self) -> Inode {
        Inode { handles: 0, mapped: false, ..self.clone() }
    }

    /// The file after a power cut; with a `chance`, some of what was not durable survives.
    pub(super) fn after_crash(&self, chance: Option<&mut Chance>) -> Inode {
        let mut left = self.durable.clone();
        if let Some(chance) = chance {
            let (low, high) = (left.len.min(self.now.len), left.len.max(self.now.len));
            let len = match chance.below(4) {
                0 => left.len,
                1 => self.now.len,
                _ => low + chance.below(high - low + 1),
            };
            for &sector in self.dirty.union(&self.lost) {
                if chance.below(2) == 0 {
                    left.take_sector(sector, &self.now);
                }
            }
            // The length is noted first so that a sector behind it, or a part of one, is cut.
            left.len = left.len.max(self.now.len);
            left.resize(len);
        }
        Inode { now: left.clone(), durable: left, ..Inode::default() }
    }

    fn touch(&mut self, sector: u64) {
        self.dirty.insert(sector);
        self.lost.remove(&sector);
    }

    fn assert_unmapped(&self) {
        assert!(!self.mapped, "a file that was mapped is written to or cut");
    }
}

/// The sectors under `count` bytes from `offset`: number, bytes inside it, bytes of the buffer.
fn pieces(
    offset: u64,
    count: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % SECTOR) as usize;
        let size = (SECTOR as usize - within).min(count - done);
        done += size;
        (size > 0).then(|| (at / SECTOR, within..within + size, done - size..done))
    })
}
