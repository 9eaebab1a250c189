//! An item: one thing that a commit carries beside its ids.
//!
//! A fixed header of kind, flags and lengths, then the bytes of key and value, unaligned. An item has
//! exactly one encoding: what decodes is, encoded again, the same bytes.

use super::{Flaw, KEY_MAX, OUTCOME_MAX, VALUE_MAX};
use crate::format::{u32_at, u64_at};
use crate::key::Fingerprint;

/// Bytes before an item's key.
pub(crate) const HEADER: usize = 12;

const PROGRESS: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;
const VALUE: u8 = 4;
const TOKEN: u8 = 5;
const RAW_ID: u8 = 6;

/// Flag of a value: there is an outcome, if only an empty one.
const HAS_OUTCOME: u8 = 1;

/// One thing that a commit carries beside its ids. See the module documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// The next position to read of a source, as it is from now on.
    Progress { source: &'a str, next: u64 },
    /// A key of the state has this value from now on.
    Put { key: &'a [u8], value: &'a [u8] },
    /// A key of the state is gone.
    Delete { key: &'a [u8] },
    /// What is kept with id `index`: the fingerprint of its payload, its outcome, or both.
    Value { index: u32, payload: Option<Fingerprint>, outcome: Option<&'a [u8]> },
    /// The two-phase token: of a prepared transaction, or of the one that is settled.
    Token(&'a [u8]),
    /// The caller's bytes of id `index`, so that a prepared transaction can be told in full.
    RawId { index: u32, id: &'a [u8] },
}

impl<'a> Item<'a> {
    /// Bytes that the item takes.
    pub(crate) fn encoded_len(&self) -> usize {
        HEADER
            + match *self {
                Item::Progress { source, .. } => source.len() + 8,
                Item::Put { key, value } => key.len() + value.len(),
                Item::Delete { key } => key.len(),
                Item::Value { payload, outcome, .. } => {
                    payload.map_or(0, |_| Fingerprint::BYTES) + outcome.map_or(0, <[u8]>::len)
                }
                Item::Token(token) => token.len(),
                Item::RawId { id, .. } => id.len(),
            }
    }

    /// Splits the item off that starts at `at`, of a payload with `ids` ids.
    pub(crate) fn decode(bytes: &'a [u8], at: usize, ids: u32) -> Result<Item<'a>, Flaw> {
        let flaw = |field: usize, expected: &'static str, found: String| {
            Err(Flaw { at: at + field, expected, found })
        };
        let rest = &bytes[at..];
        if rest.len() < HEADER {
            return flaw(0, "a whole item header", format!("{} bytes", rest.len()));
        }
        let (header, rest) = rest.split_at(HEADER);
        let [kind, flags] = [header[0], header[1]];
        let key_len = usize::from(u16::from_le_bytes([header[2], header[3]]));
        let (value_len, index) = (u32_at(header, 4), u32_at(header, 8));
        let Some(value_end) = key_len.checked_add(value_len as usize).filter(|&n| n <= rest.len())
        else {
            let found = format!("{key_len} and {value_len} in {}", rest.len());
            return flaw(2, "lengths of key and value that fit the payload", found);
        };
        let (key, value) = rest[..value_end].split_at(key_len);
        let rules = match kind {
            PROGRESS => Rules { key: 1..=KEY_MAX, value: 8..=8, ..Rules::PLAIN },
            PUT => Rules { value: 0..=VALUE_MAX, ..Rules::PLAIN },
            DELETE => Rules::PLAIN,
            VALUE => Rules { key: 0..=16, value: 0..=OUTCOME_MAX, of_id: true },
            TOKEN => Rules { key: 1..=KEY_MAX, ..Rules::PLAIN },
            RAW_ID => Rules { key: 0..=0, value: 0..=usize::MAX, of_id: true },
            _ => return flaw(0, "a kind of item, 1 to 6", format!("{kind}")),
        };
        if !rules.key.contains(&key_len) {
            return flaw(2, "a length of the key within the limits", format!("{key_len}"));
        }
        if !rules.value.contains(&value.len()) {
            return flaw(4, "a length of the value within the limits", format!("{value_len}"));
        }
        let named = if rules.of_id { index < ids } else { index == 0 };
        if !named {
            let found = format!("{index} of {ids}, kind {kind}");
            return flaw(8, "the index of an id, or zero", found);
        }
        if flags != 0 && (kind, flags) != (VALUE, HAS_OUTCOME) {
            return flaw(1, "flags that the kind has", format!("{flags:#04x}, kind {kind}"));
        }
        Ok(match kind {
            PROGRESS => match std::str::from_utf8(key) {
                Ok(source) => Item::Progress { source, next: u64_at(value, 0) },
                Err(e) => return flaw(HEADER, "the name of a source in UTF-8", e.to_string()),
            },
            PUT => Item::Put { key, value },
            DELETE => Item::Delete { key },
            VALUE => {
                let bits = <[u8; Fingerprint::BYTES]>::try_from(key).ok().map(u128::from_le_bytes);
                if bits.is_none() && !key.is_empty() {
                    return flaw(2, "a payload's 16 bytes or none", format!("{key_len}"));
                }
                let outcome = (flags == HAS_OUTCOME).then_some(value);
                if outcome.is_none() && (bits.is_none() || !value.is_empty()) {
                    return flaw(1, "the flag of an outcome, or only a payload", "0".into());
                }
                Item::Value { index, payload: bits.map(Fingerprint::from_u128), outcome }
            }
            TOKEN => Item::Token(key),
            _ => Item::RawId { index, id: value },
        })
    }
}

/// What the fields of an item of some kind may be.
struct Rules {
    key: std::ops::RangeInclusive<usize>,
    value: std::ops::RangeInclusive<usize>,
    /// Whether its index names an id; else it is zero.
    of_id: bool,
}

impl Rules {
    /// A key of any length, no value, no id.
    const PLAIN: Rules = Rules { key: 0..=KEY_MAX, value: 0..=0, of_id: false };
}

/// Adds an item. Its lengths were checked against the limits.
pub(crate) fn push_item(out: &mut Vec<u8>, item: &Item<'_>) {
    let mut put = |kind: u8, flags: u8, index: u32, key: &[u8], value: &[u8]| {
        let key_len = u16::try_from(key.len()).expect("limits were checked");
        let value_len = u32::try_from(value.len()).expect("limits were checked");
        out.extend([kind, flags]);
        out.extend(key_len.to_le_bytes());
        out.extend(value_len.to_le_bytes());
        out.extend(index.to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    };
    match *item {
        Item::Progress { source, next } => {
            put(PROGRESS, 0, 0, source.as_bytes(), &next.to_le_bytes());
        }
        Item::Put { key, value } => put(PUT, 0, 0, key, value),
        Item::Delete { key } => put(DELETE, 0, 0, key, &[]),
        Item::Value { index, payload, outcome } => {
            debug_assert!(payload.is_some() || outcome.is_some(), "a value holds something");
            let bits = payload.map(|payload| payload.as_u128().to_le_bytes());
            let key = bits.as_ref().map_or(&[][..], |bits| &bits[..]);
            let flags = if outcome.is_some() { HAS_OUTCOME } else { 0 };
            put(VALUE, flags, index, key, outcome.unwrap_or_default());
        }
        Item::Token(token) => put(TOKEN, 0, 0, token, &[]),
        Item::RawId { index, id } => put(RAW_ID, 0, index, &[], id),
    }
}
