//! XXH3-128 with a secret of the store.
//!
//! The secret is the key stream of AES-128 in counter mode under the store's key: block `i` is the
//! encryption of the 12 bytes `xxh3 secret\0` followed by `i` as a big-endian `u32`. All parts of
//! the secret are thus as unpredictable as the key; the function over it remains XXH3, which is
//! neither a MAC nor safe against crafted ids.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use xxhash_rust::xxh3::xxh3_128_with_secret;

use super::Key;
use crate::key::Fingerprint;

/// Bytes of a secret: as many as XXH3's own.
const SECRET_BYTES: usize = 192;

/// What distinguishes this use of the key from any other.
const LABEL: &[u8; 12] = b"xxh3 secret\0";

/// The secret of a store. Shows nothing of itself.
pub(super) struct Secret([u8; SECRET_BYTES]);

impl Secret {
    pub(super) fn new(key: &Key) -> Secret {
        let aes = Aes128Enc::new(key.into());
        let mut secret = [0; SECRET_BYTES];
        for (counter, chunk) in (0_u32..).zip(secret.chunks_exact_mut(16)) {
            let mut block = Block::default();
            block[..12].copy_from_slice(LABEL);
            block[12..].copy_from_slice(&counter.to_be_bytes());
            aes.encrypt_block(&mut block);
            chunk.copy_from_slice(&block);
        }
        Secret(secret)
    }

    #[inline]
    pub(super) fn fingerprint(&self, id: &[u8]) -> Fingerprint {
        Fingerprint::from_u128(xxh3_128_with_secret(id, &self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_secret_differs() {
        let secret = Secret::new(&[0; 16]);
        let parts: std::collections::HashSet<_> = secret.0.chunks(16).collect();
        assert_eq!(parts.len(), 12);
        assert_ne!(secret.0, Secret::new(&[1; 16]).0);
    }
}
