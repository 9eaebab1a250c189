//! The file `STORE`: what the store is and the key of its identity. Written once, never changed.

use std::path::Path;

use super::checksum::Salt;
use super::{StoreId, VERSION, put_u32, put_u64, u32_at, u64_at};
use crate::error::{Corruption, Error, Result};

/// First bytes of the file.
pub(crate) const MAGIC: &[u8; 8] = b"FSSTORE\0";
/// Length of the file.
pub(crate) const BYTES: usize = 128;

const SUM_AT: usize = BYTES - 8;

/// The content of `STORE`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// Random name of the store.
    pub(crate) store: StoreId,
    /// Which identity turns ids into fingerprints: see `identity::IdentityKind::code`.
    pub(crate) identity: u32,
    /// The identity's secret key. Losing it is losing the store; leaking it lets others craft ids.
    pub(crate) key: [u8; 16],
    /// When the store was created, microseconds since the Unix epoch.
    pub(crate) created: u64,
    /// Where its log and its runs are kept: see `config::Backend::code`.
    pub(crate) backend: u32,
}

impl std::fmt::Debug for Superblock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Superblock").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Superblock {
    /// The bytes of the file.
    pub(crate) fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        put_u32(&mut bytes, 8, VERSION);
        put_u32(&mut bytes, 12, self.identity);
        bytes[16..32].copy_from_slice(&self.store);
        bytes[32..48].copy_from_slice(&self.key);
        put_u64(&mut bytes, 48, self.created);
        put_u32(&mut bytes, 56, self.backend);
        let sum = Salt::new(&self.store, MAGIC, 0).sum(0, &bytes[..SUM_AT]);
        put_u64(&mut bytes, SUM_AT, sum);
        bytes
    }

    /// Reads the bytes of the file at `path`.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Superblock> {
        let corrupt = |offset: u64, expected: String, found: String| {
            let path = path.to_path_buf();
            Corruption { path, offset, what: "store file", expected, found }
        };
        if bytes.len() < 12 || &bytes[..8] != MAGIC {
            let found = format!("{} does not start as a store file does", path.display());
            let path = path.parent().unwrap_or(path).to_path_buf();
            return Err(Error::NotAStore { path, found });
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            let path = path.to_path_buf();
            return Err(Error::Version { path, found: version, supported: VERSION });
        }
        if bytes.len() != BYTES {
            let found = format!("{} bytes", bytes.len());
            return Err(corrupt(0, format!("{BYTES} bytes"), found).into());
        }
        let store = bytes[16..32].try_into().expect("sixteen bytes");
        let sum = Salt::new(&store, MAGIC, 0).sum(0, &bytes[..SUM_AT]);
        let stored = u64_at(bytes, SUM_AT);
        if sum != stored {
            let (expected, found) = (format!("{sum:016x}"), format!("{stored:016x}"));
            return Err(corrupt(SUM_AT as u64, format!("checksum {expected}"), found).into());
        }
        Ok(Superblock {
            store,
            identity: u32_at(bytes, 12),
            key: bytes[32..48].try_into().expect("sixteen bytes"),
            created: u64_at(bytes, 48),
            backend: u32_at(bytes, 56),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Superblock {
        Superblock {
            store: [3; 16],
            identity: 1,
            key: [9; 16],
            created: 1_700_000_000_000_000,
            backend: 1,
        }
    }

    #[test]
    fn round_trips() {
        let bytes = sample().encode();
        assert_eq!(Superblock::decode(&bytes, Path::new("STORE")).unwrap(), sample());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = sample().encode();
        for bit in 0..BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Superblock::decode(&damaged, Path::new("STORE")).is_err(), "bit {bit}");
        }
        for len in 0..BYTES {
            assert!(Superblock::decode(&bytes[..len], Path::new("STORE")).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn the_key_is_not_in_debug_output() {
        assert!(!format!("{:?}", sample()).contains('9'));
    }
}
