//! Bytes as text and back: keys, tokens, values and ids are any bytes.
//!
//! What prints stays as it is. A backslash is `\\`, a newline `\n`, a tab `\t`, a carriage return `\r`;
//! every other byte that does not print, or is no UTF-8, is `\xNN`. Different bytes give different texts.

use std::fmt::Write as _;

/// Shows bytes.
pub(crate) fn show(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if c.is_control() || is_invisible(c) => {
                    push_hex(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                c => out.push(c),
            }
        }
        push_hex(&mut out, chunk.invalid());
    }
    out
}

/// Whether a character changes how others look, and shows nothing itself.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(out, "\\x{byte:02x}").expect("strings take everything");
    }
}

/// The bytes that [`show`] has shown as `text`.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut parts = text.split('\\');
    out.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    while let Some(part) = parts.next() {
        let (byte, rest) = match part.as_bytes() {
            [] => {
                // Two backslashes: what stands behind the second is as it is.
                let rest = parts.next().ok_or("it ends in a single '\\'; write '\\\\' for one")?;
                (b'\\', rest)
            }
            [b'n', ..] => (b'\n', &part[1..]),
            [b't', ..] => (b'\t', &part[1..]),
            [b'r', ..] => (b'\r', &part[1..]),
            [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (u8::from_str_radix(&part[1..3], 16).expect("two digits"), &part[3..])
            }
            _ => {
                let start: String = part.chars().take(3).collect();
                return Err(format!("'\\{start}' is no escape; write '\\\\' for a backslash"));
            }
        };
        out.push(byte);
        out.extend_from_slice(rest.as_bytes());
    }
    Ok(out)
}

/// Bytes given on the command line as [`show`] prints them.
#[derive(Debug, Clone)]
pub(crate) struct Escaped(pub(crate) Vec<u8>);

impl std::str::FromStr for Escaped {
    type Err = String;

    fn from_str(text: &str) -> Result<Escaped, String> {
        parse(text).map(Escaped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prints_stays_and_the_rest_is_escaped() {
        assert_eq!(show("größe/3 \"x\"".as_bytes()), "größe/3 \"x\"");
        assert_eq!(show(b"a\\n\n\t\r\0\x1b\xff\xc3"), "a\\\\n\\n\\t\\r\\x00\\x1b\\xff\\xc3");
        assert_eq!(show("\u{202e}".as_bytes()), "\\xe2\\x80\\xae");
    }

    #[test]
    fn every_byte_comes_back_in_any_company() {
        for a in 0..=255 {
            for b in [0, b'\\', b'n', b'x', b'0', 0x80, 0xc3, a] {
                let bytes = [a, b, a, b'\\', b];
                assert_eq!(parse(&show(&bytes)).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn what_is_no_escape_is_refused() {
        for text in ["\\", "a\\\\\\", "\\q", "\\x1", "\\x", "\\xg0", "\\xé"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("\\\\x41\\x41").unwrap(), b"\\x41A");
    }
}
