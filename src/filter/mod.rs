//! The window filter: the one question "may any sealed generation hold this id?", for one cache line.
//!
//! **The promise about false answers.** "Absent" is never false: for an id that was added and is
//! still live the answer is "maybe", from every thread, while the filter is being filled, swept or
//! rebuilt. "Maybe" is false at the rate that [`params::false_positive_rate`] computes. So a filter
//! proves absence and decides nothing else; behind every "maybe" stands an exact look.
//!
//! - `params`: sizes and rates; pure arithmetic.
//! - `place`: which block belongs to a fingerprint, and which fingerprints to a block.
//! - `block`: one cache line: test, add, image.
//! - `window`: the filter of all sealed generations, and `reader`, a batch's view of it.
//! - `range`: the images of a range of blocks, for a sweep or a rebuild.
//!
//! Block and bits come from different halves of the fingerprint (`hi` and `lo`), so that neither
//! implies the other. Two filters over the same ids share their bits inside the block, though:
//! a "maybe" of one makes a "maybe" of the other likelier than its rate says.
#![cfg_attr(not(feature = "testing"), allow(unreachable_pub))]

mod block;
pub mod params;
mod place;
mod range;
mod reader;
mod window;

#[cfg(any(test, feature = "testing"))]
pub use block::Image;
pub use range::RangeBuilder;
#[cfg(any(test, feature = "testing"))]
pub use reader::Reader;
pub use window::WindowFilter;

#[cfg(all(test, loom))]
mod loom_tests;

#[cfg(all(test, not(loom)))]
mod testing {
    use crate::key::Fingerprint;

    /// An endless row of uniform fingerprints (SplitMix64), the same for the same seed.
    pub(super) fn fingerprints(seed: u64) -> impl Iterator<Item = Fingerprint> {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = state;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bits ^ (bits >> 31)
        };
        std::iter::repeat_with(move || Fingerprint { hi: next(), lo: next() })
    }
}
