//! Durations on the command line: `500ms`, `90s`, `15m`, `24h`, `7d`, `4w`, `1d12h`.

use std::time::Duration;

/// Units by descending size, in microseconds.
const UNITS: [(&str, u64); 7] = [
    ("w", 7 * 86_400_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Reads a duration of one or several numbers with units.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let bad = || format!("'{text}' is not a duration such as 500ms, 90s, 15m, 24h, 7d or 1d12h");
    let mut rest = text;
    let mut micros = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        let tail = &rest[digits..];
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &tail[..end]).ok_or_else(bad)?;
        let part = number.checked_mul(*unit).ok_or_else(bad)?;
        micros = micros.checked_add(part).ok_or_else(bad)?;
        rest = &tail[end..];
    }
    if text.is_empty() {
        return Err(bad());
    }
    Ok(Duration::from_micros(micros))
}

/// Writes a duration by its two largest units: `1d12h`, `10m`, `1.5s`.
pub(crate) fn display(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let largest = UNITS.iter().position(|(_, unit)| micros >= *unit);
    let Some(at) = largest else {
        return "0s".to_owned();
    };
    let (name, unit) = UNITS[at];
    let mut text = format!("{}{name}", micros / unit);
    if let Some((name, smaller)) = UNITS.get(at + 1) {
        let rest = micros % unit / smaller;
        if rest > 0 {
            text.push_str(&format!("{rest}{name}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        let check = |text: &str, millis| {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        };
        check("500ms", 500);
        check("90s", 90_000);
        check("15m", 900_000);
        check("24h", 86_400_000);
        check("7d", 7 * 86_400_000);
        check("4w", 28 * 86_400_000);
        check("1d12h", 36 * 3_600_000);
        check("0s", 0);
    }

    #[test]
    fn a_number_needs_a_unit() {
        for text in ["", "5", "h", "5x", "1h5", "-1h", "1 h", "99999999999999w"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn two_units_are_shown() {
        assert_eq!(display(Duration::from_secs(129_600)), "1d12h");
        assert_eq!(display(Duration::from_secs(600)), "10m");
        assert_eq!(display(Duration::from_millis(1_500)), "1s500ms");
        assert_eq!(display(Duration::ZERO), "0s");
        assert_eq!(parse(&display(Duration::from_secs(86_400))), Ok(Duration::from_secs(86_400)));
    }
}
