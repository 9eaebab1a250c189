//! CSV records as RFC 4180 describes them, read leniently as the `csv` crate does.
//!
//! A field that starts with a quote ends at the next quote that is not doubled, and may hold
//! delimiters and newlines; what follows up to the delimiter is kept literally. Quotes elsewhere are
//! ordinary bytes. Only `\n`, with or without `\r` before it, ends a record.

use std::borrow::Cow;

use super::{Cut, lines};

const QUOTE: u8 = b'"';

/// Cuts the first record off `bytes`; `None` if it is not complete yet.
///
/// At the end of the input, `at_end`, what is left is a record, also within an open quote.
pub(crate) fn cut(bytes: &[u8], delimiter: u8, at_end: bool) -> Option<Cut> {
    let newline = memchr::memchr(b'\n', bytes);
    let line = &bytes[..newline.unwrap_or(bytes.len())];
    if memchr::memchr(QUOTE, line).is_none() {
        return lines::cut(bytes, b'\n', at_end);
    }
    let mut at = 0;
    while let Some(end) = field_end(bytes, at, delimiter) {
        if bytes[end] == b'\n' {
            let lines = memchr::memchr_iter(b'\n', &bytes[..=end]).count() as u64;
            return Some(Cut { lines, ..lines::ended_at(bytes, end, b'\n') });
        }
        at = end + 1;
    }
    (at_end && !bytes.is_empty()).then(|| Cut {
        end: bytes.len(),
        body: bytes.len(),
        lines: memchr::memchr_iter(b'\n', bytes).count() as u64 + 1,
    })
}

/// The offset of the delimiter or newline that ends the field that starts at `start`; `None` if
/// the bytes end first.
fn field_end(bytes: &[u8], start: usize, delimiter: u8) -> Option<usize> {
    let mut at = start;
    if bytes.get(at) == Some(&QUOTE) {
        at = closing_quote(bytes, at + 1)? + 1;
    }
    memchr::memchr2(delimiter, b'\n', &bytes[at..]).map(|found| at + found)
}

/// The offset of the next quote from `at` on that is not doubled.
fn closing_quote(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr(QUOTE, &bytes[at..])?;
        if bytes.get(at + 1) != Some(&QUOTE) {
            return Some(at);
        }
        at += 2;
    }
}

/// Every field of a record without its terminator, in order.
pub(crate) fn fields(body: &[u8], delimiter: u8) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let start = next?;
        let (end, more) = raw_end(body, start, delimiter);
        next = more.then_some(end + 1);
        Some(unquoted(&body[start..end]))
    })
}

/// The field at `index`, counted from zero; `None` if the record has fewer.
pub(crate) fn pick(body: &[u8], delimiter: u8, index: usize) -> Option<Cow<'_, [u8]>> {
    let mut start = 0;
    for _ in 0..index {
        let (end, more) = raw_end(body, start, delimiter);
        if !more {
            return None;
        }
        start = end + 1;
    }
    let (end, _) = raw_end(body, start, delimiter);
    Some(unquoted(&body[start..end]))
}

/// Where the field that starts at `start` ends, and whether a delimiter ends it.
fn raw_end(body: &[u8], start: usize, delimiter: u8) -> (usize, bool) {
    let mut at = start;
    if body.get(at) == Some(&QUOTE) {
        match closing_quote(body, at + 1) {
            Some(quote) => at = quote + 1,
            None => return (body.len(), false),
        }
    }
    match memchr::memchr(delimiter, &body[at..]) {
        Some(found) => (at + found, true),
        None => (body.len(), false),
    }
}

/// The text of a field: quotes around it dropped, doubled quotes made single.
fn unquoted(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.first() != Some(&QUOTE) {
        return Cow::Borrowed(raw);
    }
    let close = closing_quote(raw, 1).unwrap_or(raw.len());
    let inner = &raw[1..close];
    let tail = raw.get(close + 1..).unwrap_or_default();
    if tail.is_empty() && memchr::memchr(QUOTE, inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = inner;
    while let Some(quote) = memchr::memchr(QUOTE, rest) {
        text.extend_from_slice(&rest[..=quote]);
        rest = rest.get(quote + 2..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    text.extend_from_slice(tail);
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(body: &[u8]) -> Vec<String> {
        let text = |field: Cow<'_, [u8]>| String::from_utf8_lossy(&field).into_owned();
        fields(body, b',').map(text).collect()
    }

    #[test]
    fn quotes_protect_delimiters_newlines_and_quotes() {
        assert_eq!(texts(br#"a,"b,c","d ""e""",f"#), ["a", "b,c", r#"d "e""#, "f"]);
        assert_eq!(texts(br#"5" disk,"x"y,"#), [r#"5" disk"#, "xy", ""]);
        assert_eq!(pick(br#"a,"b""c",d"#, b',', 1).as_deref(), Some(&b"b\"c"[..]));
        assert_eq!(pick(b"a,b", b',', 2), None);
    }

    #[test]
    fn a_record_may_span_lines() {
        let bytes = b"1,\"two\nlines\"\r\n2,x\n";
        let first = cut(bytes, b',', false).expect("complete");
        assert_eq!((first.body, first.end, first.lines), (13, 15, 2));
        assert_eq!(cut(b"1,\"two\nlin", b',', false), None);
        let open = cut(b"1,\"two\nlin", b',', true).expect("the end ends it");
        assert_eq!((open.end, open.lines), (10, 2));
    }

    proptest! {
        /// Any bytes without `\r`: the same records and fields as the `csv` crate reads.
        #[test]
        fn agrees_with_the_csv_crate(text in "[ab,\"\n]{0,40}") {
            let mut oracle = ::csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .terminator(::csv::Terminator::Any(b'\n'))
                .from_reader(text.as_bytes());
            let expected: Vec<Vec<String>> = oracle
                .records()
                .map(|record| record.expect("text").iter().map(str::to_owned).collect())
                .collect();
            let mut found = Vec::new();
            let mut rest = text.as_bytes();
            while let Some(cut) = cut(rest, b',', true) {
                let all = texts(&rest[..cut.body]);
                for (index, field) in all.iter().enumerate() {
                    let picked = pick(&rest[..cut.body], b',', index);
                    prop_assert_eq!(picked.as_deref(), Some(field.as_bytes()));
                }
                prop_assert_eq!(pick(&rest[..cut.body], b',', all.len()), None);
                if cut.body > 0 {
                    found.push(all); // the csv crate skips empty lines
                }
                rest = &rest[cut.end..];
            }
            prop_assert_eq!(found, expected);
        }

        /// A record is cut off at the same place whether or not more bytes follow.
        #[test]
        fn more_bytes_do_not_move_a_cut(text in "[ab,\"\n]{0,40}", more in "[ab,\"\n]{0,9}") {
            if let Some(early) = cut(text.as_bytes(), b',', false) {
                let longer = format!("{text}{more}");
                prop_assert_eq!(cut(longer.as_bytes(), b',', false), Some(early));
            }
        }
    }
}
