//! A value with its checksum, which is bound to its key, its store and its run.
//!
//! Sled has checksums of its own, of the pages that it reads. This one notices what those cannot: a
//! value that is whole and stands at the wrong place, or is an old one.

use xxhash_rust::xxh3::xxh3_64;

use crate::format::checksum::Salt;
use crate::format::run::Flaw;
use crate::format::{StoreId, u64_at};

/// The longest value, so that a page of sled, which has up to 20 of them, is shorter than the 128 KiB
/// from which on sled puts it into a file that is never synced.
pub(super) const MAX: usize = 6 << 10;
/// Bytes of a checksum.
pub(super) const SUM: usize = 8;

/// In place of a magic.
const KIND: &[u8; 8] = b"FSSLED\0\0";

/// The salt of a run; that of the store itself has number 0.
pub(super) fn salt(store: &StoreId, run: u64) -> Salt {
    Salt::new(store, KIND, run)
}

/// Ends `bytes` with their checksum as the value of `key`.
pub(super) fn seal(salt: Salt, key: &[u8], bytes: &mut Vec<u8>) {
    let sum = salt.sum(xxh3_64(key), bytes);
    bytes.extend(sum.to_le_bytes());
}

/// What stands before the checksum of the value of `key`.
pub(super) fn open<'a>(
    salt: Salt,
    key: &[u8],
    value: &'a [u8],
    what: &'static str,
) -> Result<&'a [u8], Flaw> {
    let Some(len) = value.len().checked_sub(SUM) else {
        return Err(Flaw::new(0, what, "a checksum", format!("{} bytes", value.len())));
    };
    let (expected, found) = (salt.sum(xxh3_64(key), &value[..len]), u64_at(value, len));
    match expected == found {
        true => Ok(&value[..len]),
        false => {
            let expected = format!("checksum {expected:016x} at key {}", hex(key));
            Err(Flaw::new(0, what, expected, format!("{found:016x}")))
        }
    }
}

/// A key as messages show it.
pub(super) fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_verifies_at_its_place_only() {
        let salt_of = |run| salt(&[7; 16], run);
        let mut value = b"content".to_vec();
        seal(salt_of(1), b"key", &mut value);
        assert_eq!(open(salt_of(1), b"key", &value, "piece").unwrap(), b"content");
        assert!(open(salt_of(1), b"kez", &value, "piece").is_err());
        assert!(open(salt_of(2), b"key", &value, "piece").is_err());
        assert!(open(salt(&[8; 16], 1), b"key", &value, "piece").is_err());
        for at in 0..value.len() {
            let mut damaged = value.clone();
            damaged[at] ^= 1;
            assert!(open(salt_of(1), b"key", &damaged, "piece").is_err());
            assert!(open(salt_of(1), b"key", &value[..at], "piece").is_err());
        }
    }
}
