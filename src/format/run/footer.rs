//! The last page of a run.

use super::super::{PAGE, put_u64, u64_at};
use super::{Flaw, Header, PAGE_U64, Page, STARTS_PER_PAGE, check, seal};
use crate::key::Fingerprint;

/// The first eight bytes of a run file's last page.
const END_MAGIC: [u8; 8] = *b"FSRUNEND";

/// Where the number of records stands in it.
const RECORDS_AT: usize = 8;

/// The last page: what is known once every record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) records: u64,
    /// Data pages.
    pub(crate) pages: u64,
    /// The first and last fingerprint; both zero in an empty run.
    pub(crate) first: Fingerprint,
    pub(crate) last: Fingerprint,
    /// The smallest and largest tick; 255 and 0 in an empty run.
    pub(crate) earliest: u8,
    pub(crate) latest: u8,
}

impl Footer {
    /// Where the directory begins, if that is a file offset at all.
    pub(crate) fn directory_offset(&self, header: &Header) -> Option<u64> {
        self.pages.checked_mul(PAGE_U64)?.checked_add(header.data_offset())
    }

    /// How many pages the directory takes.
    pub(crate) fn directory_pages(&self) -> u64 {
        self.pages.div_ceil(STARTS_PER_PAGE)
    }

    /// How long the file is, if that is a file length at all.
    pub(crate) fn file_len(&self, header: &Header) -> Option<u64> {
        (self.directory_pages() + 1)
            .checked_mul(PAGE_U64)?
            .checked_add(self.directory_offset(header)?)
    }

    /// The page that ends the file. The run was written, so its sizes are file sizes.
    pub(crate) fn encode(&self, header: &Header) -> Page {
        let len = self.file_len(header).expect("a run that was written");
        let mut page = [0; PAGE];
        page[..8].copy_from_slice(&END_MAGIC);
        put_u64(&mut page, RECORDS_AT, self.records);
        put_u64(&mut page, 16, self.pages);
        put_u64(&mut page, 24, self.directory_offset(header).expect("below the length"));
        put_u64(&mut page, 32, len);
        page[40..56].copy_from_slice(&self.first.as_u128().to_le_bytes());
        page[56..72].copy_from_slice(&self.last.as_u128().to_le_bytes());
        page[72] = self.earliest;
        page[73] = self.latest;
        seal(&mut page, header.salt(), len - PAGE_U64);
        page
    }

    /// Reads the last page of a file of `len` bytes; its sizes make up exactly that length.
    pub(crate) fn decode(page: &Page, header: &Header, len: u64) -> Result<Footer, Flaw> {
        let at = len - PAGE_U64;
        check(page, header.salt(), at, "run footer")?;
        if page[..8] != END_MAGIC {
            let (expected, found) = (END_MAGIC.escape_ascii(), page[..8].escape_ascii());
            return Err(Flaw::new(at, "magic of a run footer", expected, found));
        }
        let fingerprint = |from: usize| {
            let bytes = page[from..from + Fingerprint::BYTES].try_into();
            Fingerprint::from_u128(u128::from_le_bytes(bytes.expect("sixteen bytes")))
        };
        let footer = Footer {
            records: u64_at(page, RECORDS_AT),
            pages: u64_at(page, 16),
            first: fingerprint(40),
            last: fingerprint(56),
            earliest: page[72],
            latest: page[73],
        };
        let claimed = footer.file_len(header).unwrap_or(u64::MAX);
        Flaw::unless_equal(at + 16, "length of a run by its data pages", len, claimed)?;
        Flaw::unless_equal(at + 32, "length of a run by its footer", len, u64_at(page, 32))?;
        let directory = footer.directory_offset(header).unwrap_or(u64::MAX);
        Flaw::unless_equal(at + 24, "directory offset of a run", directory, u64_at(page, 24))?;
        let most = footer.pages.saturating_mul(header.shape.capacity() as u64);
        if footer.records < footer.pages || footer.records > most {
            let expected = format!("{} to {most}", footer.pages);
            return Err(footer.records_flaw(len, expected));
        }
        Ok(footer)
    }

    /// Checks that a run of `len` bytes may hold as many records as were found in its pages so far.
    #[inline]
    pub(crate) fn holds(&self, found: u64, len: u64) -> Result<(), Flaw> {
        match found <= self.records {
            true => Ok(()),
            false => Err(self.records_flaw(len, format!("at least {found}, which its pages hold"))),
        }
    }

    #[cold]
    fn records_flaw(&self, len: u64, expected: String) -> Flaw {
        let at = len - PAGE_U64 + RECORDS_AT as u64;
        Flaw::new(at, "records of a run", expected, self.records)
    }
}
