//! What a record says: an order, made from the seed and its number alone.

use std::io::Write;

use firstseen::Timestamp;

use super::Format;
use super::random;

/// Customers that place orders.
const CUSTOMERS: u64 = 100_000;

/// Writes records by their number.
#[derive(Debug)]
pub(super) struct Writer {
    seed: u64,
    format: Format,
    start_millis: u64,
    millis_per_record: f64,
    /// The second that was written last, as text up to the seconds.
    second: u64,
    second_text: String,
}

impl Writer {
    pub(super) fn new(seed: u64, format: Format, start: Timestamp, rate: f64) -> Writer {
        Writer {
            seed,
            format,
            start_millis: start.as_micros() / 1_000,
            millis_per_record: 1_000.0 / rate,
            second: u64::MAX,
            second_text: String::new(),
        }
    }

    /// Writes what precedes the records.
    pub(super) fn header(&self, out: &mut Vec<u8>) {
        if self.format == Format::Csv {
            out.extend_from_slice(b"id,ts,customer,amount\n");
        }
    }

    /// Writes the record with this number.
    pub(super) fn record(&mut self, number: u64, out: &mut Vec<u8>) {
        let high = random::at(self.seed, number);
        let low = random::at(!self.seed, number);
        let drawn = random::at(self.seed.rotate_left(32) ^ 0x6f72_6465, number);
        let separators: [&[u8]; 5] = match self.format {
            Format::Ndjson => {
                [br#"{"id":""#, br#"","ts":""#, br#"","customer":"c"#, br#"","amount":"#, b"}\n"]
            }
            Format::Csv => [b"", b",", b",c", b",", b"\n"],
        };
        out.extend_from_slice(separators[0]);
        push_uuid(out, high, low);
        out.extend_from_slice(separators[1]);
        self.push_time(out, number);
        out.extend_from_slice(separators[2]);
        push_digits(out, drawn % CUSTOMERS, 6);
        out.extend_from_slice(separators[3]);
        push_amount(out, (drawn >> 32) % 50_000 + 50);
        out.extend_from_slice(separators[4]);
    }

    fn push_time(&mut self, out: &mut Vec<u8>, number: u64) {
        let offset = (number as f64 * self.millis_per_record) as u64;
        let millis = self.start_millis.saturating_add(offset);
        let second = millis / 1_000;
        if second != self.second {
            self.second = second;
            let text = crate::show::rfc3339(Timestamp::from_secs(second));
            text.trim_end_matches('Z').clone_into(&mut self.second_text);
        }
        out.extend_from_slice(self.second_text.as_bytes());
        out.push(b'.');
        push_digits(out, millis % 1_000, 3);
        out.push(b'Z');
    }
}

/// Appends 128 bits as a UUID of version 4.
fn push_uuid(out: &mut Vec<u8>, high: u64, low: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    let bits = (u128::from(high) << 64) | u128::from(low);
    let mut text = [b'-'; 36];
    let places = (0..36).filter(|place| !matches!(place, 8 | 13 | 18 | 23));
    for (digit, place) in places.enumerate() {
        text[place] = DIGITS[(bits >> (124 - 4 * digit)) as usize & 0xf];
    }
    out.extend_from_slice(&text);
}

/// Appends a number with leading zeros; it has at most `width` digits.
fn push_digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Appends cents as an amount: `12.05`.
fn push_amount(out: &mut Vec<u8>, cents: u64) {
    write!(out, "{}.", cents / 100).expect("memory takes it");
    push_digits(out, cents % 100, 2);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: Format, numbers: &[u64]) -> String {
        let start = Timestamp::from_secs(1_767_225_600);
        let mut writer = Writer::new(1, format, start, 1000.0);
        let mut out = Vec::new();
        writer.header(&mut out);
        for number in numbers {
            writer.record(*number, &mut out);
        }
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_record_depends_on_its_number_alone() {
        let both = text(Format::Ndjson, &[5, 70_005]);
        assert_eq!(both.lines().last(), text(Format::Ndjson, &[70_005]).lines().next());
        let order: serde_json::Value =
            serde_json::from_str(both.lines().last().expect("a line")).expect("JSON");
        assert_eq!(order["ts"], "2026-01-01T00:01:10.005Z");
        assert_eq!(order["id"].as_str().expect("text").len(), 36);
        assert!(order["amount"].is_number());
    }

    #[test]
    fn both_forms_say_the_same() {
        let csv = text(Format::Csv, &[5]);
        let (header, line) = csv.split_once('\n').expect("two lines");
        assert_eq!(header, "id,ts,customer,amount");
        for value in line.trim_end().split(',') {
            assert!(text(Format::Ndjson, &[5]).contains(value), "{value}");
        }
    }
}
