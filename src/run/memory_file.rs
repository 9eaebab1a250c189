//! A file in memory, for the tests of this folder. It writes short now and then, as files may.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::sys::{File, Region};

/// Room is given no further than this, however much is asked for.
const ALLOCATED_MAX: u64 = 64 << 20;

/// Clones share their bytes, and what they were told.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryFile(pub(super) Arc<Mutex<Vec<u8>>>, Arc<Mutex<Vec<Range<u64>>>>);

impl MemoryFile {
    pub(super) fn holding(bytes: Vec<u8>) -> MemoryFile {
        MemoryFile(Arc::new(Mutex::new(bytes)), Arc::default())
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    /// The bytes that will be read, as it was told since the last time.
    pub(super) fn take_told(&self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.1.lock().unwrap())
    }
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.0.lock().unwrap();
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let mut bytes = self.0.lock().unwrap();
        let count = buf.len().min(100_000);
        let end = offset as usize + count;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(&buf[..count]);
        Ok(count)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        let end = offset.saturating_add(len).min(ALLOCATED_MAX) as usize;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        Ok(())
    }

    fn will_read(&self, offset: u64, len: u64) {
        self.1.lock().unwrap().push(offset..offset + len);
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, len: usize) -> io::Result<Region> {
        Ok(Region::from(self.0.lock().unwrap()[..len].to_vec()))
    }
}
