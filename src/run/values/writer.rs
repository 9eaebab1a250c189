//! Writes a values file: ascending entries in, one file out, in one pass.
//!
//! Memory: 256 KiB or one long entry, and the directory, 24 bytes a block.

use std::path::{Path, PathBuf};

use super::BATCH;
use crate::error::{Error, Result};
use crate::format::StoreId;
use crate::format::checksum::Salt;
use crate::format::value::file::{Footer, Start, directory, header, salt};
use crate::format::value::{BLOCK, SUM, Value, seal};
use crate::key::Fingerprint;
use crate::sys::{File, write_all_at};

/// A values file being written.
#[derive(Debug)]
pub(crate) struct ValuesWriter {
    file: Box<dyn File>,
    path: PathBuf,
    salt: Salt,
    /// What is not yet written: whole blocks, and from `block` on the one under way.
    buffer: Vec<u8>,
    block: usize,
    /// Where the buffer will stand in the file.
    offset: u64,
    starts: Vec<Start>,
    entries: u64,
    last: Fingerprint,
}

impl ValuesWriter {
    /// Begins values file `number` of `store` in a new, empty file.
    pub(crate) fn new(
        file: Box<dyn File>,
        path: &Path,
        store: &StoreId,
        number: u64,
    ) -> Result<ValuesWriter> {
        let mut writer = ValuesWriter {
            file,
            path: path.to_path_buf(),
            salt: salt(store, number),
            buffer: header(store, number),
            block: 0,
            offset: 0,
            starts: Vec::new(),
            entries: 0,
            last: Fingerprint::default(),
        };
        writer.flush()?;
        Ok(writer)
    }

    /// Adds an entry. After an error the file cannot be finished; remove it.
    ///
    /// # Panics
    ///
    /// If `id` is not above the one before it, or the outcome is longer than
    /// [`OUTCOME_MAX`](crate::format::value::OUTCOME_MAX).
    pub(crate) fn push(&mut self, id: Fingerprint, value: &Value) -> Result<()> {
        assert!(self.entries == 0 || id > self.last, "values ascend");
        let held = self.buffer.len() - self.block;
        if held > 0 && held + value.entry_len() + SUM > BLOCK {
            self.close_block()?;
        }
        if self.buffer.len() == self.block {
            self.starts.push(Start { first: id, offset: self.end() });
        }
        value.encode(id, &mut self.buffer);
        (self.entries, self.last) = (self.entries + 1, id);
        Ok(())
    }

    /// Writes what is left and makes the file durable; returns its length. The caller syncs its
    /// folder.
    ///
    /// # Errors
    ///
    /// After an error nothing is promised of the file: remove it.
    pub(crate) fn finish(mut self) -> Result<u64> {
        if self.buffer.len() > self.block {
            self.close_block()?;
        }
        let (blocks, end) = (self.starts.len() as u64, self.end());
        let footer = Footer { entries: self.entries, blocks, directory: end };
        self.buffer.extend(directory(&self.starts, self.salt, end));
        self.buffer.extend(footer.encode(self.salt, self.end()));
        self.flush()?;
        self.file.sync_all().map_err(|e| Error::io("sync", &self.path, e))?;
        Ok(self.offset)
    }

    /// Where the next byte will stand in the file.
    fn end(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    fn close_block(&mut self) -> Result<()> {
        let offset = self.offset + self.block as u64;
        seal(&mut self.buffer, self.block, self.salt, offset);
        self.block = self.buffer.len();
        match self.buffer.len() < BATCH {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let written = write_all_at(&*self.file, &self.buffer, self.offset);
        written.map_err(|e| Error::io("write", &self.path, e))?;
        self.offset = self.end();
        self.buffer.clear();
        self.block = 0;
        Ok(())
    }
}
