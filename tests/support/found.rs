//! Bytes that are written without the crate's help, by the tables of docs/FORMAT.md alone: checksums, and a
//! store that was never used, with a name and a key that are chosen.

use std::fs;
use std::path::Path;
use std::time::Duration;

use firstseen::Timestamp;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// What a store begins with.
#[derive(Debug, Clone, Copy)]
pub struct Founding {
    /// By its number in docs/FORMAT.md.
    pub identity: u32,
    pub event_time: bool,
    pub sled: bool,
    pub created: Timestamp,
    pub window: Duration,
}

impl Founding {
    /// Lays `STORE` and `MANIFEST` into a new folder. The next opening finds that nothing was put into it yet.
    pub fn lay(&self, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        let name = *b"a golden store \0";
        let mut store = [0; 128];
        put(&mut store, 0, b"FSSTORE\0");
        put(&mut store, 8, &1_u32.to_le_bytes());
        put(&mut store, 12, &self.identity.to_le_bytes());
        put(&mut store, 16, &name);
        put(&mut store, 32, b"and its own key\0");
        put(&mut store, 48, &self.created.as_micros().to_le_bytes());
        put(&mut store, 56, &u32::from(self.sled).to_le_bytes());
        put_sum(&name, 0, 0, &mut store);
        fs::write(dir.join("STORE"), store).unwrap();
        let mut manifest = [0; 144];
        put(&mut manifest, 0, b"FSMANIF\0");
        put(&mut manifest, 8, &1_u32.to_le_bytes());
        put(&mut manifest, 32, &8_u32.to_le_bytes());
        put(&mut manifest, 36, &u32::from(self.event_time).to_le_bytes());
        let window = self.window.as_micros() as u64;
        for (at, value) in [(16, 1), (24, window), (56, 1), (64, 1), (72, 1)] {
            put(&mut manifest, at, &u64::to_le_bytes(value));
        }
        put_sum(&name, 0, 0, &mut manifest);
        fs::write(dir.join("MANIFEST"), manifest).unwrap();
    }
}

pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn salt(store: &[u8; 16], magic: &[u8; 8], number: u64) -> u64 {
    xxh3_64(&[&store[..], magic, &number.to_le_bytes()].concat())
}

/// The checksum of bytes under a magic, a number, and a place.
pub fn sum(store: &[u8; 16], magic: &[u8; 8], number: u64, place: u64, bytes: &[u8]) -> u64 {
    let place = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    xxh3_64_with_seed(bytes, salt(store, magic, number).wrapping_add(place))
}

/// Ends `part`, which begins with the magic and stands at `place` of its file, with its checksum.
pub fn put_sum(store: &[u8; 16], number: u64, place: u64, part: &mut [u8]) {
    let magic: [u8; 8] = part[..8].try_into().unwrap();
    let end = part.len() - 8;
    let sum = sum(store, &magic, number, place, &part[..end]);
    put(part, end, &sum.to_le_bytes());
}
