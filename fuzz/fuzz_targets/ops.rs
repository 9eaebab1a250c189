//! Any sequence of calls, reopens, deaths and clock jumps, against a plain map.
#![no_main]

mod support;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use support::world::{Config, Op, World};

#[derive(Debug, Arbitrary)]
struct Input {
    config: Config,
    ops: Vec<Op>,
}

fuzz_target!(|input: Input| {
    let mut world = World::new(input.config);
    for op in input.ops.iter().take(64) {
        world.apply(op);
    }
    world.finish();
});
