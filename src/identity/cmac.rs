//! AES-128-CMAC (RFC 4493) of many ids abreast.
//!
//! CMAC chains: a block of an id waits for the one before it. One id at a time therefore leaves the
//! processor's AES units idle most of the time. Here up to [`LANES`] ids advance together, one block
//! each a round, and a round is one call of `encrypt_blocks`.
//!
//! An id of at most 16 bytes is a single block: the id, padded if shorter, xor a subkey, encrypted.
//! For ids of exactly 16 bytes that is a permutation, so no two of them share a fingerprint.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};

use super::Key;
use crate::key::Fingerprint;

/// Ids that advance together: the widest backend of `aes` takes 64 blocks at once.
const LANES: usize = 64;

/// Ids that share the lanes when some are longer than a block: enough that lanes seldom run empty.
const STRETCH: usize = 4 * LANES;

/// A block as a number whose little-endian bytes it is.
type Word = u128;

/// CMAC under one key.
pub(super) struct Cmac {
    aes: Aes128Enc,
    /// Subkey K1, for a last block that is whole.
    whole: Word,
    /// Subkey K2, for a last block that is padded.
    padded: Word,
}

/// An id on its way through the rounds.
#[derive(Clone, Copy, Default)]
struct Lane<'a> {
    /// Place of the id in the batch.
    index: usize,
    /// What has not been absorbed yet; `None` once the last block was.
    rest: Option<&'a [u8]>,
}

impl Cmac {
    pub(super) fn new(key: &Key) -> Cmac {
        let aes = Aes128Enc::new(key.into());
        let mut zero = Block::default();
        aes.encrypt_block(&mut zero);
        let first = double(u128::from_be_bytes(zero.0));
        Cmac { aes, whole: first.swap_bytes(), padded: double(first).swap_bytes() }
    }

    pub(super) fn fingerprint(&self, id: &[u8]) -> Fingerprint {
        let mut block = Block::default();
        let mut rest = Some(id);
        while let Some(part) = rest {
            rest = self.absorb(&mut block, part);
            self.aes.encrypt_block(&mut block);
        }
        finish(&block)
    }

    /// Fills `out` with the fingerprints of `ids`; both are of one length.
    pub(super) fn fingerprint_batch<I: AsRef<[u8]>>(
        &self,
        mut ids: &[I],
        mut out: &mut [Fingerprint],
    ) {
        assert_eq!(ids.len(), out.len(), "one place for each id");
        if let ([id], [place]) = (ids, &mut *out) {
            *place = self.fingerprint(id.as_ref()); // Nothing to set up lanes for.
            return;
        }
        while !ids.is_empty() {
            let mut done = ids.len().min(LANES);
            if !self.short(&ids[..done], &mut out[..done]) {
                done = ids.len().min(STRETCH);
                self.long(&ids[..done], &mut out[..done]);
            }
            ids = &ids[done..];
            out = &mut out[done..];
        }
    }

    /// Up to [`LANES`] ids of one block each; `false`, and nothing done, if one of them is longer.
    #[inline]
    fn short<I: AsRef<[u8]>>(&self, ids: &[I], out: &mut [Fingerprint]) -> bool {
        let mut blocks = [Block::default(); LANES];
        let blocks = &mut blocks[..ids.len()];
        for (block, id) in blocks.iter_mut().zip(ids) {
            let id = id.as_ref();
            if id.len() > 16 {
                return false;
            }
            *block = Block::from(self.last(id).to_le_bytes());
        }
        self.aes.encrypt_blocks(blocks);
        for (place, block) in out.iter_mut().zip(&*blocks) {
            *place = finish(block);
        }
        true
    }

    /// Ids of any lengths; a lane whose id is finished takes the next one.
    fn long<I: AsRef<[u8]>>(&self, ids: &[I], out: &mut [Fingerprint]) {
        let mut waiting = ids.iter().enumerate();
        let mut next = || {
            let (index, id) = waiting.next()?;
            Some(Lane { index, rest: Some(id.as_ref()) })
        };
        let mut lanes = [Lane::default(); LANES];
        let mut blocks = [Block::default(); LANES];
        let mut active = 0;
        while active < LANES {
            let Some(lane) = next() else { break };
            lanes[active] = lane;
            active += 1;
        }
        while active > 0 {
            for (lane, block) in lanes[..active].iter_mut().zip(&mut blocks) {
                lane.rest = self.absorb(block, lane.rest.expect("finished lanes have dropped out"));
            }
            self.aes.encrypt_blocks(&mut blocks[..active]);
            for i in (0..active).rev() {
                if lanes[i].rest.is_some() {
                    continue;
                }
                out[lanes[i].index] = finish(&blocks[i]);
                if let Some(lane) = next() {
                    lanes[i] = lane;
                    blocks[i] = Block::default();
                } else {
                    active -= 1;
                    lanes[i] = lanes[active];
                    blocks[i] = blocks[active];
                }
            }
        }
    }

