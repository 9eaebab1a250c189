//! Any bytes through what the command line reads: records of every framing, ids and times in them,
//! compressed input, escaped bytes and durations.
//!
//! Oracles: `split` for lines and fields, the `csv` crate, the parsed value of `serde_json`, decimal digits
//! shifted for times; and for all framings together, the same records however the input is cut.
#![no_main]

#[allow(dead_code)] // Here and below: not all that the command needs.
#[path = "../../../src/bin/firstseen/batch.rs"]
mod batch;
#[allow(dead_code)]
#[path = "../../../src/bin/firstseen/block.rs"]
mod block;
#[allow(dead_code)]
#[path = "../../../src/bin/firstseen/duration.rs"]
mod duration;
#[allow(dead_code)]
#[path = "../../../src/bin/firstseen/escape.rs"]
mod escape;
#[allow(dead_code)]
#[path = "../../../src/bin/firstseen/fail.rs"]
mod fail;
#[path = "../../../src/bin/firstseen/record/mod.rs"]
mod record;
#[allow(dead_code)]
#[path = "../../../src/bin/firstseen/select.rs"]
mod select;
#[path = "../../../src/bin/firstseen/input/zstd.rs"]
mod zstd;

mod stream;
mod values;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

/// What the bytes are taken for. They come last, so that they stand in the input as they are.
#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Stream { how: stream::How, reads: u8, text: &'a [u8] },
    Csv { delimiter: u8, text: &'a [u8] },
    Json { path: u8, text: &'a [u8] },
    Time { unit: u8, text: &'a [u8] },
    Instant(i64),
    Duration(u64, &'a str),
    Escape(&'a [u8]),
    Zstd { damage: Option<(u16, u8)>, text: &'a [u8] },
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Stream { how, reads, text } => stream::check(how, usize::from(reads), text),
    Input::Csv { delimiter, text } => stream::csv(delimiter, text),
    Input::Json { path, text } => values::json(path, text),
    Input::Time { unit, text } => values::time(unit, text),
    Input::Instant(micros) => values::instant(micros),
    Input::Duration(micros, text) => values::duration(micros, text),
    Input::Escape(bytes) => values::escape(bytes),
    Input::Zstd { damage, text } => values::zstd(damage, text),
});
