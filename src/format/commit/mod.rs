//! What a commit carries: the payload of the log frames that commit, prepare and abort.
//!
//! Ids, then [items](Item) up to the end. Splitting a payload checks all of it once; going through
//! it afterwards cannot fail. Everything in it is absolute ("the progress is 7", not "3 more"), so
//! that applying it twice gives what applying it once gives.

use std::path::Path;

use super::u32_at;
use crate::error::Corruption;
use crate::key::Fingerprint;

mod item;
#[cfg(test)]
mod tests;

pub(crate) use item::{HEADER as ITEM_HEADER, Item, push_item};

/// The longest key of the state, name of a source, and token, in bytes. Names and tokens have at
/// least one.
pub(crate) const KEY_MAX: usize = 1024;
/// The longest value of the state in bytes.
pub(crate) const VALUE_MAX: usize = 1 << 20;
/// The longest outcome in bytes.
pub(crate) const OUTCOME_MAX: usize = 1 << 20;
/// The longest payload of a commit in bytes: it is built, staged and replayed in memory.
pub(crate) const COMMIT_MAX: usize = 16 << 20;

/// Bytes before the first id.
const HEADER: usize = 8;

/// Bytes of a payload with `ids` ids and `items` bytes of items.
pub(crate) fn payload_len(ids: usize, items: usize) -> usize {
    ids.saturating_mul(Fingerprint::BYTES).saturating_add(HEADER).saturating_add(items)
}

/// Starts a payload: count and ids. Items follow.
pub(crate) fn push_ids(out: &mut Vec<u8>, ids: impl ExactSizeIterator<Item = Fingerprint>) {
    let count = u32::try_from(ids.len()).expect("a call has fewer ids");
    out.reserve(payload_len(ids.len(), 0));
    out.extend(u64::from(count).to_le_bytes());
    ids.for_each(|id| out.extend(id.as_u128().to_le_bytes()));
}

/// The payload that gives up the prepared transaction with this token.
pub(crate) fn abort_payload(token: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    push_ids(&mut payload, std::iter::empty());
    push_item(&mut payload, &Item::Token(token));
    payload
}

/// The bytes of the ids of a payload; `None` if it has not so many.
pub(crate) fn id_bytes(payload: &[u8]) -> Option<&[u8]> {
    let count = payload.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))?;
    payload.get(HEADER..payload_len(count as usize, 0))
}

/// Reads the payload of an abort: the token of what is given up.
pub(crate) fn decode_abort(payload: &[u8]) -> Result<&[u8], Flaw> {
    let commit = Commit::split(payload)?;
    let mut items = commit.items();
    match (commit.ids, items.next(), items.next()) {
        ([], Some(Item::Token(token)), None) => Ok(token),
        _ => Err(Flaw { at: 0, expected: "a token and nothing else", found: commit.summary() }),
    }
}

/// What is wrong with the bytes of a payload. The caller knows which file they are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Offset in the payload.
    pub(crate) at: usize,
    /// What should stand there.
    pub(crate) expected: &'static str,
    /// What stands there.
    pub(crate) found: String,
}

impl Flaw {
    /// The error, for a payload that starts at `offset` of the file at `path`.
    pub(crate) fn corruption(self, path: &Path, offset: u64, what: &'static str) -> Corruption {
        let (path, offset) = (path.to_path_buf(), offset + self.at as u64);
        Corruption { path, offset, what, expected: self.expected.into(), found: self.found }
    }
}

/// The payload of a commit, split and checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Commit<'a> {
    ids: &'a [[u8; Fingerprint::BYTES]],
    payload: &'a [u8],
    token: Option<&'a [u8]>,
}

