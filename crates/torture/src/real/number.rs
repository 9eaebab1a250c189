//! Ids by number: what the number says about the id, and its bytes.

/// Ids that several threads and lives present.
const CONTENDED: u64 = 1 << 56;
/// Records of sources.
const RECORD: u64 = 2 << 56;
/// Ids of transactions that are prepared.
const PAID: u64 = 3 << 56;
/// Ids that a verification inserts.
const FRESH: u64 = 4 << 56;

/// The `n`th id that only this thread of this life presents.
pub(super) fn private(life: u64, thread: u64, n: u64) -> u64 {
    life << 40 | thread << 32 | n
}

pub(super) fn contended(life: u64, n: u64) -> u64 {
    CONTENDED | life << 40 | n
}

pub(super) fn paid(life: u64, thread: u64, n: u64) -> u64 {
    PAID | private(life, thread, n)
}

pub(super) fn fresh(life: u64, n: u64) -> u64 {
    FRESH | life << 40 | n
}

/// The record at a position of a source.
pub(super) fn record(source: u64, position: u64) -> u64 {
    RECORD | source << 40 | position
}

/// The source and the position of a record.
pub(super) fn position(id: u64) -> Option<(u64, u64)> {
    (id & 0xff << 56 == RECORD).then_some((id >> 40 & 0xffff, id & 0xff_ffff_ffff))
}

/// Whether only a commit brings the id in, with an outcome if it [has one](has_outcome).
pub(super) fn is_committed(id: u64) -> bool {
    id & 0xff << 56 == RECORD || id & 0xff << 56 == PAID
}

/// Whether a commit keeps an outcome with the id.
pub(super) fn has_outcome(id: u64) -> bool {
    id.is_multiple_of(4)
}

/// What a commit keeps with the id.
pub(super) fn outcome(id: u64) -> Vec<u8> {
    id.to_string().repeat(1 + (id % 5) as usize).into_bytes()
}

/// Ids of lengths that identities treat differently.
pub(super) fn bytes(id: u64) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.resize([8, 16, 16, 31][(id % 4) as usize], 0);
    bytes
}

pub(super) fn all_bytes(ids: &[u64]) -> Vec<Vec<u8>> {
    ids.iter().map(|&id| bytes(id)).collect()
}
