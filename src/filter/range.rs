//! The images of a range of blocks, gathered from the sorted runs.
//!
//! A sweep or a rebuild walks the filter in ranges. For each it takes from every live run the slice
//! of fingerprints that [`WindowFilter::hi_range`] names, adds them here, and hands the images to
//! [`WindowFilter::rewrite`]. The promise: an id that was added is in its block's image; one that
//! does not belong to the range is refused aloud, because dropping it would be a false "absent".
//!
//! [`WindowFilter::hi_range`]: super::WindowFilter::hi_range
//! [`WindowFilter::rewrite`]: super::WindowFilter::rewrite

use std::ops::Range;

use super::{
    block::{self, Image},
    place::Place,
};
use crate::key::Fingerprint;

/// Images of blocks `from_block()..from_block() + images().len()`. Its memory is used again from
/// range to range.
#[derive(Debug)]
pub struct RangeBuilder {
    place: Place,
    from_block: u64,
    images: Vec<Image>,
}

impl RangeBuilder {
    pub(super) fn new(place: Place) -> RangeBuilder {
        RangeBuilder { place, from_block: 0, images: Vec::new() }
    }

    /// Starts on another range of blocks, with empty images.
    ///
    /// # Panics
    ///
    /// When the range reaches beyond the filter or runs backwards.
    pub fn start(&mut self, range: Range<u64>) {
        assert!(
            range.start <= range.end && range.end <= self.place.blocks(),
            "blocks {range:?} of {}",
            self.place.blocks()
        );
        let count = usize::try_from(range.end - range.start).expect("a range fits memory");
        self.from_block = range.start;
        self.images.clear();
        self.images.resize(count, Image::default());
    }

    /// Puts an id into the image of its block. Ascending order is fast; any order is right.
    ///
    /// # Panics
    ///
    /// When the id belongs to a block outside the range.
    #[inline]
    pub fn add(&mut self, fp: Fingerprint) {
        let block = self.place.block_of(fp.hi);
        let at = block.checked_sub(self.from_block).filter(|&at| at < self.images.len() as u64);
        match at {
            Some(at) => block::add_to_image(&mut self.images[at as usize], fp.lo),
            None => self.refuse(block),
        }
    }

    /// The first block of the range.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn from_block(&self) -> u64 {
        self.from_block
    }

    /// The images, one for each block of the range.
    #[must_use]
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    #[cold]
    fn refuse(&self, block: u64) -> ! {
        let end = self.from_block + self.images.len() as u64;
        panic!("id of block {block} in range {}..{end}", self.from_block);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn of_block(place: Place, block: u64) -> Fingerprint {
        Fingerprint { hi: place.first_hi_of(block), lo: 0 }
    }

    #[test]
    fn a_new_range_starts_empty() {
        let place = Place::new(100);
        let mut builder = RangeBuilder::new(place);
        builder.start(10..12);
        builder.add(of_block(place, 10));
        builder.add(of_block(place, 11));
        assert_eq!(builder.images(), [[1; 8], [1; 8]]);
        builder.start(50..53);
        assert_eq!(builder.from_block(), 50);
        assert_eq!(builder.images(), [[0; 8]; 3]);
    }

    #[test]
    #[should_panic(expected = "id of block 12 in range 10..12")]
    fn an_id_behind_the_range_is_refused() {
        let place = Place::new(100);
        let mut builder = RangeBuilder::new(place);
        builder.start(10..12);
        builder.add(of_block(place, 12));
    }

    #[test]
    #[should_panic(expected = "id of block 9 in range 10..12")]
    fn an_id_before_the_range_is_refused() {
        let place = Place::new(100);
        let mut builder = RangeBuilder::new(place);
        builder.start(10..12);
        builder.add(of_block(place, 9));
    }
}
