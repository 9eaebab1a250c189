//! Identity: from an id's bytes to the 128 bits by which it is known.
//!
//! | module | what it is |
//! |---|---|
//! | `cmac` | AES-128-CMAC of many ids abreast |
//! | `xxh3` | XXH3-128 with a secret |
//!
//! The function and its key belong to the store: chosen once, kept in its file `STORE`, never changed.
//! A store that loses its key has lost its memory, and whoever reads the key can craft collisions.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::key::Fingerprint;

mod cmac;
mod xxh3;

/// The key of a store's identity function.
pub(crate) type Key = [u8; 16];

/// How ids are told apart: the keyed function that makes a [`Fingerprint`] of an id.
///
/// Chosen when a store is created, and part of it from then on.
///
/// | | [`AesCmac`](IdentityKind::AesCmac) | [`Xxh3`](IdentityKind::Xxh3) |
/// |---|---|---|
/// | two ids of N collide | with probability below N² / 2¹²⁹, whoever chose them | about as rarely, for ids that nobody crafted |
/// | ids of exactly 16 bytes | never collide among each other | as above |
/// | 16-byte ids cost, in batches | about 3 ns | about 3 ns |
/// | long ids cost | grows with each 16 bytes | grows less |
///
/// ```
/// use firstseen::IdentityKind;
/// assert_eq!("xxh3".parse::<IdentityKind>()?, IdentityKind::Xxh3);
/// assert_eq!(IdentityKind::default().to_string(), "aes-cmac");
/// # Ok::<(), firstseen::Error>(())
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityKind {
    /// AES-128-CMAC (RFC 4493) under a random key of the store: a pseudo-random function, so that
    /// even somebody who chooses all ids cannot make a new one look like a duplicate.
    ///
    /// The choice for ids that come from outside. Without AES instructions in the processor it is
    /// many times slower.
    #[default]
    AesCmac,

    /// XXH3-128 with a secret derived from the store's key. Fast for ids of any length, and no
    /// defence: it has fixed pairs of ids, from 32 bytes on, that collide under about one key of
    /// 2²⁷, so whoever may send many crafted ids can get a new one called a duplicate.
    ///
    /// The choice for ids that are long, or made by parties who are trusted.
    Xxh3,
}

impl IdentityKind {
    /// How it is written in the file `STORE`.
    pub(crate) fn code(self) -> u32 {
        match self {
            IdentityKind::AesCmac => 1,
            IdentityKind::Xxh3 => 2,
        }
    }

    /// The kind that is written so.
    pub(crate) fn from_code(code: u32) -> Option<IdentityKind> {
        [IdentityKind::AesCmac, IdentityKind::Xxh3].into_iter().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for IdentityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IdentityKind::AesCmac => "aes-cmac",
            IdentityKind::Xxh3 => "xxh3",
        })
    }
}

impl FromStr for IdentityKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<IdentityKind, Error> {
        match name {
            "aes-cmac" => Ok(IdentityKind::AesCmac),
            "xxh3" => Ok(IdentityKind::Xxh3),
            _ => Err(Error::InvalidOption {
                option: "identity",
                reason: format!("there is no {name:?}; choose aes-cmac or xxh3"),
            }),
        }
    }
}

/// The identity function of one store. Never shows its key.
pub(crate) struct Identity {
    function: Function,
}

enum Function {
    AesCmac(Box<cmac::Cmac>),
    Xxh3(Box<xxh3::Secret>),
}

impl Identity {
    /// The function `kind` under `key`. The same two always give the same fingerprints.
    pub(crate) fn new(kind: IdentityKind, key: Key) -> Identity {
        let function = match kind {
            IdentityKind::AesCmac => Function::AesCmac(Box::new(cmac::Cmac::new(&key))),
            IdentityKind::Xxh3 => Function::Xxh3(Box::new(xxh3::Secret::new(&key))),
        };
        Identity { function }
    }

    pub(crate) fn kind(&self) -> IdentityKind {
        match self.function {
            Function::AesCmac(_) => IdentityKind::AesCmac,
            Function::Xxh3(_) => IdentityKind::Xxh3,
        }
    }

