//! Reads a values file: what is kept with this id?
//!
//! Opening reads header, footer and directory, and no block. Every block is checked each time it is
//! read.

use std::path::{Path, PathBuf};

use super::super::open::read_exact;
use super::ValuesCursor;
use crate::error::{Error, Result};
use crate::format::checksum::Salt;
use crate::format::run::Flaw;
use crate::format::value::file::{FILE_MIN, FOOTER, Footer, HEADER, Start, check_header, salt};
use crate::format::value::{Entries, Value};
use crate::format::{StoreId, VERSION};
use crate::key::Fingerprint;
use crate::sys::File;

/// An open values file.
#[derive(Debug)]
pub(crate) struct Values {
    pub(super) file: Box<dyn File>,
    pub(super) path: PathBuf,
    pub(super) store: StoreId,
    pub(super) number: u64,
    pub(super) salt: Salt,
    pub(super) footer: Footer,
    /// Ascending; they fill the file from the header to the directory.
    pub(super) starts: Box<[Start]>,
    pub(super) len: u64,
}

impl Values {
    /// Opens the values beside run `number` of `store`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if header, footer or directory are not what was written, among them any
    /// other length; [`Error::Version`] for another version of the format.
    pub(crate) fn open(
        file: Box<dyn File>,
        path: PathBuf,
        store: &StoreId,
        number: u64,
    ) -> Result<Values> {
        let len = file.len().map_err(|e| Error::io("measure", &path, e))?;
        if len < FILE_MIN {
            let expected = format!("{FILE_MIN} bytes or more");
            return Err(Flaw::new(len, "length of a values file", expected, len).of(&path).into());
        }
        let header = read_part(&*file, &path, 0, HEADER)?;
        let found = check_header(&header, store, number).map_err(|flaw| flaw.of(&path))?;
        if found != VERSION {
            return Err(Error::Version { path, found, supported: VERSION });
        }
        let salt = salt(store, number);
        let footer = read_part(&*file, &path, len - FOOTER as u64, FOOTER)?;
        let footer = Footer::decode(&footer, salt, len).map_err(|flaw| flaw.of(&path))?;
        let directory = read_directory(&*file, &path, &footer)?;
        let starts = footer.decode_directory(&directory, salt).map_err(|flaw| flaw.of(&path))?;
        let starts = starts.into_boxed_slice();
        Ok(Values { file, path, store: *store, number, salt, footer, starts, len })
    }

    /// What is kept with `id`; `None` if nothing is.
    pub(crate) fn get(&self, id: Fingerprint) -> Result<Option<Value>> {
        let Some(block) = self.block_of(id) else {
            return Ok(None);
        };
        let (offset, end) = self.bounds(block);
        let bytes = read_part(&*self.file, &self.path, offset, (end - offset) as usize)?;
        self.find(&bytes, block, id).map_err(|flaw| flaw.of(&self.path).into())
    }

    /// How many ids have something kept with them.
    pub(crate) fn entries(&self) -> u64 {
        self.footer.entries
    }

    /// Length of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.len
    }

    /// Memory beside the page cache.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.starts)
    }

    /// All entries, ascending.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn cursor(&self) -> ValuesCursor<'_> {
        self.cursor_after(None)
    }

    /// The entries above `id`, or all, ascending.
    pub(crate) fn cursor_after(&self, id: Option<Fingerprint>) -> ValuesCursor<'_> {
        let block = id.and_then(|id| self.block_of(id)).unwrap_or(0);
        ValuesCursor::new(self, block, id)
    }

    /// The block that would hold `id`.
    fn block_of(&self, id: Fingerprint) -> Option<usize> {
        self.starts.partition_point(|start| start.first <= id).checked_sub(1)
    }

    /// Where a block begins and ends.
    pub(super) fn bounds(&self, block: usize) -> (u64, u64) {
        let end = self.starts.get(block + 1).map_or(self.footer.directory, |start| start.offset);
        (self.starts[block].offset, end)
    }

    /// The entries of a block, of which the first is the one that the directory knows.
    pub(super) fn block<'a>(
        &self,
        bytes: &'a [u8],
        block: usize,
        last: Option<Fingerprint>,
    ) -> Result<Entries<'a>, Flaw> {
        let Start { first, offset } = self.starts[block];
        let entries = Entries::check(bytes, self.salt, offset, last)?;
        match entries.first() {
            Some(found) if found == first => Ok(entries),
            found => {
                let found = found.map_or("no entry".into(), |found| found.to_string());
                Err(Flaw::new(offset, "start of a values block", first, found))
            }
        }
    }

    fn find(&self, bytes: &[u8], block: usize, id: Fingerprint) -> Result<Option<Value>, Flaw> {
        for entry in self.block(bytes, block, None)? {
            let entry = entry?;
            if entry.id >= id {
                return Ok((entry.id == id).then(|| entry.value()));
            }
        }
        Ok(None)
    }
}

/// The directory with its checksum. Its size is sound: it is a part of the file's length.
pub(super) fn read_directory(file: &dyn File, path: &Path, footer: &Footer) -> Result<Vec<u8>> {
    let len = footer.directory_len().and_then(|len| usize::try_from(len).ok());
    let len = len.ok_or_else(|| {
        let reason = "its directory is larger than the address space";
        Error::io("read", path, std::io::Error::other(reason))
    })?;
    read_part(file, path, footer.directory, len)
}

/// Reads `len` bytes at `offset`, which lie inside the file.
pub(super) fn read_part(file: &dyn File, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    read_exact(file, path, &mut bytes, offset)?;
    Ok(bytes)
}
