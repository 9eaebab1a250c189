//! Writes a run: ascending records in, one file out, in one pass.
//!
//! Two cursors move through the file, both forwards: one in the filter, whose size is known from the
//! expected count and which fills front to back because its blocks follow the order of the records,
//! and one in the data pages. Each writes 256 KiB at a time. Room is asked for first, so that a full
//! disk is found before the work, and the file is cut to its exact length before anybody maps it. What the
//! cursors have passed, but for the last 4 MiB of each, is on its way to the medium when the file is synced.
//!
//! Memory: two buffers of 256 KiB, and the directory, 0.03 bytes an id.

use std::path::{Path, PathBuf};

use super::{BATCH_PAGES, Record, RunSpec, RunSummary, filter};
use crate::error::{Error, Result};
use crate::format::checksum::Salt;
use crate::format::run::page::PageBuilder;
use crate::format::run::{
    BLOCK, FILTER_PAGE, Footer, Header, PAGE_U64, Page, STARTS_PER_PAGE, Shape, seal,
};
use crate::format::{PAGE, put_u64};
use crate::key::Fingerprint;
use crate::planted::{Bug, planted};
use crate::sys::{File, write_all_at};

/// So many bytes are given to the medium at once, while those that follow are made: a sync at the end that finds all of
/// them in the system's cache takes as long again.
const WRITE_OUT: u64 = 4 << 20;

/// A run being written.
#[derive(Debug)]
pub(crate) struct RunWriter {
    file: Box<dyn File>,
    path: PathBuf,
    header: Header,
    salt: Salt,
    filter: FilterStream,
    page: PageBuilder,
    data: Stream,
    /// Top bits of the first record of every page written: the directory.
    starts: Vec<u64>,
    records: u64,
    first: Fingerprint,
    last: Fingerprint,
    earliest: u8,
    latest: u8,
}

impl RunWriter {
    /// Begins a run in a new, empty file.
    ///
    /// # Errors
    ///
    /// [`Error::DiskFull`] if there is no room for a run of the expected size.
    pub(crate) fn new(file: Box<dyn File>, path: &Path, spec: RunSpec) -> Result<RunWriter> {
        let header = Header {
            store: spec.store,
            number: spec.number,
            generation: spec.generation,
            ticks: spec.ticks,
            expected: spec.expected,
            filter_bits_per_id: spec.filter_bits_per_id,
            filter_blocks: filter::blocks_for(spec.expected, spec.filter_bits_per_id),
            shape: Shape::for_expected(spec.expected),
        };
        let estimate = estimated_len(&header);
        file.allocate(0, estimate).map_err(|e| Error::io("allocate", path, e))?;
        write_all_at(&*file, &header.encode(), 0).map_err(|e| Error::io("write", path, e))?;
        Ok(RunWriter {
            file,
            path: path.to_path_buf(),
            salt: header.salt(),
            filter: FilterStream::new(&header),
            page: PageBuilder::new(header.shape),
            data: Stream::new(header.data_offset()),
            starts: Vec::new(),
            records: 0,
            first: Fingerprint::default(),
            last: Fingerprint::default(),
            earliest: u8::MAX,
            latest: 0,
            header,
        })
    }

    /// Adds records. After an error the run cannot be finished; remove its file.
    ///
    /// # Panics
    ///
    /// If a fingerprint is not above the one before it; the caller merges equal ones.
    pub(crate) fn extend(&mut self, records: &[Record]) -> Result<()> {
        let (Some(&(first, _)), Some(&(last, _))) = (records.first(), records.last()) else {
            return Ok(());
        };
        if self.records == 0 {
            self.first = first;
        }
        let follow = self.records == 0 || first > self.last;
        assert!(
            follow && records.is_sorted_by(|a, b| a.0.as_u128() < b.0.as_u128()),
            "records of a run ascend"
        );
        self.filter.extend(records, self.salt, &*self.file, &self.path)?;
        let mut rest = &records[self.page.extend(records)..];
        while !rest.is_empty() {
            self.close_page()?;
            let added = self.page.extend(rest);
            assert!(added > 0, "the first record of a page always fits");
            rest = &rest[added..];
        }
        self.records += records.len() as u64;
        self.last = last;
        for &(_, tick) in records {
            self.earliest = self.earliest.min(tick);
            self.latest = self.latest.max(tick);
        }
        Ok(())
    }

