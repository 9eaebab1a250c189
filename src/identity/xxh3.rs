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
    use crate::identity::{Identity, IdentityKind};

    #[test]
    fn every_part_of_the_secret_differs() {
        let secret = Secret::new(&[0; 16]);
        let parts: std::collections::HashSet<_> = secret.0.chunks(16).collect();
        assert_eq!(parts.len(), 12);
        assert_ne!(secret.0, Secret::new(&[1; 16]).0);
    }

    /// Of 32 bytes, XXH3 multiplies the first two words, each xor the secret's, and adds them up. A word
    /// that is the secret's makes the product zero whatever the other one is.
    #[test]
    fn pairs_made_for_a_known_key_collide_here_and_not_under_cmac() {
        let key = [7; 16];
        let secret = Secret::new(&key);
        let word = |at: usize| u64::from_le_bytes(secret.0[at..at + 8].try_into().unwrap());
        let (first, second) = (word(0), word(8));
        let id = |a: u64, b: u64| [a.to_le_bytes(), b.to_le_bytes(), [1; 8], [2; 8]].concat();
        let cmac = Identity::new(IdentityKind::AesCmac, key);
        for n in 0..1_000 {
            let one = id(first, n);
            let other = id(first.wrapping_add(n).wrapping_sub(second), second);
            assert_ne!(one, other);
            assert_eq!(secret.fingerprint(&one), secret.fingerprint(&other));
            assert_ne!(cmac.fingerprint(&one), cmac.fingerprint(&other));
        }
    }
}
