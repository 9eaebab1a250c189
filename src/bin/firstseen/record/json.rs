//! One value of a JSON text, by a JSON pointer (RFC 6901).
//!
//! The whole text is read, so that a torn record is an error and never stands for the whole one.
//! Of several members with one name the last counts, as with most readers of JSON.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A parsed JSON pointer: the names and positions to go down by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer {
    text: String,
    tokens: Vec<String>,
}

impl FromStr for Pointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Pointer, String> {
        let Some(path) = text.strip_prefix('/') else {
            return Err("a JSON pointer starts with '/', as in /order/id".to_owned());
        };
        let unescape = |token: &str| token.replace("~1", "/").replace("~0", "~");
        Ok(Pointer { text: text.to_owned(), tokens: path.split('/').map(unescape).collect() })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a record has no value at a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The record is not one JSON text.
    NotJson { column: usize, why: String },
    /// Nothing stands there.
    Absent,
    /// Something stands there that is neither a string nor a number.
    NotScalar(&'static str),
}

/// The string or number at `pointer`.
///
/// A string gives its text, unescaped; a number gives its digits as they are written, however
/// many. So 7 and "7" are one id, and 7 and 7.0 are two.
pub(crate) fn pick<'a>(body: &'a [u8], pointer: &Pointer) -> Result<Cow<'a, [u8]>, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let found = Seek(&pointer.tokens).deserialize(&mut reader);
    let found = found.and_then(|found| reader.end().and_then(|()| controls(body)).map(|()| found));
    let raw = found.map_err(|error| not_json(&error))?;
    let raw = raw.ok_or(Problem::Absent)?.get();
    match raw.as_bytes()[0] {
        b'"' => text_of(raw),
        b'n' => Err(Problem::NotScalar("null")),
        b't' | b'f' => Err(Problem::NotScalar("a boolean")),
        b'{' => Err(Problem::NotScalar("an object")),
        b'[' => Err(Problem::NotScalar("an array")),
        _ => Ok(Cow::Borrowed(raw.as_bytes())),
    }
}

/// Refuses control characters in strings, which a name that is read as bytes may have otherwise.
/// They are rare in a record, so few are read twice.
fn controls(body: &[u8]) -> serde_json::Result<()> {
    match body.iter().any(u8::is_ascii_control) {
        true => serde_json::from_slice::<IgnoredAny>(body).map(|_| ()),
        false => Ok(()),
    }
}

/// What is between the quotes, escapes resolved.
fn text_of(raw: &str) -> Result<Cow<'_, [u8]>, Problem> {
    let inner = &raw.as_bytes()[1..raw.len() - 1];
    if memchr::memchr(b'\\', inner).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    let text: String = serde_json::from_str(raw).map_err(|error| not_json(&error))?;
    Ok(Cow::Owned(text.into_bytes()))
}

/// The message without its line and column: a record is one line to its reader.
fn not_json(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let why = text.split(" at line ").next().unwrap_or_default();
    Problem::NotJson { column: error.column(), why: why.to_owned() }
}

