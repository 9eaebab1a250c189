//! Which key holds what: every name of a tree and every key, built and parsed here and nowhere else.
//!
//! Numbers in keys are big-endian, so that keys are ordered as the numbers are. A store has a tree for
//! its log and one for each generation; in that, all keys of a run begin with the run's number.

use std::ops::RangeInclusive;

use crate::key::Fingerprint;

/// The tree of the log.
pub(super) const LOG: &str = "log";
/// In sled's default tree: the name of the store.
pub(super) const STORE: &str = "store";

/// What the trees of generations begin with.
const GENERATION: &str = "generation/";

/// The name of a generation's tree.
pub(super) fn generation(number: u64) -> String {
    format!("{GENERATION}{number:012}")
}

/// The generation whose tree has this name.
pub(super) fn parse_generation(name: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(name).ok()?.strip_prefix(GENERATION)?.parse().ok()?;
    (generation(number).as_bytes() == name).then_some(number)
}

/// The key of the piece of a segment that stands at `offset`.
pub(super) fn log(segment: u64, offset: u64) -> [u8; 16] {
    (u128::from(segment) << 64 | u128::from(offset)).to_be_bytes()
}

/// All keys of a segment.
pub(super) fn segment(number: u64) -> RangeInclusive<[u8; 16]> {
    log(number, 0)..=log(number, u64::MAX)
}

/// Segment and offset of a piece of the log.
pub(super) fn parse_log(key: &[u8]) -> Option<(u64, u64)> {
    let bits = u128::from_be_bytes(key.try_into().ok()?);
    Some(((bits >> 64) as u64, bits as u64))
}

/// The parts of a run, in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    Header = 0,
    Filter = 1,
    Records = 2,
    Values = 3,
}

const RUN: usize = 8;
const PART: usize = RUN + 1;
/// A part of a run begins with its number and its kind.
const VALUES: usize = PART + Fingerprint::BYTES;

fn part(run: u64, part: Part) -> Vec<u8> {
    let mut key = run.to_be_bytes().to_vec();
    key.push(part as u8);
    key
}

/// All keys of a run.
pub(super) fn run(number: u64) -> RangeInclusive<Vec<u8>> {
    part(number, Part::Header)..=[&number.to_be_bytes()[..], &[0xff; 32]].concat()
}

/// The number of the run that a key belongs to.
pub(super) fn parse_run(key: &[u8]) -> Option<u64> {
    key.first_chunk().map(|number| u64::from_be_bytes(*number))
}

/// The key of a run's header.
pub(super) fn header(run: u64) -> Vec<u8> {
    part(run, Part::Header)
}

/// The key of the piece number `index` of a run's filter.
pub(super) fn filter(run: u64, index: u32) -> Vec<u8> {
    let mut key = part(run, Part::Filter);
    key.extend(index.to_be_bytes());
    key
}

/// The key of the block of records that begins with `first`.
pub(super) fn records(run: u64, first: Fingerprint) -> Vec<u8> {
    let mut key = part(run, Part::Records);
    key.extend(first.as_u128().to_be_bytes());
    key
}

/// The first fingerprint of a block of records of `run`; `None` if the key is of something else.
pub(super) fn parse_records(run: u64, key: &[u8]) -> Option<Fingerprint> {
    let rest = key.strip_prefix(&*part(run, Part::Records))?;
    Some(Fingerprint::from_u128(u128::from_be_bytes(rest.try_into().ok()?)))
}

/// The key of piece `index` of the values that begin with those of `first`.
pub(super) fn values(run: u64, first: Fingerprint, index: u16) -> Vec<u8> {
    let mut key = part(run, Part::Values);
    key.extend(first.as_u128().to_be_bytes());
    key.extend(index.to_be_bytes());
    key
}

/// First fingerprint and index of a piece of values of `run`; `None` if the key is of something else.
pub(super) fn parse_values(run: u64, key: &[u8]) -> Option<(Fingerprint, u16)> {
    if key.get(..PART) != Some(&*part(run, Part::Values)) {
        return None;
    }
    let first = key.get(PART..VALUES)?.try_into().ok()?;
    let index = key.get(VALUES..)?.try_into().ok()?;
    Some((Fingerprint::from_u128(u128::from_be_bytes(first)), u16::from_be_bytes(index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_what_they_name() {
        let id = Fingerprint::from_u128;
        let keys = [
            header(1),
            filter(1, 0),
            filter(1, 256),
            records(1, id(0)),
            records(1, id(1 << 100)),
            records(1, id(u128::MAX)),
            values(1, id(0), 0),
            values(1, id(0), 1),
            values(1, id(u128::MAX), u16::MAX),
            header(2),
            header(256),
        ];
        assert!(keys.is_sorted());
        assert!(keys[..9].iter().all(|key| run(1).contains(key) && parse_run(key) == Some(1)));
        assert!(!run(1).contains(&keys[9]) && !run(1).contains(&keys[10]));
        assert!(segment(7).contains(&log(7, u64::MAX)) && !segment(7).contains(&log(8, 0)));
    }

    #[test]
    fn keys_round_trip_and_others_are_refused() {
        let id = Fingerprint::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(parse_log(&log(7, 8)), Some((7, 8)));
        assert_eq!(parse_records(3, &records(3, id)), Some(id));
        assert_eq!(parse_values(3, &values(3, id, 9)), Some((id, 9)));
        assert_eq!(parse_records(3, &records(4, id)), None);
        assert_eq!(parse_records(3, &values(3, id, 0)), None);
        assert_eq!(parse_values(3, &records(3, id)), None);
        assert_eq!(parse_generation(generation(12).as_bytes()), Some(12));
        assert_eq!(parse_generation(LOG.as_bytes()), None);
        for other in ["generation/+00000000012", "generation/12", "generation/0000000000012"] {
            assert_eq!(parse_generation(other.as_bytes()), None, "{other}");
        }
    }
}