    /// Xors the next block of `rest` into the chain; what is left of it, `None` after the last block.
    #[inline]
    fn absorb<'a>(&self, block: &mut Block, rest: &'a [u8]) -> Option<&'a [u8]> {
        let (word, rest) = match rest.split_first_chunk::<16>() {
            Some((head, tail)) if !tail.is_empty() => (Word::from_le_bytes(*head), Some(tail)),
            _ => (self.last(rest), None),
        };
        *block = Block::from((Word::from_le_bytes(block.0) ^ word).to_le_bytes());
        rest
    }

    /// The last block of an id, from its last 0 to 16 bytes: padded if not whole, xor the subkey.
    #[inline]
    fn last(&self, tail: &[u8]) -> Word {
        match <[u8; 16]>::try_from(tail) {
            Ok(whole) => Word::from_le_bytes(whole) ^ self.whole,
            Err(_) => (partial(tail) | 0x80 << (8 * tail.len())) ^ self.padded,
        }
    }
}

/// Multiplication by x in the field of 2^128 elements, as RFC 4493 has it.
fn double(value: u128) -> u128 {
    (value << 1) ^ if value >> 127 == 1 { 0x87 } else { 0 }
}

/// Fewer than 16 bytes, followed by zeros. Two reads that overlap stand for a copy of a length that
/// only the running program knows.
#[inline]
fn partial(bytes: &[u8]) -> Word {
    let len = bytes.len();
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return Word::from(u64::from_le_bytes(*head))
            | Word::from(u64::from_le_bytes(*tail)) << (8 * (len - 8));
    }
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return Word::from(u32::from_le_bytes(*head))
            | Word::from(u32::from_le_bytes(*tail)) << (8 * (len - 4));
    }
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | Word::from(byte))
}

#[inline]
fn finish(block: &Block) -> Fingerprint {
    Fingerprint::from_u128(u128::from_be_bytes(block.0))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Another implementation of the same standard, one id at a time.
    fn oracle(key: &Key, id: &[u8]) -> Fingerprint {
        use ::cmac::Mac;
        let mut mac = <::cmac::Cmac<aes::Aes128> as ::cmac::KeyInit>::new(key.into());
        mac.update(id);
        Fingerprint::from_u128(u128::from_be_bytes(mac.finalize().into_bytes().0))
    }

    fn batch<I: AsRef<[u8]>>(cmac: &Cmac, ids: &[I]) -> Vec<Fingerprint> {
        let mut out = vec![Fingerprint::default(); ids.len()];
        cmac.fingerprint_batch(ids, &mut out);
        out
    }

    #[test]
    fn the_vectors_of_rfc_4493() {
        let key = 0x2b7e1516_28aed2a6_abf71588_09cf4f3c_u128.to_be_bytes();
        let message = [
            0x6bc1bee2_2e409f96_e93d7e11_7393172a_u128,
            0xae2d8a57_1e03ac9c_9eb76fac_45af8e51,
            0x30c81c46_a35ce411_e5fbc119_1a0a52ef,
            0xf69f2445_df4f9b17_ad2b417b_e66c3710,
        ]
        .map(u128::to_be_bytes)
        .concat();
        let macs = [
            (0, 0xbb1d6929_e9593728_7fa37d12_9b756746_u128),
            (16, 0x070a16b4_6b4d4144_f79bdd9d_d04a287c),
            (40, 0xdfa66747_de9ae630_30ca3261_1497c827),
            (64, 0x51f0bebf_7e3b9d92_fc497417_79363cfe),
        ]
        .map(|(len, mac)| (&message[..len], Fingerprint::from_u128(mac)));
        let cmac = Cmac::new(&key);
        for (id, mac) in macs {
            assert_eq!(cmac.fingerprint(id), mac);
        }
        assert_eq!(batch(&cmac, &macs.map(|(id, _)| id)), macs.map(|(_, mac)| mac));
    }

    #[test]
    fn every_length_agrees_with_the_oracle() {
        let key = [0xa5; 16];
        let cmac = Cmac::new(&key);
        let bytes: Vec<u8> = (0..300).map(|i| (i * 7 + 1) as u8).collect();
        let ids: Vec<_> = (0..=300).map(|len| &bytes[..len]).collect();
        let expected: Vec<_> = ids.iter().map(|id| oracle(&key, id)).collect();
        assert_eq!(batch(&cmac, &ids), expected);
        for size in [1, 2, 17, LANES, LANES + 1] {
            let pieces: Vec<_> = ids.chunks(size).flat_map(|ids| batch(&cmac, ids)).collect();
            assert_eq!(pieces, expected, "in batches of {size}");
        }
    }

    #[test]
    fn ids_of_16_bytes_do_not_collide() {
        let cmac = Cmac::new(&[1; 16]);
        let ids: Vec<_> = (0..100_000_u128).map(u128::to_be_bytes).collect();
        let distinct: HashSet<_> = batch(&cmac, &ids).into_iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn sixteen_byte_ids_can_be_decrypted_back() {
        use aes::cipher::BlockCipherDecrypt;
        let key = [9; 16];
        let cmac = Cmac::new(&key);
        let aes = aes::Aes128::new(&key.into());
        for id in (0..1000_u128).map(|i| (i * i).to_be_bytes()) {
            let mut block = Block::from(cmac.fingerprint(&id).as_u128().to_be_bytes());
            aes.decrypt_block(&mut block);
            assert_eq!((Word::from_le_bytes(block.0) ^ cmac.whole).to_le_bytes(), id);
        }
    }

    proptest! {
        #[test]
        fn mixed_batches_agree_with_the_oracle(
            key: Key,
            ids in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..400),
        ) {
            let expected: Vec<_> = ids.iter().map(|id| oracle(&key, id)).collect();
            prop_assert_eq!(batch(&Cmac::new(&key), &ids), expected);
        }
    }
}
