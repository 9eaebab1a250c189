//! The bytes on disk, as pure functions: nothing here does I/O.
//!
//! `docs/FORMAT.md` is the normative description; each module implements one section of it.
//! All integers are little-endian.

pub(crate) mod checksum;
pub(crate) mod commit;
pub(crate) mod export;
pub(crate) mod frame;
pub(crate) mod manifest;
pub(crate) mod names;
pub(crate) mod run;
pub(crate) mod segment;
pub(crate) mod snapshot;
pub(crate) mod superblock;
pub(crate) mod value;

/// The version of the format that this build writes, and the newest it reads.
pub(crate) const VERSION: u32 = 1;

/// Bytes of a page: the unit of checksum and of reading in sealed files.
pub(crate) const PAGE: usize = 4096;

/// Numbers of files, generations and manifests, and fencing tokens, stay below: nobody counts so far, and
/// counting on never overflows.
pub(crate) const NUMBER_END: u64 = 1 << 62;

/// The random name of a store; part of every checksum's seed, so that no file of one store is taken
/// for another's.
pub(crate) type StoreId = [u8; 16];

/// Reads the little-endian `u32` at `at`. The caller has checked the length.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Reads the little-endian `u64` at `at`. The caller has checked the length.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Writes `value` little-endian at `at`.
pub(crate) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Writes `value` little-endian at `at`.
pub(crate) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