/// Reads one value and gives what stands below it at the end of the path.
struct Seek<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return <&RawValue>::deserialize(reader).map(Some);
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (name, rest) = self.0.split_first().expect("a path is left");
        let mut found = None;
        while let Some(matches) = map.next_key_seed(NameIs(name))? {
            if matches {
                found = map.next_value_seed(Seek(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (position, rest) = self.0.split_first().expect("a path is left");
        let digits = position == "0" || !position.starts_with(['0', '+']);
        let wanted = position.parse().ok().filter(|_| digits);
        let mut found = None;
        for at in 0_usize.. {
            let more = if wanted == Some(at) {
                seq.next_element_seed(Seek(rest))?.map(|value| found = value)
            } else {
                seq.next_element::<IgnoredAny>()?.map(|_| ())
            };
            if more.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a member has this name. Compares bytes, so that a name that is not UTF-8 is only
/// another name.
struct NameIs<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for NameIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_bytes(self)
    }
}

impl Visitor<'_> for NameIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<bool, E> {
        Ok(name == self.0.as_bytes())
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(body: &str, pointer: &str, expected: Result<&str, Problem>) {
        let pointer: Pointer = pointer.parse().expect("a pointer");
        let found = pick(body.as_bytes(), &pointer);
        let expected = expected.map(|text| Cow::Borrowed(text.as_bytes()));
        assert_eq!(found, expected, "{body} {pointer}");
    }

    #[test]
    fn goes_down_names_and_positions() {
        let body = r#" {"a":1,"order":{"x":[1,{}],"id":"o-7","n":[10,20]},"a/b":{"~":-1.50e3}} "#;
        check(body, "/order/id", Ok("o-7"));
        check(body, "/order/n/1", Ok("20"));
        check(body, "/a", Ok("1"));
        check(body, "/a~1b/~0", Ok("-1.50e3"));
        check(body, "/order/n/2", Err(Problem::Absent));
        check(body, "/order/n/01", Err(Problem::Absent));
        check(body, "/a/b", Err(Problem::Absent));
        check(body, "/order", Err(Problem::NotScalar("an object")));
        check("[[],[5]]", "/1/0", Ok("5"));
    }

    #[test]
    fn texts_are_unescaped_and_digits_are_kept() {
        check(r#"{"id":"\u0041\n\"\ud83d\ude00"}"#, "/id", Ok("A\n\"😀"));
        check(r#"{"\u0069d":"x"}"#, "/id", Ok("x"));
        let long = "123456789012345678901234567890";
        check(&format!(r#"{{"id":{long}}}"#), "/id", Ok(long));
        check(r#"{"id":""}"#, "/id", Ok(""));
        check(r#"{"id":1,"id":2}"#, "/id", Ok("2"));
        check(r#"{"id":null}"#, "/id", Err(Problem::NotScalar("null")));
        check(r#"{"id":true}"#, "/id", Err(Problem::NotScalar("a boolean")));
    }

    #[test]
    fn a_torn_record_is_an_error() {
        let whole = r#"{"id":"a","n":[1,{"x":"y"}]}"#;
        let pointer: Pointer = "/id".parse().expect("a pointer");
        for end in 0..whole.len() {
            let torn = pick(&whole.as_bytes()[..end], &pointer);
            assert!(matches!(torn, Err(Problem::NotJson { .. })), "{end}");
        }
        assert!(pick(b"{\"id\":1} {}", &pointer).is_err());
        assert!(pick(b"{\"id\":\"\xff\"}", &pointer).is_err());
        assert_eq!(pick(b"{\"\xff\":\"\xff\",\"id\":1}", &pointer).as_deref(), Ok(&b"1"[..]));
    }

    #[test]
    fn a_name_with_a_control_character_is_no_json() {
        let pointer: Pointer = "/id".parse().expect("a pointer");
        for name in ["a\nb", "\0", "i\u{1f}d"] {
            let body = format!("{{\"{name}\":0,\"id\":1}}");
            let torn = pick(body.as_bytes(), &pointer);
            assert!(matches!(torn, Err(Problem::NotJson { .. })), "{name:?}: {torn:?}");
        }
        check("{\n\t\"\\u0000\\n\":0,\r\n\"id\":1 }", "/id", Ok("1"));
    }

    #[test]
    fn a_pointer_starts_with_a_slash() {
        assert!("order/id".parse::<Pointer>().is_err());
        assert!("".parse::<Pointer>().is_err());
    }

    proptest! {
        /// Any text: what `serde_json`'s own pointer finds in the parsed value.
        #[test]
        fn agrees_with_the_parsed_value(body in r#"[\[\]{}",:ab01 ]{0,24}"#) {
            for path in ["/a", "/0", "/a/b", "/1/0"] {
                let value: Result<serde_json::Value, _> = serde_json::from_str(&body);
                let pointer = path.parse().expect("a pointer");
                let found = pick(body.as_bytes(), &pointer);
                match value.as_ref().map(|value| value.pointer(path)) {
                    Err(_) => {
                        let not_json = matches!(found, Err(Problem::NotJson { .. }));
                        prop_assert!(not_json);
                    }
                    Ok(None) => prop_assert_eq!(found, Err(Problem::Absent)),
                    Ok(Some(serde_json::Value::String(text))) => {
                        prop_assert_eq!(found.as_deref(), Ok(text.as_bytes()));
                    }
                    Ok(Some(value)) => prop_assert_eq!(found.is_ok(), value.is_number()),
                }
            }
        }
    }
}