impl<'a> Commit<'a> {
    /// Reads the payload of a commit.
    pub(crate) fn decode(payload: &'a [u8]) -> Result<Commit<'a>, Flaw> {
        let commit = Commit::split(payload)?;
        match commit.items().find(|item| matches!(item, Item::RawId { .. })) {
            None => Ok(commit),
            Some(_) => {
                let (expected, found) = ("no bytes of ids in a commit", commit.summary());
                Err(Flaw { at: 0, expected, found })
            }
        }
    }

    /// Checks everything that commits, prepares and aborts have in common.
    fn split(payload: &'a [u8]) -> Result<Commit<'a>, Flaw> {
        if !(HEADER..=COMMIT_MAX).contains(&payload.len()) {
            let found = format!("{} bytes", payload.len());
            return Err(Flaw { at: 0, expected: "the length of a payload", found });
        }
        let (count, zero) = (u32_at(payload, 0), u32_at(payload, 4));
        let rest = &payload[HEADER..];
        if count as usize > rest.len() / Fingerprint::BYTES {
            let found = format!("{count} in {} bytes", rest.len());
            return Err(Flaw { at: 0, expected: "a count of ids that fit", found });
        }
        if zero != 0 {
            return Err(Flaw { at: 4, expected: "zero", found: format!("{zero:#x}") });
        }
        let mut at = payload_len(count as usize, 0);
        let (ids, _) = payload[HEADER..at].as_chunks();
        let mut token = None;
        while at < payload.len() {
            let item = Item::decode(payload, at, count)?;
            if let Item::Token(bytes) = item
                && token.replace(bytes).is_some()
            {
                return Err(Flaw { at, expected: "one token", found: "a second one".into() });
            }
            at += item.encoded_len();
        }
        Ok(Commit { ids, payload, token })
    }

    /// The whole payload.
    pub(crate) fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// How many ids it has.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Its ids; items name them by their place here.
    pub(crate) fn ids(&self) -> impl ExactSizeIterator<Item = Fingerprint> + 'a {
        self.ids.iter().map(|bytes| Fingerprint::from_u128(u128::from_le_bytes(*bytes)))
    }

    /// Its items, in the order in which they apply.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item<'a>> + 'a {
        let (payload, count) = (self.payload, u32_at(self.payload, 0));
        let mut at = payload_len(self.ids.len(), 0);
        std::iter::from_fn(move || {
            let more = at < payload.len();
            let item =
                more.then(|| Item::decode(payload, at, count).expect("checked when split"))?;
            at += item.encoded_len();
            Some(item)
        })
    }

    /// The prepared transaction that it settles, if it does.
    pub(crate) fn token(&self) -> Option<&'a [u8]> {
        self.token
    }

    /// Its id of an index that an item names.
    pub(crate) fn id(&self, index: u32) -> Fingerprint {
        Fingerprint::from_u128(u128::from_le_bytes(self.ids[index as usize]))
    }

    fn summary(&self) -> String {
        format!("{} ids and {} items", self.ids.len(), self.items().count())
    }
}

/// The payload of a prepared transaction, split and checked: it has a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prepare<'a> {
    commit: Commit<'a>,
    token: &'a [u8],
}

impl<'a> Prepare<'a> {
    /// Reads the payload of a prepared transaction.
    pub(crate) fn decode(payload: &'a [u8]) -> Result<Prepare<'a>, Flaw> {
        let commit = Commit::split(payload)?;
        match commit.token {
            Some(token) => Ok(Prepare { commit, token }),
            None => Err(Flaw { at: 0, expected: "a token", found: commit.summary() }),
        }
    }

    /// Its token.
    pub(crate) fn token(&self) -> &'a [u8] {
        self.token
    }

    /// The fencing token of its claim.
    pub(crate) fn fence(&self) -> u64 {
        let fence = |item| if let Item::Fence(fence) = item { Some(fence) } else { None };
        self.commit.items().find_map(fence).unwrap_or(0)
    }

    /// Its ids and items, as of a commit.
    pub(crate) fn commit(&self) -> &Commit<'a> {
        &self.commit
    }

    /// The payload of the commit that settles it: all of it but the bytes of its ids. So it is
    /// complete without the prepared one, and no longer than that was.
    pub(crate) fn settlement(&self) -> Vec<u8> {
        self.settlement_with(&|_, next| Some(next))
    }

    /// The same, with other progress: of a source and the position that was prepared, the one that it
    /// gets. With `None` it stays where it is.
    pub(crate) fn settlement_with(&self, progress: &dyn Fn(&str, u64) -> Option<u64>) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.commit.payload.len());
        push_ids(&mut payload, self.commit.ids());
        for item in self.commit.items() {
            let item = match item {
                Item::RawId { .. } | Item::Fence(_) => continue,
                Item::Progress { source, next } => match progress(source, next) {
                    Some(next) => Item::Progress { source, next },
                    None => continue,
                },
                item => item,
            };
            push_item(&mut payload, &item);
        }
        payload
    }
}
