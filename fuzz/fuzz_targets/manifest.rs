//! Any manifest comes back as it was written, and none with a bit changed.
#![no_main]

use arbitrary::Arbitrary;
use firstseen::testing::decode::PlainManifest;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    head: [u64; 11],
    options: [u32; 2],
    generations: Vec<[u64; 3]>,
    runs: Vec<[u64; 5]>,
    forgotten: Vec<[u64; 4]>,
    flip: (u16, u8),
}

fuzz_target!(|input: Input| {
    let Input { head, options, mut generations, runs, forgotten, flip: (at, bit) } = input;
    for generation in &mut generations {
        // A tick lasts at least a microsecond.
        generation[2] = generation[2].max(1);
    }
    let manifest = PlainManifest { head, options, generations, runs, forgotten };
    let mut bytes = manifest.write();
    assert_eq!(PlainManifest::read(&bytes).unwrap(), manifest);
    let at = usize::from(at) % bytes.len();
    bytes[at] ^= 1 << (bit % 8);
    assert!(PlainManifest::read(&bytes).is_err(), "bit {bit} of byte {at}");
});
