//! A log segment as a row of pieces, by their offsets.
//!
//! What is handed over at once goes into sled as one batch: all of it is there after a crash, or nothing.
//! The log above appends, reads back in order, and cuts the end off; nothing else is supported.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use sled::{Batch, IVec};

use super::database::Database;
use super::keys;
use super::piece::{self, SUM};
use crate::format::checksum::Salt;
use crate::format::run::Flaw;
use crate::sys::{File, Region, Storage};

/// What is left on the disk for sled's own garbage, beside the room that was asked for.
const SLACK: u64 = 8 << 20;
/// Bytes that a piece of the log has before its checksum.
const CONTENT: usize = piece::MAX - SUM;
/// What messages call a piece.
const PIECE: &str = "piece of the log";
/// Pieces that are removed at once.
const REMOVED: usize = 256;

/// One segment.
#[derive(Debug)]
pub(super) struct SledSegment {
    pub(super) database: Arc<Database>,
    pub(super) storage: Arc<dyn Storage>,
    /// The store's folder, to ask for room.
    pub(super) dir: PathBuf,
    pub(super) salt: Salt,
    pub(super) number: u64,
}

impl SledSegment {
    /// The last piece that begins at or before `offset`: where, and its content.
    fn piece_at(&self, offset: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
        let (first, last) = (keys::log(self.number, 0), keys::log(self.number, offset));
        let found = self
            .database
            .ask_io(|| self.database.log().range(first..=last).next_back().transpose())?;
        found.map(|(key, value)| self.content(&key, &value)).transpose()
    }

    fn content(&self, key: &IVec, value: &IVec) -> io::Result<(u64, Vec<u8>)> {
        let (_, offset) = keys::parse_log(key).ok_or_else(|| {
            self.damaged(Flaw::new(0, PIECE, "a key of 16 bytes", piece::hex(key)))
        })?;
        let content =
            piece::open(self.salt, key, value, PIECE).map_err(|flaw| self.damaged(flaw))?;
        Ok((offset, content.to_vec()))
    }

    fn damaged(&self, flaw: Flaw) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, flaw.of(self.database.path()))
    }

    fn put(&self, batch: &mut Batch, offset: u64, content: &[u8]) {
        let key = keys::log(self.number, offset);
        let mut value = Vec::with_capacity(content.len() + SUM);
        value.extend_from_slice(content);
        piece::seal(self.salt, &key, &mut value);
        batch.insert(&key, value);
    }

    fn apply(&self, batch: Batch) -> io::Result<()> {
        self.database.ask_io(|| self.database.log().apply_batch(batch))
    }

    /// Makes the segment anew, with an empty piece by which it is known to be there.
    pub(super) fn create(&self) -> io::Result<()> {
        self.remove_from(0)?;
        let mut batch = Batch::default();
        self.put(&mut batch, 0, &[]);
        self.apply(batch)?;
        self.database.flush()?;
        self.database.sync_data()
    }

    /// The last keys of those from `offset` on.
    fn last_keys(&self, offset: u64) -> io::Result<Vec<IVec>> {
        let (first, last) = (keys::log(self.number, offset), *keys::segment(self.number).end());
        self.database.ask_io(|| {
            let keys = self.database.log().range(first..=last).keys();
            keys.rev().take(REMOVED).collect()
        })
    }

    /// Removes all pieces from `offset` on, the last ones first: what is left at any moment is a front.
    pub(super) fn remove_from(&self, offset: u64) -> io::Result<()> {
        loop {
            let keys = self.last_keys(offset)?;
            if keys.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::default();
            keys.into_iter().for_each(|key| batch.remove(key));
            self.apply(batch)?;
        }
    }
}

impl File for SledSegment {
    fn len(&self) -> io::Result<u64> {
        let last = self.piece_at(u64::MAX)?;
        Ok(last.map_or(0, |(offset, content)| offset + content.len() as u64))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some((start, content)) = self.piece_at(offset)? else {
            return Ok(0);
        };
        let from = usize::try_from(offset - start).unwrap_or(usize::MAX).min(content.len());
        if from == content.len() && !self.last_keys(offset.saturating_add(1))?.is_empty() {
            let flaw = Flaw::new(offset, PIECE, "a piece that begins here", "a later one");
            return Err(self.damaged(flaw));
        }
        let len = buf.len().min(content.len() - from);
        buf[..len].copy_from_slice(&content[from..from + len]);
        Ok(len)
    }

    /// Takes all of it in one batch, at the end of the segment.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let mut batch = Batch::default();
        for (i, content) in buf.chunks(CONTENT).enumerate() {
            self.put(&mut batch, offset + (i * CONTENT) as u64, content);
        }
        self.apply(batch)?;
        self.database.flush()?;
        Ok(buf.len())
    }

    /// Sled has no way to set room aside. That there is none is noticed here, mostly, and else by a
    /// write that fails.
    fn allocate(&self, _offset: u64, len: u64) -> io::Result<()> {
        ask_for_room(&*self.storage, &self.dir, len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        match len.checked_sub(1).map(|last| self.piece_at(last)).transpose()?.flatten() {
            Some((start, content)) if start + content.len() as u64 > len => {
                self.remove_from(start + 1)?;
                let mut batch = Batch::default();
                self.put(&mut batch, start, &content[..(len - start) as usize]);
                self.apply(batch)?;
            }
            _ => self.remove_from(len)?,
        }
        self.database.flush()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.database.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.database.sync_data()
    }

    fn map(&self, _len: usize) -> io::Result<Region> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// Refuses where less is free on the disk than `len` bytes and what sled needs beside.
pub(super) fn ask_for_room(
    storage: &dyn Storage,
    dir: &std::path::Path,
    len: u64,
) -> io::Result<()> {
    match storage.free_bytes(dir)? {
        Some(free) if free < len.saturating_mul(2).saturating_add(SLACK) => {
            Err(io::Error::new(ErrorKind::StorageFull, format!("{free} bytes are free")))
        }
        _ => Ok(()),
    }
}
