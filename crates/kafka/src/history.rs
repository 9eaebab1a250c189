//! What outputs say of the messages they were made from, so that a lost store can be rebuilt from them.
//!
//! Four headers of each output record: `firstseen-source` (as in `orders/3`), `firstseen-position` (decimal),
//! `firstseen-time` (microseconds since the Unix epoch, decimal) and `firstseen-id` (its bytes).

use std::io::Write as _;

use firstseen::Timestamp;

use crate::message::{Header, Headers, TopicPartition};

pub(crate) const SOURCE: &str = "firstseen-source";
pub(crate) const POSITION: &str = "firstseen-position";
const TIME: &str = "firstseen-time";
const ID: &str = "firstseen-id";

/// A message that was worked on, as an output of it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The partition that it came from, as in `orders/3`.
    pub source: String,
    /// Its offset there.
    pub position: u64,
    /// Its time.
    pub time: Timestamp,
    /// Its id.
    pub id: Vec<u8>,
}

impl Done {
    /// Reads it off an output's headers; `None` if they do not say.
    #[must_use]
    pub fn read(headers: Headers<'_>) -> Option<Done> {
        let text = |name| headers.last(name).and_then(|value| std::str::from_utf8(value).ok());
        Some(Done {
            source: text(SOURCE)?.to_owned(),
            position: text(POSITION)?.parse().ok()?,
            time: Timestamp::from_micros(text(TIME)?.parse().ok()?),
            id: headers.last(ID)?.to_vec(),
        })
    }
}

/// Adds the headers of a message to those of an output. `scratch` holds their text.
pub(crate) fn write<'a>(
    partition: &TopicPartition,
    position: u64,
    time: Timestamp,
    id: &'a [u8],
    scratch: &'a mut Vec<u8>,
    headers: &mut Vec<Header<'a>>,
) {
    scratch.clear();
    let write = "a vector takes all that is written to it";
    write!(scratch, "{partition}").expect(write);
    let source = scratch.len();
    write!(scratch, "{position}").expect(write);
    let place = scratch.len();
    write!(scratch, "{}", time.as_micros()).expect(write);
    let text = &*scratch;
    headers.extend([
        (SOURCE, Some(&text[..source])),
        (POSITION, Some(&text[source..place])),
        (TIME, Some(&text[place..])),
        (ID, Some(id)),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let (mut scratch, mut headers) = (Vec::new(), vec![("mine", None)]);
        let partition = TopicPartition::new("orders", 3);
        let time = Timestamp::from_micros(1_700_000_000_000_001);
        write(&partition, 41, time, b"\0id", &mut scratch, &mut headers);
        let done = Done::read(Headers::new(&headers)).unwrap();
        let id = b"\0id".to_vec();
        assert_eq!(done, Done { source: "orders/3".into(), position: 41, time, id });
        assert_eq!(Done::read(Headers::new(&headers[..4])), None);
        assert_eq!(Done::read(Headers::default()), None);
    }
}
