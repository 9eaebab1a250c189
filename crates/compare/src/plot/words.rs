//! Numbers as people read them.

/// Three digits.
pub(super) fn three(value: f64) -> String {
    let above = value.abs().log10().floor().max(-6.0) as i32;
    format!("{value:.digits$}", digits = (2 - above).clamp(0, 6) as usize)
}

/// Three digits, no more zeros than needed.
pub(super) fn plain(value: f64) -> String {
    let text = three(value);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A count with the letter of its thousands.
pub(super) fn count(value: f64) -> String {
    with_unit(value, &[(1.0, ""), (1e3, " k"), (1e6, " M")])
}

/// A count in all its digits.
pub(super) fn whole(value: f64) -> String {
    format!("{value:.0}")
}

/// Microseconds, in the unit that fits.
pub(super) fn time(us: f64) -> String {
    with_unit(us, &[(1.0, " us"), (1e3, " ms"), (1e6, " s")])
}

/// In the largest unit that is not larger than the value.
fn with_unit(value: f64, units: &[(f64, &str)]) -> String {
    let fits = |(unit, _): &&(f64, &str)| value >= unit * 0.9995;
    let (unit, name) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    plain(value / unit) + name
}
