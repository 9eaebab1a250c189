//! Bytes of an immutable file, as memory.

use std::ops::Deref;

/// Bytes that do not change: a mapping of a sealed file, or a copy of it.
#[derive(Debug)]
pub struct Region(Box<[u8]>);

impl Deref for Region {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Region {
    fn from(bytes: Vec<u8>) -> Region {
        Region(bytes.into_boxed_slice())
    }
}
