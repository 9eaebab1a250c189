//! Opens a run: header, footer and directory, and in [`ReadMode::Positioned`] the filter; no data
//! page. Sizes from the file are believed only once they add up to its length, so nothing larger
//! than the file is ever allocated for it.

use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::filter::Block;
use super::mapping::Mapping;
use super::reader::Source;
use super::{BATCH_PAGES, ReadMode, Run, filter};
use crate::error::{Error, Result};
use crate::format::run::{
    FILTER_PAGE, Flaw, Footer, Header, PAGE_U64, Page, STARTS_PER_PAGE, check,
};
use crate::format::{PAGE, StoreId, VERSION, u64_at};
use crate::sys::{File, read_exact_at};

impl Run {
    /// Opens run `number` of `store`.
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
        mode: ReadMode,
    ) -> Result<Run> {
        Run::open_with(file, path, store, number, |file, path, header, len| match mode {
            ReadMode::Mapped => open_mapping(file, path, len),
            ReadMode::Positioned => {
                Ok(Source::Positioned { filter: open_filter(file, path, header)? })
            }
        })
    }

    /// Like [`Run::open`], for whoever wants all records in order, by positioned reads: in memory
    /// is the directory alone. Lookups work, and are not filtered.
    pub(crate) fn open_in_order(
        file: Box<dyn File>,
        path: PathBuf,
        store: &StoreId,
        number: u64,
    ) -> Result<Run> {
        Run::open_with(file, path, store, number, |_, _, _, _| Ok(Source::InOrder))
    }

    fn open_with(
        file: Box<dyn File>,
        path: PathBuf,
        store: &StoreId,
        number: u64,
        source: impl FnOnce(&dyn File, &Path, &Header, u64) -> Result<Source>,
    ) -> Result<Run> {
        let len = file.len().map_err(|e| Error::io("measure", &path, e))?;
        let header = open_header(&*file, &path, store, number, len)?;
        let last = read_page(&*file, &path, len - PAGE_U64)?;
        let footer = Footer::decode(&last, &header, len).map_err(|flaw| flaw.of(&path))?;
        let salt = header.salt();
        let starts = open_directory(&*file, &path, &header, &footer)?;
        let source = source(&*file, &path, &header, len)?;
        Ok(Run { file, path, header, footer, salt, starts, len, source, values: None })
    }
}

pub(super) fn read_exact(
    file: &dyn File,
    path: &Path,
    buffer: &mut [u8],
    offset: u64,
) -> Result<()> {
    read_exact_at(file, buffer, offset).map_err(|e| Error::io("read", path, e))
}

pub(super) fn read_page(file: &dyn File, path: &Path, offset: u64) -> Result<Page> {
    let mut page = [0; PAGE];
    read_exact(file, path, &mut page, offset)?;
    Ok(page)
}

fn open_header(
    file: &dyn File,
    path: &Path,
    store: &StoreId,
    number: u64,
    len: u64,
) -> Result<Header> {
    if len < 3 * PAGE_U64 || !len.is_multiple_of(PAGE_U64) {
        let expected = "three or more whole pages of 4096 bytes";
        return Err(Flaw::new(len, "length of a run", expected, len).of(path).into());
    }
    let page = read_page(file, path, 0)?;
    let version = Header::check(&page, store, number).map_err(|flaw| flaw.of(path))?;
    if version != VERSION {
        return Err(Error::Version {
            path: path.to_path_buf(),
            found: version,
            supported: VERSION,
        });
    }
    Ok(Header::decode(&page, len).map_err(|flaw| flaw.of(path))?)
}

/// The directory. Its size is sound: it is a part of the file's length.
fn open_directory(
    file: &dyn File,
    path: &Path,
    header: &Header,
    footer: &Footer,
) -> Result<Directory> {
    let begin = header.data_offset() + footer.pages * PAGE_U64;
    let mut starts = Vec::with_capacity(footer.pages as usize);
    let pages = footer.directory_pages();
    for_each_page(file, path, begin, pages, |page, offset| {
        check(page, header.salt(), offset, "run directory")?;
        let here = (footer.pages - starts.len() as u64).min(STARTS_PER_PAGE) as usize;
        starts.extend((0..here).map(|i| u64_at(page, i * 8)));
        Ok(())
    })?;
    Directory::new(starts).map_err(|index| {
        let offset = begin + index as u64 / STARTS_PER_PAGE * PAGE_U64;
        let flaw = Flaw::new(offset, "run directory", "ascending", format!("entry {index} below"));
        flaw.of(path).into()
    })
}

fn open_filter(file: &dyn File, path: &Path, header: &Header) -> Result<Box<[Block]>> {
    let mut blocks = Vec::with_capacity(header.filter_blocks as usize);
    let begin = FILTER_PAGE * PAGE_U64;
    for_each_page(file, path, begin, header.filter_pages(), |page, offset| {
        check(page, header.salt(), offset, "run filter")?;
        let left = header.filter_blocks as usize - blocks.len();
        blocks.extend(filter::blocks_of(page).take(left));
        Ok(())
    })?;
    Ok(blocks.into_boxed_slice())
}

/// Reads `pages` pages from `begin` on, 64 at a time.
pub(super) fn for_each_page(
    file: &dyn File,
    path: &Path,
    begin: u64,
    pages: u64,
    mut each: impl FnMut(&Page, u64) -> Result<(), Flaw>,
) -> Result<()> {
    let end = begin + pages * PAGE_U64;
    let mut offset = begin;
    let mut buffer = vec![0; BATCH_PAGES.min(pages as usize) * PAGE];
    while offset < end {
        let len = ((end - offset) as usize).min(buffer.len());
        read_exact(file, path, &mut buffer[..len], offset)?;
        for page in buffer[..len].as_chunks().0 {
            each(page, offset).map_err(|flaw| flaw.of(path))?;
            offset += PAGE_U64;
        }
    }
    Ok(())
}

fn open_mapping(file: &dyn File, path: &Path, len: u64) -> Result<Source> {
    let size = usize::try_from(len).map_err(|_| {
        let reason = "it is larger than the address space; open it by positioned reads";
        Error::io("map", path, std::io::Error::other(reason))
    })?;
    let region = file.map(size).map_err(|e| Error::io("map", path, e))?;
    if region.len() != size {
        return Err(Flaw::new(0, "mapping of a run", len, region.len()).of(path).into());
    }
    Ok(Source::Mapped(Mapping::new(region)))
}
