//! Records ended by one byte: `\n`, or NUL with `--null`.

use super::Cut;

/// Cuts the first record off `bytes`; `None` if it is not complete yet.
///
/// A record ended by `\n` may carry a `\r` before it, which is part of the terminator: the content
/// is the same whichever system wrote the line. At the end of the input, `at_end`, what is left is a
/// record without terminator.
pub(crate) fn cut(bytes: &[u8], terminator: u8, at_end: bool) -> Option<Cut> {
    match memchr::memchr(terminator, bytes) {
        Some(found) => Some(ended_at(bytes, found, terminator)),
        None if at_end && !bytes.is_empty() => {
            Some(Cut { end: bytes.len(), body: bytes.len(), lines: 1 })
        }
        None => None,
    }
}

/// The record whose terminator stands at `found`.
pub(crate) fn ended_at(bytes: &[u8], found: usize, terminator: u8) -> Cut {
    let crlf = terminator == b'\n' && found > 0 && bytes[found - 1] == b'\r';
    Cut { end: found + 1, body: found - usize::from(crlf), lines: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], terminator: u8, at_end: bool, expected: Option<(usize, usize)>) {
        let cut = cut(bytes, terminator, at_end).map(|cut| (cut.body, cut.end));
        assert_eq!(cut, expected);
    }

    #[test]
    fn the_terminator_is_not_content() {
        check(b"ab\ncd\n", b'\n', false, Some((2, 3)));
        check(b"ab\r\ncd", b'\n', false, Some((2, 4)));
        check(b"\n", b'\n', false, Some((0, 1)));
        check(b"\r\n", b'\n', false, Some((0, 2)));
        check(b"a\r\0b", 0, false, Some((2, 3)));
    }

    #[test]
    fn an_unended_record_counts_only_at_the_end() {
        check(b"ab", b'\n', false, None);
        check(b"ab", b'\n', true, Some((2, 2)));
        check(b"ab\r", b'\n', true, Some((3, 3)));
        check(b"", b'\n', true, None);
    }
}
