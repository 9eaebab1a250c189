//! What is around the blocks of a values file: header, directory, footer.
//!
//! The blocks follow each other without a gap, so a block ends where the next one, or the directory,
//! begins. Numbers are believed only once they add up to the length of the file.

use super::super::checksum::Salt;
use super::super::run::Flaw;
use super::super::{StoreId, VERSION, put_u32, put_u64, u32_at, u64_at};
use super::{BLOCK_MAX, BLOCK_MIN, ENTRY_HEAD, MAGIC, SUM, check, fingerprint_at, seal};
use crate::key::Fingerprint;

/// Bytes of the header; the first block is behind it.
pub(crate) const HEADER: usize = 64;
/// Bytes of the footer.
pub(crate) const FOOTER: usize = 40;
/// Bytes that a block has in the directory.
pub(crate) const START: usize = 24;
/// The shortest file: no block.
pub(crate) const FILE_MIN: u64 = (HEADER + SUM + FOOTER) as u64;

const END_MAGIC: [u8; 8] = *b"FSVALEND";

/// The salt of every checksum of values file `number`.
pub(crate) fn salt(store: &StoreId, number: u64) -> Salt {
    Salt::new(store, &MAGIC, number)
}

/// The first bytes of values file `number`.
pub(crate) fn header(store: &StoreId, number: u64) -> Vec<u8> {
    let mut bytes = vec![0; HEADER - SUM];
    bytes[..8].copy_from_slice(&MAGIC);
    put_u32(&mut bytes, 8, VERSION);
    bytes[16..32].copy_from_slice(store);
    put_u64(&mut bytes, 32, number);
    seal(&mut bytes, 0, salt(store, number), 0);
    bytes
}

/// Checks that `bytes` are the intact first bytes of values file `number` of `store`; returns the
/// version of its format.
pub(crate) fn check_header(bytes: &[u8], store: &StoreId, number: u64) -> Result<u32, Flaw> {
    if bytes.len() != HEADER || bytes[..8] != MAGIC {
        let found = bytes[..bytes.len().min(8)].escape_ascii();
        return Err(Flaw::new(0, "magic of a values file", MAGIC.escape_ascii(), found));
    }
    if bytes[16..32] != *store {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        return Err(Flaw::new(16, "store id of a values file", hex(store), hex(&bytes[16..32])));
    }
    let found = u64_at(bytes, 32);
    if found != number {
        return Err(Flaw::new(32, "number of a values file", number, found));
    }
    check(bytes, salt(store, number), 0, "values header")?;
    Ok(u32_at(bytes, 8))
}

/// Where a block begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// Its first fingerprint.
    pub(crate) first: Fingerprint,
    /// Its place in the file.
    pub(crate) offset: u64,
}

/// The directory, to stand at `offset`.
pub(crate) fn directory(starts: &[Start], salt: Salt, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(starts.len() * START + SUM);
    for Start { first, offset } in starts {
        bytes.extend(first.as_u128().to_le_bytes());
        bytes.extend(offset.to_le_bytes());
    }
    seal(&mut bytes, 0, salt, offset);
    bytes
}

/// The last bytes: what is known once every entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) entries: u64,
    pub(crate) blocks: u64,
    /// Where the blocks end and the directory begins.
    pub(crate) directory: u64,
}

impl Footer {
    /// Bytes of the directory with its checksum.
    pub(crate) fn directory_len(&self) -> Option<u64> {
        self.blocks.checked_mul(START as u64)?.checked_add(SUM as u64)
    }

    /// How long the file is, if that is a file length at all.
    pub(crate) fn file_len(&self) -> Option<u64> {
        self.directory.checked_add(self.directory_len()?)?.checked_add(FOOTER as u64)
    }

    /// The bytes, to stand at `offset`.
    pub(crate) fn encode(&self, salt: Salt, offset: u64) -> Vec<u8> {
        let mut bytes = END_MAGIC.to_vec();
        for word in [self.entries, self.blocks, self.directory] {
            bytes.extend(word.to_le_bytes());
        }
        seal(&mut bytes, 0, salt, offset);
        bytes
    }

    /// Reads the last bytes of a file of `len` bytes, at least [`FILE_MIN`]; its numbers make up
    /// exactly that length.
    pub(crate) fn decode(bytes: &[u8], salt: Salt, len: u64) -> Result<Footer, Flaw> {
        let at = len - FOOTER as u64;
        let bytes = check(bytes, salt, at, "values footer")?;
        if bytes[..8] != END_MAGIC {
            let (expected, found) = (END_MAGIC.escape_ascii(), bytes[..8].escape_ascii());
            return Err(Flaw::new(at, "magic of a values footer", expected, found));
        }
        let (entries, blocks, directory) = (u64_at(bytes, 8), u64_at(bytes, 16), u64_at(bytes, 24));
        let footer = Footer { entries, blocks, directory };
        let claimed = footer.file_len().unwrap_or(u64::MAX);
        if claimed != len || directory < HEADER as u64 {
            return Err(Flaw::new(at + 16, "length of a values file", len, claimed));
        }
        let most = (directory - HEADER as u64) / ENTRY_HEAD as u64;
        if entries < blocks || entries > most {
            let expected = format!("{blocks} to {most}");
            return Err(Flaw::new(at + 8, "entries of a values file", expected, entries));
        }
        Ok(footer)
    }

