//! The bytes of a run file: an immutable, sorted set of (fingerprint, tick).
//!
//! | page(s) | what | module |
//! |---|---|---|
//! | 0 | [`Header`]: everything known before the first record | here |
//! | then | filter: 63 blocks of 64 bytes a page | here; bits in `run::filter` |
//! | then | data pages: the records | [`page`] |
//! | then | directory: the top 64 bits of each data page's first record | here |
//! | last | [`Footer`]: what is known after the last record | here |
//!
//! Every page is 4096 bytes and ends in its checksum, seeded with store, run number and offset; so
//! no byte of the file is outside a checksum, and no page of another place, file or store verifies.

use std::path::Path;

use super::checksum::Salt;
use super::{PAGE, StoreId, VERSION, put_u32, put_u64, u32_at, u64_at};
use crate::error::Corruption;
use crate::time::{Ticks, Timestamp};

mod footer;
pub(crate) mod page;
mod shape;

pub(crate) use footer::Footer;
pub(crate) use shape::Shape;

/// The first eight bytes of a run file.
pub(crate) const MAGIC: [u8; 8] = *b"FSRUN\0\0\x01";

/// Where the checksum stands in every page of a run; it covers what is before it.
pub(crate) const SUM_AT: usize = PAGE - 8;
/// Bytes of a filter block.
pub(crate) const BLOCK: usize = 64;
/// The page with which the filter begins: before it is the header.
pub(crate) const FILTER_PAGE: u64 = 1;
/// Filter blocks of a filter page.
pub(crate) const BLOCKS_PER_PAGE: u64 = 63;
/// Entries of a directory page.
pub(crate) const STARTS_PER_PAGE: u64 = 511;

/// [`PAGE`] as the type of file offsets.
pub(crate) const PAGE_U64: u64 = PAGE as u64;

/// The bytes of one page.
pub(crate) type Page = [u8; PAGE];

/// Bytes that are not what the format says; a [`Corruption`] once the file is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) offset: u64,
    pub(crate) what: &'static str,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Flaw {
    pub(crate) fn new(
        offset: u64,
        what: &'static str,
        expected: impl ToString,
        found: impl ToString,
    ) -> Flaw {
        Flaw { offset, what, expected: expected.to_string(), found: found.to_string() }
    }

    /// The same flaw, of the file at `path`.
    pub(crate) fn of(self, path: &Path) -> Corruption {
        Corruption {
            path: path.to_path_buf(),
            offset: self.offset,
            what: self.what,
            expected: self.expected,
            found: self.found,
        }
    }

    /// `Ok` if `expected` was found.
    fn unless_equal<T: PartialEq + ToString>(
        offset: u64,
        what: &'static str,
        expected: T,
        found: T,
    ) -> Result<(), Flaw> {
        match found == expected {
            true => Ok(()),
            false => Err(Flaw::new(offset, what, expected, found)),
        }
    }
}

/// Puts the checksum of a page that will stand at `offset` into its end.
pub(crate) fn seal(page: &mut Page, salt: Salt, offset: u64) {
    let sum = salt.sum(offset, &page[..SUM_AT]);
    put_u64(page, SUM_AT, sum);
}

/// Checks the checksum of a page that was read from `offset`.
pub(crate) fn check(page: &Page, salt: Salt, offset: u64, what: &'static str) -> Result<(), Flaw> {
    let (found, expected) = (u64_at(page, SUM_AT), salt.sum(offset, &page[..SUM_AT]));
    match found == expected {
        true => Ok(()),
        false => Err(Flaw::new(
            offset,
            what,
            format!("checksum {expected:016x}"),
            format!("{found:016x}"),
        )),
    }
}

/// The first page: everything known when the run is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) store: StoreId,
    pub(crate) number: u64,
    pub(crate) generation: u64,
    pub(crate) ticks: Ticks,
    /// How many records the layout was chosen for.
    pub(crate) expected: u64,
    pub(crate) filter_bits_per_id: u32,
    pub(crate) filter_blocks: u64,
    pub(crate) shape: Shape,
}

