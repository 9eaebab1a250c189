//! What stands in a record or on the command line.

use std::io::Read;
use std::time::Duration;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::de::IgnoredAny;
use serde_json::{Number, Value};

use crate::record::json::{self, Problem};
use crate::record::time::{self, Unit};
use crate::{duration as durations, escape as escapes, zstd as zstandard};

const POINTERS: [&str; 8] = ["/", "/a", "/0", "/a/b", "/1/0", "/a~1b/~0", "/é", "/00"];

/// What `serde_json` finds in the parsed value. What it cannot hold as a value (a number out of range, half a
/// surrogate, a hundred levels) may stand where nobody looks, if it is JSON at all.
pub fn json(path: u8, text: &[u8]) {
    let path = POINTERS[usize::from(path) % POINTERS.len()];
    let pointer = path.parse().expect("a pointer");
    let found = json::pick(text, &pointer);
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        let is_json = serde_json::from_slice::<IgnoredAny>(text).is_ok();
        assert!(is_json || matches!(found, Err(Problem::NotJson { .. })), "{found:?}");
        return;
    };
    match (value.pointer(path), found) {
        (None, Err(Problem::Absent)) => {}
        (Some(Value::Null), Err(Problem::NotScalar("null")))
        | (Some(Value::Bool(_)), Err(Problem::NotScalar("a boolean")))
        | (Some(Value::Array(_)), Err(Problem::NotScalar("an array")))
        | (Some(Value::Object(_)), Err(Problem::NotScalar("an object"))) => {}
        (Some(Value::String(text)), Ok(found)) => assert_eq!(text.as_bytes(), &*found),
        (Some(Value::Number(number)), Ok(found)) => {
            assert_eq!(serde_json::from_slice::<Number>(&found).expect("a number"), *number);
            let range = found.as_ptr().addr().checked_sub(text.as_ptr().addr());
            assert!(range.is_some_and(|start| start + found.len() <= text.len()), "not as written");
        }
        (value, found) => panic!("{value:?} at {path}, and {found:?}"),
    }
}

/// A number is its digits, shifted to microseconds.
pub fn time(unit: u8, text: &[u8]) {
    let units = [Unit::Auto, Unit::Rfc3339, Unit::S, Unit::Ms, Unit::Us, Unit::Ns];
    let unit = units[usize::from(unit) % units.len()];
    let found = time::parse(text, unit).ok().map(|time| time.as_micros());
    let plain = text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if unit == Unit::Rfc3339 || (unit == Unit::Auto && !plain) {
        let text = std::str::from_utf8(text).ok();
        let expected = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        assert_eq!(found, expected.and_then(|time| u64::try_from(time.as_microsecond()).ok()));
        return;
    }
    assert_eq!(found, plain.then(|| shifted(text, unit)).flatten());
}

/// The microseconds of a decimal number; `None` if it has no digit before the point, two points, or too many digits.
fn shifted(text: &[u8], unit: Unit) -> Option<u64> {
    let text = std::str::from_utf8(text).expect("digits");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let size = whole.parse::<u64>().ok().filter(|_| !fraction.contains('.'))?.to_string().len();
    let shift = match unit {
        Unit::S => 6,
        Unit::Ms => 3,
        Unit::Us => 0,
        Unit::Ns => -3,
        _ if size <= 11 => 6,
        _ if size <= 14 => 3,
        _ if size <= 17 => 0,
        _ => -3,
    };
    if shift < 0 {
        return whole[..whole.len().saturating_sub(3)].parse().or(Ok::<_, ()>(0)).ok();
    }
    let shift = shift as usize;
    let fraction = format!("{fraction}000000");
    format!("{whole}{}", &fraction[..shift]).parse().ok()
}

/// An instant that is printed is read again.
pub fn instant(micros: i64) {
    let Ok(instant) = jiff::Timestamp::from_microsecond(micros) else { return };
    let found =
        time::parse(instant.to_string().as_bytes(), Unit::Auto).map(|time| time.as_micros());
    assert_eq!(found.ok(), u64::try_from(micros).ok());
}

/// What is shown is read as no more than it was, and shown again the same; texts side by side add up.
pub fn duration(micros: u64, text: &str) {
    let whole = Duration::from_micros(micros);
    let shown = durations::display(whole);
    let read = durations::parse(&shown).expect("it was shown");
    assert!(read <= whole && durations::display(read) == shown, "{whole:?}: {shown}, {read:?}");
    let Ok(one) = durations::parse(text) else { return };
    let sum = one + read;
    let micros = u64::try_from(sum.as_micros()).ok();
    let both = durations::parse(&format!("{text}{shown}"));
    assert_eq!(both.ok(), micros.map(Duration::from_micros));
}

/// Bytes come back, nothing that does not print is shown, and what is read can be shown.
pub fn escape(bytes: &[u8]) {
    let shown = escapes::show(bytes);
    assert!(!shown.contains(char::is_control), "{shown:?}");
    assert_eq!(escapes::parse(&shown).as_deref(), Ok(bytes));
    let read = std::str::from_utf8(bytes).ok().and_then(|text| escapes::parse(text).ok());
    if let Some(read) = read {
        assert_eq!(escapes::parse(&escapes::show(&read)), Ok(read));
    }
}

/// Invented bytes, and frames one after the other, whole or damaged.
pub fn zstd(damage: Option<(u16, u8)>, text: &[u8]) {
    let read = |bytes: &[u8]| {
        let mut out = Vec::new();
        let read = zstandard::Decoder::new(bytes).take(1 << 24).read_to_end(&mut out);
        read.map(|_| out)
    };
    let _ = read(text);
    let (one, two) = text.split_at(text.len() / 2);
    let frame = |text| compress_to_vec(text, CompressionLevel::Fastest);
    let mut bytes = [frame(one), frame(two)].concat();
    match damage {
        None => assert_eq!(read(&bytes).expect("whole frames"), text),
        Some((at, mask)) => {
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= mask;
            let _ = read(&bytes);
            // Between the frames, both are whole.
            if at != frame(one).len() {
                assert!(read(&bytes[..at]).is_err() || at == 0);
            }
        }
    }
}