    /// Reads the directory: its blocks ascend and fill the file up to it, each no longer than an
    /// entry can make it.
    pub(crate) fn decode_directory(&self, bytes: &[u8], salt: Salt) -> Result<Vec<Start>, Flaw> {
        const WHAT: &str = "values directory";
        let bytes = check(bytes, salt, self.directory, WHAT)?;
        let start = |b: &[u8]| Start { first: fingerprint_at(b, 0), offset: u64_at(b, 16) };
        let starts: Vec<Start> = bytes.chunks_exact(START).map(start).collect();
        let at = |index: usize| self.directory + (index * START) as u64;
        let begin = starts.first().map_or(self.directory, |start| start.offset);
        if begin != HEADER as u64 {
            return Err(Flaw::new(at(0), WHAT, format!("blocks from {HEADER} on"), begin));
        }
        let ends = starts.iter().skip(1).map(|start| start.offset).chain([self.directory]);
        for (index, (start, end)) in starts.iter().zip(ends).enumerate() {
            let len = end.checked_sub(start.offset);
            if !len.is_some_and(|len| (BLOCK_MIN as u64..=BLOCK_MAX as u64).contains(&len)) {
                let expected = format!("a block of {BLOCK_MIN} to {BLOCK_MAX} bytes");
                let found = format!("one from {} to {end}", start.offset);
                return Err(Flaw::new(at(index), WHAT, expected, found));
            }
        }
        match starts.windows(2).position(|pair| pair[0].first >= pair[1].first) {
            Some(index) => {
                let expected = format!("above {}", starts[index].first);
                Err(Flaw::new(at(index + 1), WHAT, expected, starts[index + 1].first))
            }
            None => Ok(starts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = [4; 16];

    fn starts(offsets: &[u64]) -> Vec<Start> {
        let start = |(i, &offset)| Start { first: Fingerprint::from_u128(i as u128), offset };
        offsets.iter().enumerate().map(start).collect()
    }

    #[test]
    fn a_header_is_that_of_one_file() {
        let bytes = header(&STORE, 7);
        assert_eq!((bytes.len(), check_header(&bytes, &STORE, 7)), (HEADER, Ok(VERSION)));
        assert!(check_header(&bytes, &STORE, 8).is_err());
        assert!(check_header(&bytes, &[5; 16], 7).is_err());
        for bit in 0..HEADER * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(check_header(&damaged, &STORE, 7).is_err(), "bit {bit}");
        }
        assert!(check_header(&bytes[..HEADER - 1], &STORE, 7).is_err());
    }

    #[test]
    fn a_footer_counts_what_fits() {
        let salt = salt(&STORE, 7);
        let good = Footer { entries: 20, blocks: 3, directory: 1_000 };
        let len = good.file_len().unwrap();
        let decode =
            |footer: Footer| Footer::decode(&footer.encode(salt, len - FOOTER as u64), salt, len);
        assert_eq!(decode(good), Ok(good));
        for bad in [
            Footer { entries: 2, ..good },
            Footer { entries: 40, ..good },
            Footer { blocks: 4, ..good },
            Footer { blocks: u64::MAX / 2, ..good },
            Footer { directory: u64::MAX, ..good },
            Footer { directory: 0, blocks: 0, entries: 0 },
        ] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_directory_fills_the_file() {
        let salt = salt(&STORE, 7);
        let decode = |starts: &[Start]| {
            let footer = Footer { entries: 9, blocks: starts.len() as u64, directory: 1_000 };
            footer.decode_directory(&directory(starts, salt, 1_000), salt)
        };
        assert_eq!(decode(&starts(&[64, 200, 300])).unwrap(), starts(&[64, 200, 300]));
        for bad in [&[][..], &[65, 200], &[64, 64], &[64, 300, 200], &[64, 990], &[64, 2_000]] {
            assert!(decode(&starts(bad)).is_err(), "{bad:?}");
        }
        let mut same = starts(&[64, 200]);
        same[1].first = same[0].first;
        assert!(decode(&same).is_err());
        let empty = Footer { entries: 0, blocks: 0, directory: 64 };
        assert_eq!(empty.decode_directory(&directory(&[], salt, 64), salt), Ok(Vec::new()));
        let far = Footer { entries: 1, blocks: 1, directory: 65 + BLOCK_MAX as u64 };
        assert!(
            far.decode_directory(&directory(&starts(&[64]), salt, far.directory), salt).is_err()
        );
    }
}
