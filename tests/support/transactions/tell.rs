//! A history as text: for those who read it, and as the bytes that replay it.

use std::fmt::Write as _;

use super::{Op, Shares};

/// The operations, and the bytes that `transactions::ops` makes them from.
pub fn tell(shares: Shares, settings: [u8; 4], ops: &[Op]) -> String {
    let mut text = String::new();
    let mut bytes = settings.to_vec();
    for Op(kind, arguments) in ops {
        let before = shares.iter().take_while(|(other, _)| other != kind);
        bytes.push(before.map(|(_, share)| share).sum());
        bytes.extend(arguments);
        let _ = writeln!(text, "  {kind:?} {arguments:?}");
    }
    text.push_str("replay it with FIRSTSEEN_TEST_HISTORY=");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