    /// Writes what is left and makes the file durable. The caller syncs its folder.
    ///
    /// # Errors
    ///
    /// After an error nothing is promised of the file: remove it and write the run anew.
    pub(crate) fn finish(mut self) -> Result<RunSummary> {
        if !self.page.is_empty() {
            self.close_page()?;
        }
        self.filter.finish(self.salt, &*self.file, &self.path)?;
        let pages = self.starts.len() as u64;
        for starts in self.starts.chunks(STARTS_PER_PAGE as usize) {
            let mut page = [0; PAGE];
            for (i, &start) in starts.iter().enumerate() {
                put_u64(&mut page, i * 8, start);
            }
            seal(&mut page, self.salt, self.data.end());
            self.data.push(&page, &*self.file, &self.path)?;
        }
        let footer = Footer {
            records: self.records,
            pages,
            first: self.first,
            last: self.last,
            earliest: self.earliest,
            latest: self.latest,
        };
        self.data.push(&footer.encode(&self.header), &*self.file, &self.path)?;
        self.data.flush(&*self.file, &self.path)?;
        let bytes = self.data.end();
        self.file.truncate(bytes).map_err(|e| Error::io("truncate", &self.path, e))?;
        if !planted(Bug::RunUnsynced) {
            self.file.sync_all().map_err(|e| Error::io("sync", &self.path, e))?;
        }
        Ok(RunSummary {
            records: self.records,
            pages,
            bytes,
            earliest: self.earliest,
            latest: self.latest,
        })
    }

    fn close_page(&mut self) -> Result<()> {
        self.starts.push(self.page.base_hi());
        let page = self.page.seal(self.salt, self.data.end());
        self.data.push(page, &*self.file, &self.path)?;
        self.page.clear();
        Ok(())
    }
}

/// How long the file will be, give or take the pages that are closed early.
pub(super) fn estimated_len(header: &Header) -> u64 {
    let pages = header.expected.div_ceil(header.shape.capacity() as u64);
    let pages = pages + pages / 64;
    let around = 2 + header.filter_pages() + pages.div_ceil(STARTS_PER_PAGE);
    pages.saturating_add(around).saturating_mul(PAGE_U64)
}

/// Pages on their way to one part of the file, in order.
#[derive(Debug)]
struct Stream {
    /// Where the buffer will stand in the file.
    offset: u64,
    buffer: Vec<u8>,
    /// What is before this is on its way to the medium.
    out: u64,
}

impl Stream {
    fn new(offset: u64) -> Stream {
        Stream { offset, buffer: Vec::with_capacity(BATCH_PAGES * PAGE), out: offset }
    }

    /// Where the next page will stand.
    fn end(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    fn push(&mut self, page: &Page, file: &dyn File, path: &Path) -> Result<()> {
        self.buffer.extend_from_slice(page);
        match self.buffer.len() < BATCH_PAGES * PAGE {
            true => Ok(()),
            false => self.flush(file, path),
        }
    }

    fn flush(&mut self, file: &dyn File, path: &Path) -> Result<()> {
        let written = write_all_at(file, &self.buffer, self.offset);
        written.map_err(|e| Error::io("write", path, e))?;
        self.offset = self.end();
        self.buffer.clear();
        let passed = self.offset - self.out;
        if passed >= WRITE_OUT {
            let begun = file.write_out(self.out, passed);
            begun.map_err(|e| Error::io("write", path, e))?;
            self.out = self.offset;
        }
        Ok(())
    }
}

/// The filter, written while it is built.
#[derive(Debug)]
struct FilterStream {
    blocks: u64,
    /// The page of the file that is under way, and the one behind the filter.
    current: u64,
    end: u64,
    page: Box<Page>,
    out: Stream,
}

impl FilterStream {
    fn new(header: &Header) -> FilterStream {
        FilterStream {
            blocks: header.filter_blocks,
            current: FILTER_PAGE,
            end: FILTER_PAGE + header.filter_pages(),
            page: Box::new([0; PAGE]),
            out: Stream::new(FILTER_PAGE * PAGE_U64),
        }
    }

    fn extend(
        &mut self,
        records: &[Record],
        salt: Salt,
        file: &dyn File,
        path: &Path,
    ) -> Result<()> {
        let blocks = self.blocks;
        let block_of = |record: &Record| filter::block_of(record.0, blocks);
        for records in records.chunk_by(|a, b| block_of(a) == block_of(b)) {
            let (page, at) = filter::place_of(block_of(&records[0]));
            while self.current < page {
                self.close_page(salt, file, path)?;
            }
            let block = (&mut self.page[at..at + BLOCK]).try_into().expect("a block");
            filter::insert(block, records.iter().map(|&(id, _)| id).filter(is_let_in));
        }
        Ok(())
    }

    fn finish(&mut self, salt: Salt, file: &dyn File, path: &Path) -> Result<()> {
        while self.current < self.end {
            self.close_page(salt, file, path)?;
        }
        self.out.flush(file, path)
    }

    fn close_page(&mut self, salt: Salt, file: &dyn File, path: &Path) -> Result<()> {
        seal(&mut self.page, salt, self.out.end());
        self.out.push(&self.page, file, path)?;
        self.page.fill(0);
        self.current += 1;
        Ok(())
    }
}

/// Whether a fingerprint is put into the filter. All are.
fn is_let_in(fingerprint: &Fingerprint) -> bool {
    !(planted(Bug::RunFilterLies) && fingerprint.lo.is_multiple_of(64))
}
