//! The checksum of everything on disk: XXH3-64, seeded with what the bytes are and where they stand.
//!
//! The seed binds bytes to their place: a page that was written elsewhere (another store, another
//! file, another offset) does not verify, nor does a stale frame in reused space. XXH3 guards
//! against accidents, not against somebody who can write the files.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::StoreId;

/// The seed for everything in one file of one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Salt(u64);

impl Salt {
    /// The salt of file `number` with the given magic, in the store named `store`.
    pub(crate) fn new(store: &StoreId, magic: &[u8; 8], number: u64) -> Salt {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(store);
        bytes[16..24].copy_from_slice(magic);
        bytes[24..].copy_from_slice(&number.to_le_bytes());
        Salt(xxh3_64(&bytes))
    }

    /// The checksum of `bytes` that stand at `offset` of the file.
    pub(crate) fn sum(self, offset: u64, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.0.wrapping_add(offset.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_elsewhere_do_not_verify() {
        let here = Salt::new(&[1; 16], b"FSRUN\0\0\x01", 7);
        let sum = here.sum(4096, b"page");
        assert_ne!(sum, here.sum(8192, b"page"));
        assert_ne!(sum, Salt::new(&[1; 16], b"FSRUN\0\0\x01", 8).sum(4096, b"page"));
        assert_ne!(sum, Salt::new(&[2; 16], b"FSRUN\0\0\x01", 7).sum(4096, b"page"));
    }
}
