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
        let blocks = blocks_for(expected, BITS);
        let count = usize::try_from(blocks).map_err(too_many)?;
        let mut filter = Vec::new();
        filter.try_reserve_exact(count).map_err(too_many)?;
        filter.resize(count, Block::default());
        Ok(RunFilter { blocks: filter.into_boxed_slice() })
    }

    /// A filter of so many blocks, out of its pieces: `fetch` is told which one, and how many bytes that
    /// has. Memory is taken as they come, for the number may be wrong.
    pub(super) fn load(
        blocks: u64,
        mut fetch: impl FnMut(u32, usize) -> Result<Vec<u8>>,
    ) -> Result<RunFilter> {
        let mut filter: Vec<Block> = Vec::new();
        while (filter.len() as u64) < blocks {
            let count = (blocks - filter.len() as u64).min(PIECE as u64) as usize;
            let piece = fetch((filter.len() / PIECE) as u32, count * BLOCK)?;
            assert_eq!(piece.len(), count * BLOCK, "a piece of the length that was asked for");
            filter.try_reserve(count).map_err(too_many)?;
            filter.extend(piece.as_chunks::<BLOCK>().0.iter().map(|bytes| {
                let mut block = Block::default();
                *block.bytes_mut() = *bytes;
                block
            }));
        }
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
        insert(self.blocks[at].bytes_mut(), std::iter::once(id));
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
}

fn too_many(why: impl ToString) -> Error {
    let why = std::io::Error::new(std::io::ErrorKind::OutOfMemory, why.to_string());
    Error::io("allocate a filter for", std::path::Path::new("a run in sled"), why)
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
        let pieces: Vec<_> = (0..).map_while(|index| filter.piece(index)).collect();
        assert!(pieces.iter().all(|piece| piece.len() + piece::SUM <= piece::MAX));
        let fetch = |index: u32, len: usize| {
            assert_eq!(pieces[index as usize].len(), len);
            Ok(pieces[index as usize].clone())
        };
        let again = RunFilter::load(filter.blocks(), fetch).unwrap();
        assert!(ids.iter().all(|&id| again.may_contain(id)));
        let absent = (5_000..10_000).map(id);
        assert!(absent.filter(|&id| again.may_contain(id)).count() < 250);
    }

    /// A header can say any number; 2^50 blocks would be 64 PiB.
    #[test]
    fn pieces_that_are_missing_take_no_memory() {
        let fetch = |index: u32, len: usize| match index {
            0..3 => Ok(vec![0; len]),
            _ => Err(Error::Closed),
        };
        assert!(matches!(RunFilter::load(1 << 50, fetch), Err(Error::Closed)));
    }
}