    /// The fingerprint of one id. A batch is many times faster an id.
    pub(crate) fn fingerprint(&self, id: &[u8]) -> Fingerprint {
        match &self.function {
            Function::AesCmac(cmac) => cmac.fingerprint(id),
            Function::Xxh3(secret) => secret.fingerprint(id),
        }
    }

    /// Replaces what `out` holds by the fingerprints of `ids`, in their order. Allocates only if
    /// `out` has too little capacity.
    pub(crate) fn fingerprint_batch<I: AsRef<[u8]>>(&self, ids: &[I], out: &mut Vec<Fingerprint>) {
        out.clear();
        match &self.function {
            Function::AesCmac(cmac) => {
                out.resize(ids.len(), Fingerprint::default());
                cmac.fingerprint_batch(ids, out);
            }
            Function::Xxh3(secret) => {
                out.extend(ids.iter().map(|id| secret.fingerprint(id.as_ref())));
            }
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.kind())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [IdentityKind; 2] = [IdentityKind::AesCmac, IdentityKind::Xxh3];

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for kind in KINDS {
            assert_eq!(kind.to_string().parse::<IdentityKind>().unwrap(), kind);
        }
        let error = "md5".parse::<IdentityKind>().unwrap_err().to_string();
        assert_eq!(error, "option identity: there is no \"md5\"; choose aes-cmac or xxh3");
    }

    #[test]
    fn another_key_is_another_function() {
        let [a, b] = [[7; 16], [8; 16]];
        for kind in KINDS {
            let [a, b] = [a, b].map(|key| Identity::new(kind, key));
            for id in [&b""[..], b"id", b"exactly 16 bytes", &[0; 300]] {
                assert_ne!(a.fingerprint(id), b.fingerprint(id));
            }
        }
    }

    #[test]
    fn debug_hides_the_key() {
        assert_eq!(format!("{:?}", Identity::new(IdentityKind::Xxh3, [7; 16])), "Identity(xxh3)");
    }

    /// Bytes on disk depend on these: they change only with the format's version.
    #[test]
    fn fingerprints_are_pinned() {
        let key: Key = std::array::from_fn(|i| i as u8);
        let pinned = KINDS.map(|kind| {
            let identity = Identity::new(kind, key);
            [&b""[..], b"exactly 16 bytes", &[0x5a; 241]]
                .map(|id| identity.fingerprint(id).to_string())
        });
        assert_eq!(
            pinned,
            [
                [
                    "97dd6e5a882cbd564c39ae7d1c5a31aa",
                    "7b18216676df0c4717af05d16adb61a6",
                    "d8975ae0a0de3b4bb56622501c58bbda"
                ],
                [
                    "20194489d8285bd1e74bf31c65d7f9b5",
                    "4dc41df8c7be08ac55f39a534fff4f29",
                    "f0ee55d1f38d528a57665a9a05deae72"
                ]
            ]
        );
    }

    #[test]
    fn a_batch_reuses_its_vector() {
        let ids: Vec<[u8; 16]> = (0_u128..100).map(u128::to_be_bytes).collect();
        for kind in KINDS {
            let identity = Identity::new(kind, [3; 16]);
            let mut out = vec![Fingerprint::from_u128(9); 200];
            let before = out.as_ptr();
            identity.fingerprint_batch(&ids, &mut out);
            assert_eq!((out.len(), out.as_ptr()), (100, before));
            identity.fingerprint_batch::<&[u8]>(&[], &mut out);
            assert!(out.is_empty());
        }
    }

    proptest! {
        #[test]
        fn a_batch_says_what_single_calls_say(
            key: Key,
            ids in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..300),
        ) {
            for kind in KINDS {
                let identity = Identity::new(kind, key);
                let mut out = Vec::new();
                identity.fingerprint_batch(&ids, &mut out);
                let single: Vec<_> = ids.iter().map(|id| identity.fingerprint(id)).collect();
                prop_assert_eq!(&out, &single);
            }
        }
    }
}
