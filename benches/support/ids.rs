//! Ids as benches and counts present them.

pub type Id = [u8; 16];

/// The `n`th id: a counter and a constant, as many real ids are.
pub fn id(n: u64) -> Id {
    (u128::from(n) << 64 | 0x0123_4567_89ab_cdef).to_be_bytes()
}
