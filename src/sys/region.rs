//! Bytes of an immutable file, as memory.

use std::fmt;
use std::ops::Deref;

use memmap2::Mmap;

/// Bytes that do not change: a mapping of a sealed file, or a copy of it.
///
/// A mapping stays valid after the file was removed. Reading it can fault a page in from the disk,
/// and a media error there ends the process; whoever wants an error instead reads the file into
/// memory and makes a region `From` that.
pub struct Region(Bytes);

enum Bytes {
    Mapped(Mmap),
    Held(Box<[u8]>),
}

impl Deref for Region {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(map) => map,
            Bytes::Held(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Region {
    fn from(bytes: Vec<u8>) -> Region {
        Region(Bytes::Held(bytes.into_boxed_slice()))
    }
}

impl From<Mmap> for Region {
    fn from(map: Mmap) -> Region {
        Region(Bytes::Mapped(map))
    }
}

/// Kind and length; never the bytes.
impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Bytes::Mapped(_) => "Mapped",
            Bytes::Held(_) => "Held",
        };
        write!(f, "Region::{kind}({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_the_length_and_hides_the_bytes() {
        let region = Region::from(b"secret".to_vec());
        assert_eq!(&*region, b"secret");
        assert_eq!(format!("{region:?}"), "Region::Held(6 bytes)");
    }
}
