//! Doors to internals that benches measure apart from the store.

use crate::identity::{Identity, IdentityKind};
use crate::key::Fingerprint;

/// The identity function of a store, by itself.
#[derive(Debug)]
pub struct Fingerprinter(Identity);

impl Fingerprinter {
    /// The function `kind` under `key`.
    #[must_use]
    pub fn new(kind: IdentityKind, key: [u8; 16]) -> Fingerprinter {
        Fingerprinter(Identity::new(kind, key))
    }

    /// The fingerprint of one id.
    #[must_use]
    pub fn one(&self, id: &[u8]) -> Fingerprint {
        self.0.fingerprint(id)
    }

    /// Replaces what `out` holds by the fingerprints of `ids`.
    pub fn batch<I: AsRef<[u8]>>(&self, ids: &[I], out: &mut Vec<Fingerprint>) {
        self.0.fingerprint_batch(ids, out);
    }
}
