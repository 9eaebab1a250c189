//! The header of CSV input.

use crate::block::Block;
use crate::fail::Result;
use crate::input::Input;
use crate::record::{Cut, csv};

/// What some systems put at the head of a file to say that it is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The names of the columns.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) names: Vec<String>,
}

impl Header {
    /// Reads the header of `input`, which stays in the block; `None` if the input is empty.
    pub(crate) fn read(
        block: &mut Block,
        input: &mut Input,
        delimiter: u8,
    ) -> Result<Option<(Header, Cut)>> {
        loop {
            let found = Header::cut(block.bytes(), delimiter, block.at_end());
            if found.is_some() || block.at_end() {
                return Ok(found);
            }
            input.fill(block, 1)?;
        }
    }

    /// Cuts the header off the head of `bytes`; `None` if it is not complete yet, or there is none.
    fn cut(bytes: &[u8], delimiter: u8, at_end: bool) -> Option<(Header, Cut)> {
        let mark = BYTE_ORDER_MARK.len();
        if bytes.len() < mark && !at_end {
            return None;
        }
        let skip = if bytes.starts_with(BYTE_ORDER_MARK) { mark } else { 0 };
        let rest = &bytes[skip..];
        let cut = csv::cut(rest, delimiter, at_end)?;
        let text = |name: std::borrow::Cow<'_, [u8]>| String::from_utf8_lossy(&name).into_owned();
        let names = csv::fields(&rest[..cut.body], delimiter).map(text).collect();
        let cut = Cut { end: cut.end + skip, body: cut.body + skip, ..cut };
        Some((Header { names }, cut))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unquoted_and_the_mark_is_no_name() {
        let bytes = b"\xef\xbb\xbf\"order id\",ts\r\n1,2\r\n";
        let (header, cut) = Header::cut(bytes, b',', false).expect("complete");
        assert_eq!(header.names, ["order id", "ts"]);
        assert_eq!((cut.body, cut.end), (16, 18));
        assert!(Header::cut(b"id,t", b',', false).is_none());
        assert!(Header::cut(b"", b',', true).is_none());
    }
}
