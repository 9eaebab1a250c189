//! A run's own filter, held in memory and kept beside its records.
//!
//! The same split-block Bloom filter that run files have, by the same arithmetic. Without it every
//! run of the window would be asked for each id that the window filter lets through, a microsecond each.

use super::piece;
use crate::error::{Error, Result};
use crate::format::run::BLOCK;
use crate::key::Fingerprint;
use crate::mem::prefetch;
use crate::run::filter::{Block, block_of, blocks_for, insert, may_contain};

/// Bits for each id: 1 % of the ids that the window filter lets through in vain read a block.
const BITS: u32 = 10;
/// Blocks of a piece: 4 KiB.
const PIECE: usize = 64;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct RunFilter {
    blocks: Box<[Block]>,
}

impl RunFilter {
    /// An empty filter for about `expected` records.
    pub(super) fn for_records(expected: u64) -> Result<RunFilter> {
        RunFilter::of_blocks(blocks_for(expected, BITS))
    }

    /// An empty filter of so many blocks.
    pub(super) fn of_blocks(blocks: u64) -> Result<RunFilter> {
        let too_many = |text: String| {
            let why = std::io::Error::new(std::io::ErrorKind::OutOfMemory, text);
            Error::io("allocate a filter for", std::path::Path::new("a run in sled"), why)
        };
        let count = usize::try_from(blocks).map_err(|e| too_many(e.to_string()))?;
        let mut filter = Vec::new();
        filter.try_reserve_exact(count).map_err(|e| too_many(e.to_string()))?;
        filter.resize(count, Block::default());
        Ok(RunFilter { blocks: filter.into_boxed_slice() })
    }

    pub(super) fn blocks(&self) -> u64 {
        self.blocks.len() as u64
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.blocks)
    }

    fn at(&self, id: Fingerprint) -> usize {
        block_of(id, self.blocks()) as usize
    }

    pub(super) fn insert(&mut self, id: Fingerprint) {
        let at = self.at(id);
        insert(self.blocks[at].bytes_mut(), id);
    }

    pub(super) fn may_contain(&self, id: Fingerprint) -> bool {
        may_contain(self.blocks[self.at(id)].bytes(), id)
    }

    pub(super) fn prefetch(&self, id: Fingerprint) {
        prefetch::read(&self.blocks[self.at(id)]);
    }

    /// The bytes of piece `index`; none behind the last.
    pub(super) fn piece(&self, index: usize) -> Option<Vec<u8>> {
        let blocks = self.blocks.chunks(PIECE).nth(index)?;
        let mut bytes = Vec::with_capacity(PIECE * BLOCK + piece::SUM);
        blocks.iter().for_each(|block| bytes.extend_from_slice(block.bytes()));
        Some(bytes)
    }

    /// Takes over piece `index`. `false` if its length is not that of one.
    pub(super) fn put(&mut self, index: usize, piece: &[u8]) -> bool {
        let Some(blocks) = self.blocks.chunks_mut(PIECE).nth(index) else {
            return false;
        };
        let (bytes, rest) = piece.as_chunks::<BLOCK>();
        if bytes.len() != blocks.len() || !rest.is_empty() {
            return false;
        }
        blocks.iter_mut().zip(bytes).for_each(|(block, bytes)| *block.bytes_mut() = *bytes);
        true
    }

    /// How many pieces it has.
    pub(super) fn piece_count(&self) -> u64 {
        self.blocks().div_ceil(PIECE as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_its_pieces() {
        let id = |n: u64| {
            let hi = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Fingerprint { hi, lo: (hi ^ hi >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) }
        };
        let ids: Vec<_> = (0..5_000).map(id).collect();
        let mut filter = RunFilter::for_records(5_000).unwrap();
        ids.iter().for_each(|&id| filter.insert(id));
        let mut again = RunFilter::of_blocks(filter.blocks()).unwrap();
        let pieces: Vec<_> = (0..).map_while(|index| filter.piece(index)).collect();
        assert_eq!(pieces.len() as u64, filter.piece_count());
        for (index, piece) in pieces.iter().enumerate() {
            assert!(piece.len() + piece::SUM <= piece::MAX);
            assert!(!again.put(index, &piece[1..]));
            assert!(again.put(index, piece));
        }
        assert!(!again.put(pieces.len(), &pieces[0]));
        assert!(ids.iter().all(|&id| again.may_contain(id)));
        let absent = (5_000..10_000).map(id);
        assert!(absent.filter(|&id| again.may_contain(id)).count() < 250);
    }
}
