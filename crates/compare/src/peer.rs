//! What a peer is: a set of ids that tells which ones are new.

use std::error::Error;
use std::path::Path;

/// An id: 16 bytes, as of a UUID.
pub(crate) type Id = [u8; 16];

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A set of ids, opened.
pub(crate) trait Peer {
    /// Presents a batch. Leaves in `new`, for each id in order, whether it was seen for the first
    /// time: of all calls that present an id, from any threads, exactly one is told so, and inside
    /// a batch the first.
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()>;

    /// Does the work that acknowledged calls have put off, up to the last sync. What is on disk
    /// afterwards counts as the peer's bytes.
    fn finish(&self) -> Result<()>;
}

/// What a peer gets to open with.
pub(crate) struct Setup<'a> {
    /// An empty folder of its own.
    pub(crate) folder: &'a Path,
    /// How many ids it will hold in the end.
    pub(crate) expected_ids: usize,
}

/// An opened peer, and whether threads may share it.
pub(crate) enum Opened {
    Alone(Box<dyn Peer>),
    Shared(Box<dyn Peer + Sync>),
}

impl Opened {
    pub(crate) fn peer(&self) -> &dyn Peer {
        match self {
            Opened::Alone(peer) => &**peer,
            Opened::Shared(peer) => &**peer,
        }
    }
}

/// A peer on the list.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// What an acknowledged id survives, in the words of firstseen's own durability.
    pub(crate) durability: &'static str,
    pub(crate) open: fn(&Setup) -> Result<Opened>,
}