impl Header {
    /// The salt of every checksum of the file.
    pub(crate) fn salt(&self) -> Salt {
        Salt::new(&self.store, &MAGIC, self.number)
    }

    /// How many pages the filter takes.
    pub(crate) fn filter_pages(&self) -> u64 {
        self.filter_blocks.div_ceil(BLOCKS_PER_PAGE)
    }

    /// Where the first data page stands. [`Header::decode`] has seen that it fits.
    pub(crate) fn data_offset(&self) -> u64 {
        (FILTER_PAGE + self.filter_pages()) * PAGE_U64
    }

    pub(crate) fn encode(&self) -> Page {
        let mut page = [0; PAGE];
        page[..8].copy_from_slice(&MAGIC);
        put_u32(&mut page, 8, VERSION);
        put_u32(&mut page, 12, self.filter_bits_per_id);
        page[16..32].copy_from_slice(&self.store);
        put_u64(&mut page, 32, self.number);
        put_u64(&mut page, 40, self.generation);
        put_u64(&mut page, 48, self.ticks.base.as_micros());
        put_u64(&mut page, 56, self.ticks.micros);
        put_u64(&mut page, 64, self.expected);
        put_u64(&mut page, 72, self.filter_blocks);
        put_u32(&mut page, 80, self.shape.remainder_bits());
        put_u32(&mut page, 84, self.shape.bucket_scale());
        put_u64(&mut page, 88, self.data_offset());
        seal(&mut page, self.salt(), 0);
        page
    }

    /// Checks that `page` is the intact first page of run `number` of `store`; returns its format
    /// version. What is read here keeps its place in every version.
    pub(crate) fn check(page: &Page, store: &StoreId, number: u64) -> Result<u32, Flaw> {
        if page[..8] != MAGIC {
            let (expected, found) = (MAGIC.escape_ascii(), page[..8].escape_ascii());
            return Err(Flaw::new(0, "magic of a run", expected, found));
        }
        if page[16..32] != *store {
            let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
            return Err(Flaw::new(16, "store id of a run", hex(store), hex(&page[16..32])));
        }
        Flaw::unless_equal(32, "number of a run", number, u64_at(page, 32))?;
        check(page, Salt::new(store, &MAGIC, number), 0, "run header")?;
        Ok(u32_at(page, 8))
    }

    /// Reads a page that [`Header::check`] accepted, of a file of `len` bytes.
    pub(crate) fn decode(page: &Page, len: u64) -> Result<Header, Flaw> {
        let (bits, scale) = (u32_at(page, 80), u32_at(page, 84));
        let shape = Shape::new(bits, scale).ok_or_else(|| {
            let found = format!("{bits} bits, scale {scale}");
            Flaw::new(80, "record layout of a run", "80..=120 bits, scale 1..=65536", found)
        })?;
        let header = Header {
            store: page[16..32].try_into().expect("sixteen bytes"),
            number: u64_at(page, 32),
            generation: u64_at(page, 40),
            ticks: Ticks {
                base: Timestamp::from_micros(u64_at(page, 48)),
                micros: u64_at(page, 56),
            },
            expected: u64_at(page, 64),
            filter_bits_per_id: u32_at(page, 12),
            filter_blocks: u64_at(page, 72),
            shape,
        };
        if header.ticks.micros == 0 {
            return Err(Flaw::new(56, "tick length of a run", "at least 1", 0));
        }
        if header.filter_blocks == 0 || header.filter_pages() >= len / PAGE_U64 {
            let (expected, found) = (format!("1 or more, in {len} bytes"), header.filter_blocks);
            return Err(Flaw::new(72, "filter blocks of a run", expected, found));
        }
        Flaw::unless_equal(88, "data offset of a run", header.data_offset(), u64_at(page, 88))?;
        Ok(header)
    }
}
