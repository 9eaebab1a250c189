//! Which bytes of a message are its id, and which time is its event's.

use std::fmt;

use firstseen::Timestamp;

use crate::batch::Batch;
use crate::message::{Message, TopicPartition};

/// Where the id of a message is. Producers must give every copy of a message the same id, and the same
/// partition: a store knows the ids of its partition alone.
#[derive(Default)]
pub enum IdFrom {
    /// Its key is the id. A key that names an entity and not a message is none.
    #[default]
    Key,
    /// The value of the last header of this name.
    Header(String),
    /// What a function finds.
    Function(IdFunction),
}

/// Appends the id of a message to the vector, or says why there is none.
pub type IdFunction = Box<dyn FnMut(&Message<'_>, &mut Vec<u8>) -> Result<(), String> + Send>;

impl fmt::Debug for IdFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdFrom::Key => f.write_str("Key"),
            IdFrom::Header(name) => write!(f, "Header({name:?})"),
            IdFrom::Function(_) => f.write_str("Function(_)"),
        }
    }
}

impl IdFrom {
    /// Appends the id of `message` to `id`.
    fn append(&mut self, message: &Message<'_>, id: &mut Vec<u8>) -> Result<(), String> {
        let found = match self {
            IdFrom::Key => message.key.ok_or("it has no key"),
            IdFrom::Header(name) => {
                message.headers.last(name).ok_or("it has no such header as has the id")
            }
            IdFrom::Function(function) => return function(message, id),
        };
        id.extend_from_slice(found?);
        Ok(())
    }
}

/// By which time a message is judged.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum TimeFrom {
    /// The record's timestamp, as the producer or the broker set it: a message from before the window is late.
    #[default]
    Record,
    /// The time at which it arrives: no message is late.
    Arrival,
}

/// What a message without an id of its own is remembered by: nobody else's id begins so.
const POISON: &[u8] = b"\xff\xfffirstseen-kafka\0poison\0";

/// The ids and times of a batch.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    bytes: Vec<u8>,
    /// Where each id ends.
    ends: Vec<usize>,
    pub(crate) times: Vec<Timestamp>,
    /// The messages without an id, by index, and why.
    pub(crate) poison: Vec<(usize, String)>,
}

impl Selected {
    /// Looks at all messages of a batch.
    pub(crate) fn select(
        &mut self,
        partition: &TopicPartition,
        batch: &Batch,
        id_from: &mut IdFrom,
        time_from: TimeFrom,
    ) {
        self.bytes.clear();
        self.ends.clear();
        self.times.clear();
        self.poison.clear();
        let arrival = Timestamp::now();
        for (i, message) in batch.iter().enumerate() {
            let begin = self.bytes.len();
            let appended = id_from.append(&message, &mut self.bytes);
            let appended = match self.bytes[begin..].is_empty() {
                true => appended.and(Err("its id is empty".into())),
                false => appended,
            };
            if let Err(why) = appended {
                self.bytes.truncate(begin);
                self.bytes.extend_from_slice(POISON);
                self.bytes.extend_from_slice(partition.to_string().as_bytes());
                self.bytes.extend_from_slice(&message.offset.to_be_bytes());
                self.poison.push((i, why));
            }
            self.ends.push(self.bytes.len());
            self.times.push(match time_from {
                TimeFrom::Record => message.time.unwrap_or(arrival),
                TimeFrom::Arrival => arrival,
            });
        }
    }

    /// The id of message `i`.
    pub(crate) fn id(&self, i: usize) -> &[u8] {
        let begin = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[i]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;

    fn batch() -> Batch {
        let mut batch = Batch::default();
        let headers = [("id", Some(&b"first"[..])), ("id", Some(&b"last"[..]))];
        for (offset, key) in [(0, Some(&b"k"[..])), (1, None), (2, Some(&b""[..]))] {
            let headers = Headers::new(if offset == 1 { &headers } else { &[] });
            let time = (offset == 0).then(|| Timestamp::from_secs(9));
            batch.push(&Message { offset, time, key, payload: None, headers });
        }
        batch
    }

    fn select(mut id_from: IdFrom) -> Selected {
        let mut selected = Selected::default();
        let partition = TopicPartition::new("t", 0);
        selected.select(&partition, &batch(), &mut id_from, TimeFrom::Record);
        selected
    }

    #[test]
    fn keys_headers_and_functions() {
        let keys = select(IdFrom::Key);
        assert_eq!(keys.id(0), b"k");
        assert_eq!(keys.poison.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(keys.times[0], Timestamp::from_secs(9));
        let headers = select(IdFrom::Header("id".into()));
        assert_eq!(headers.id(1), b"last");
        assert_eq!(headers.poison.len(), 2);
        let offsets = select(IdFrom::Function(Box::new(|message, id| {
            id.push(b'0' + message.offset as u8);
            if message.offset == 1 { Err("odd".into()) } else { Ok(()) }
        })));
        assert_eq!((offsets.id(0), offsets.id(2)), (&b"0"[..], &b"2"[..]));
        assert_eq!(offsets.poison, [(1, "odd".to_owned())]);
    }

    #[test]
    fn what_has_no_id_is_remembered_by_its_place() {
        let keys = select(IdFrom::Key);
        assert_ne!(keys.id(1), keys.id(2));
        assert!(keys.id(1).starts_with(POISON));
    }
}
