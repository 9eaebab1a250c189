//! A point in time as a record carries it: RFC 3339, or a number of units since 1970.

use firstseen::Timestamp;
use jiff::fmt::temporal::DateTimeParser;

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Unit {
    /// RFC 3339, or a number whose size tells its unit
    Auto,
    /// As in 2026-01-31T12:00:00.5Z
    Rfc3339,
    /// Seconds since 1970
    S,
    /// Milliseconds since 1970
    Ms,
    /// Microseconds since 1970
    Us,
    /// Nanoseconds since 1970
    Ns,
}

/// Reads a time; the error is a phrase such as "is not a time".
///
/// Numbers may have a decimal fraction. What lies below a microsecond is cut off.
pub(crate) fn parse(text: &[u8], unit: Unit) -> Result<Timestamp, &'static str> {
    let number = text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    match unit {
        Unit::Rfc3339 => rfc3339(text),
        Unit::Auto if !number => rfc3339(text),
        _ => epoch(text, unit),
    }
}

fn rfc3339(text: &[u8]) -> Result<Timestamp, &'static str> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let time = PARSER
        .parse_timestamp(text)
        .map_err(|_| "is not a time with a zone, as in 2026-01-31T12:00:00Z")?;
    let micros = u64::try_from(time.as_microsecond()).map_err(|_| "is a time before 1970")?;
    Ok(Timestamp::from_micros(micros))
}

fn epoch(text: &[u8], unit: Unit) -> Result<Timestamp, &'static str> {
    const NOT: &str = "is not a number of units since 1970";
    let text = std::str::from_utf8(text).map_err(|_| NOT)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(NOT);
    }
    let whole: u64 = whole.parse().map_err(|_| "is too large for a time")?;
    // Nanoseconds of one unit, and of the fraction, whose digits past the ninth do not count.
    let nanos = match unit {
        Unit::Auto => unit_by_size(whole),
        Unit::S => 1_000_000_000,
        Unit::Ms => 1_000_000,
        Unit::Us => 1_000,
        Unit::Ns | Unit::Rfc3339 => 1_u128,
    };
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let billionths = digits.fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    let total = u128::from(whole) * nanos + billionths * nanos / 1_000_000_000;
    let micros = u64::try_from(total / 1_000).map_err(|_| "is too large for a time")?;
    Ok(Timestamp::from_micros(micros))
}

/// Nanoseconds of the unit that puts a number of this size between 1973 and 5138.
fn unit_by_size(number: u64) -> u128 {
    match number {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, unit: Unit, micros: Option<u64>) {
        let found = parse(text.as_bytes(), unit).ok().map(Timestamp::as_micros);
        assert_eq!(found, micros, "{text}");
    }

    #[test]
    fn rfc3339_needs_a_zone() {
        check("2023-11-14T22:13:20Z", Unit::Auto, Some(1_700_000_000_000_000));
        check("2023-11-15T00:13:20.123456789+02:00", Unit::Rfc3339, Some(1_700_000_000_123_456));
        check("2023-11-14t22:13:20z", Unit::Auto, Some(1_700_000_000_000_000));
        check("2023-11-14T22:13:20", Unit::Auto, None);
        check("1969-12-31T23:59:59Z", Unit::Auto, None);
        check("yesterday", Unit::Auto, None);
        check("", Unit::Auto, None);
    }

    #[test]
    fn numbers_tell_their_unit_by_their_size() {
        let expected = Some(1_700_000_000_123_000);
        check("1700000000.123", Unit::Auto, expected);
        check("1700000000123", Unit::Auto, expected);
        check("1700000000123000", Unit::Auto, expected);
        check("1700000000123000000", Unit::Auto, expected);
    }

    #[test]
    fn a_named_unit_is_obeyed() {
        check("5", Unit::S, Some(5_000_000));
        check("5.5", Unit::Ms, Some(5_500));
        check("5.9", Unit::Us, Some(5));
        check("5999", Unit::Ns, Some(5));
        check("-5", Unit::S, None);
        check("5e3", Unit::S, None);
        check("99999999999999999999", Unit::S, None);
        check("18446744073709551615", Unit::S, None);
        check(".5", Unit::S, None);
        check("1700000000", Unit::Rfc3339, None);
    }
}
