//! Fields between a delimiter, without quoting: what `cut` sees.

/// The field at `index`, counted from zero; `None` if the record has fewer.
///
/// A record without any delimiter is one field.
pub(crate) fn pick(body: &[u8], delimiter: u8, index: usize) -> Option<&[u8]> {
    let mut start = 0;
    for _ in 0..index {
        start += memchr::memchr(delimiter, &body[start..])? + 1;
    }
    let rest = &body[start..];
    Some(memchr::memchr(delimiter, rest).map_or(rest, |end| &rest[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_from_zero() {
        assert_eq!(pick(b"a,bc,,d", b',', 0), Some(&b"a"[..]));
        assert_eq!(pick(b"a,bc,,d", b',', 1), Some(&b"bc"[..]));
        assert_eq!(pick(b"a,bc,,d", b',', 2), Some(&b""[..]));
        assert_eq!(pick(b"a,bc,,d", b',', 3), Some(&b"d"[..]));
        assert_eq!(pick(b"a,bc,,d", b',', 4), None);
        assert_eq!(pick(b"", b',', 0), Some(&b""[..]));
        assert_eq!(pick(b"a,", b',', 1), Some(&b""[..]));
    }
}
