//! Which page: the top 64 bits of every page's first record, in memory.
//!
//! 8 bytes a page, 0.03 bytes an id. Fingerprints are evenly spread, so a page is found by
//! interpolation: once from the whole range, once more from how far off that was, which leaves a few
//! entries of the same cache line or the next. Whatever the spread, the search then doubles its
//! steps and halves them again, so it never looks at more than 2 log2(pages) entries.

use std::ops::Index;

use crate::mem::prefetch;

/// The first `hi` of each page, ascending.
#[derive(Debug)]
pub(super) struct Directory(Box<[u64]>);

impl Directory {
    /// Of `starts` in ascending order; otherwise the index of the first that is too small.
    pub(super) fn new(starts: Vec<u64>) -> Result<Directory, usize> {
        match starts.windows(2).position(|pair| pair[0] > pair[1]) {
            Some(before) => Err(before + 1),
            None => Ok(Directory(starts.into_boxed_slice())),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.0.len() * size_of::<u64>()
    }

    /// Asks for the cache line at which the search for `hi` will begin.
    #[inline]
    pub(super) fn prefetch(&self, hi: u64) {
        if let Some(start) = self.0.get(self.scale(hi)) {
            prefetch::read(start);
        }
    }

    /// The last page that begins at or below `hi`.
    #[inline]
    pub(super) fn last_at_most(&self, hi: u64) -> Option<usize> {
        if self.0.first().is_none_or(|&first| first > hi) {
            return None;
        }
        let guess = self.scale(hi);
        let off = self.scale(hi.abs_diff(self.0[guess]));
        let near = match self.0[guess] <= hi {
            true => (guess + off).min(self.0.len() - 1),
            false => guess.saturating_sub(off),
        };
        Some(self.gallop(hi, near))
    }

    /// The first page that may hold a record of `hi` or above: the last that begins below it.
    pub(super) fn first_reaching(&self, hi: u64) -> usize {
        self.0.partition_point(|&start| start < hi).saturating_sub(1)
    }

    /// Where `hi` would stand if the pages were evenly spread.
    #[inline]
    fn scale(&self, hi: u64) -> usize {
        ((u128::from(hi) * self.0.len() as u128) >> 64) as usize
    }

    /// The last page that begins at or below `hi`, near page `at`. The first one does.
    #[inline]
    fn gallop(&self, hi: u64, at: usize) -> usize {
        let mut step = 1;
        let (low, high) = if self.0[at] <= hi {
            let mut low = at;
            while low + step < self.0.len() && self.0[low + step] <= hi {
                low += step;
                step *= 2;
            }
            (low, (low + step).min(self.0.len()))
        } else {
            let mut high = at;
            while high > step && self.0[high - step] > hi {
                high -= step;
                step *= 2;
            }
            (high.saturating_sub(step), high)
        };
        // Page `low` begins at or below `hi`, page `high`, if there is one, above.
        low + self.0[low + 1..high].partition_point(|&start| start <= hi)
    }
}

impl Index<usize> for Directory {
    type Output = u64;

    fn index(&self, page: usize) -> &u64 {
        &self.0[page]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_directory_has_no_page() {
        let directory = Directory::new(Vec::new()).unwrap();
        assert_eq!(directory.last_at_most(u64::MAX), None);
        directory.prefetch(5);
    }

    #[test]
    fn a_directory_that_descends_is_refused() {
        assert_eq!(Directory::new(vec![1, 5, 5, 4]).unwrap_err(), 3);
    }

    proptest! {
        #[test]
        fn search_agrees_with_a_scan(
            mut starts in prop::collection::vec(
                prop_oneof![any::<u64>(), 0..9_u64, Just(u64::MAX), (1_u64 << 63)..(1 << 63) + 99],
                1..200,
            ),
            others in prop::collection::vec(any::<u64>(), 20),
        ) {
            starts.sort_unstable();
            let directory = Directory::new(starts.clone()).unwrap();
            let around = starts.iter().flat_map(|&s| [s.saturating_sub(1), s, s.saturating_add(1)]);
            for hi in around.chain(others) {
                let expected = starts.iter().rposition(|&start| start <= hi);
                prop_assert_eq!(directory.last_at_most(hi), expected);
                let reaching = starts.iter().rposition(|&start| start < hi).unwrap_or(0);
                prop_assert_eq!(directory.first_reaching(hi), reaching);
            }
        }
    }
}
