//! A file in memory, for the tests of this folder. It writes short now and then, as files may.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::sys::{File, Region};

/// Room is given no further than this, however much is asked for.
const ALLOCATED_MAX: u64 = 64 << 20;

/// Clones share their bytes, and what they were told.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryFile {
    bytes: Arc<Mutex<Vec<u8>>>,
    will_be_read: Told,
    /// It is not written to again.
    written_out: Told,
    medium_fails: bool,
}

type Told = Arc<Mutex<Vec<Range<u64>>>>;

impl MemoryFile {
    pub(super) fn holding(bytes: Vec<u8>) -> MemoryFile {
        MemoryFile { bytes: Arc::new(Mutex::new(bytes)), ..MemoryFile::default() }
    }

    /// One whose medium takes nothing.
    pub(super) fn failing() -> MemoryFile {
        MemoryFile { medium_fails: true, ..MemoryFile::default() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    /// The bytes that will be read, as it was told since the last time.
    pub(super) fn take_told(&self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.will_be_read.lock().unwrap())
    }

    /// The bytes that are to be written out, as it was told.
    pub(super) fn written_out(&self) -> Vec<Range<u64>> {
        self.written_out.lock().unwrap().clone()
    }
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.bytes.lock().unwrap();
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap();
        let count = buf.len().min(100_000);
        let end = offset as usize + count;
        let out = self.written_out();
        assert!(out.iter().all(|out| out.end <= offset || end as u64 <= out.start), "it is out");
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(&buf[..count]);
        Ok(count)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut bytes = self.bytes.lock().unwrap();
        let end = offset.saturating_add(len).min(ALLOCATED_MAX) as usize;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        Ok(())
    }

    fn will_read(&self, offset: u64, len: u64) {
        self.will_be_read.lock().unwrap().push(offset..offset + len);
    }

    fn write_out(&self, offset: u64, len: u64) -> io::Result<()> {
        self.written_out.lock().unwrap().push(offset..offset + len);
        if self.medium_fails { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, len: usize) -> io::Result<Region> {
        Ok(Region::from(self.bytes.lock().unwrap()[..len].to_vec()))
    }
}
