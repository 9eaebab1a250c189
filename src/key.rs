//! The fingerprint: the 128 bits by which an id is known.
//!
//! The bits have fixed jobs, so that no structure's answer is implied by another's:
//! the *top* bits of `hi` order everything on disk and in memory (index bucket, run order, filter
//! block), and `lo` alone chooses bits inside a filter block and tells slots of a bucket apart.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

/// The keyed 128-bit hash of an id. Ordered as one 128-bit number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint {
    /// Top 64 bits: order and place.
    pub(crate) hi: u64,
    /// Low 64 bits: identity within a place.
    pub(crate) lo: u64,
}

impl Fingerprint {
    /// Bytes of a fingerprint on disk.
    pub(crate) const BYTES: usize = 16;

    /// From one 128-bit number.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Fingerprint {
        Fingerprint { hi: (bits >> 64) as u64, lo: bits as u64 }
    }

    /// As one 128-bit number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        ((self.hi as u128) << 64) | self.lo as u128
    }
}

/// An id as tables and runs keep it: its fingerprint, and the tick in which it was first seen.
pub(crate) type Record = (Fingerprint, u8);

/// A hash map by fingerprint. They are uniform under the store's key, so nothing is hashed again.
pub(crate) type FingerprintMap<T> = HashMap<Fingerprint, T, BuildHasherDefault<OwnBits>>;

/// The lower half of a fingerprint as its hash.
#[derive(Debug, Default)]
pub(crate) struct OwnBits(u64);

impl Hasher for OwnBits {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    /// A fingerprint hashes its upper half first, so the lower one is what stays.
    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// 32 hexadecimal digits, most significant first.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.as_u128())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_that_of_the_number() {
        let small = Fingerprint::from_u128(u128::from(u64::MAX));
        let large = Fingerprint::from_u128(1 << 64);
        assert!(small < large);
        assert_eq!(large.as_u128(), 1 << 64);
    }
}
