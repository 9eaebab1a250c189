//! Messages of one partition, gathered to be worked on together.
//!
//! All bytes lie in one vector that is used again, so a message costs a copy and no allocation.

use std::ops::Range;

use firstseen::Timestamp;

use crate::message::{Headers, Message, Place};

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    headers: Vec<Place>,
}

#[derive(Debug)]
struct Entry {
    /// Where its bytes begin.
    start: usize,
    offset: u64,
    time: Option<Timestamp>,
    key: Option<Range<usize>>,
    payload: Option<Range<usize>>,
    headers: Range<usize>,
}

impl Batch {
    /// Adds a message. Offsets ascend; one that does not lie behind the last is one that came before, and
    /// is left out.
    pub fn push(&mut self, message: &Message<'_>) {
        if self.entries.last().is_some_and(|last| message.offset <= last.offset) {
            return;
        }
        let start = self.bytes.len();
        let key = message.key.map(|key| self.copy(key));
        let payload = message.payload.map(|payload| self.copy(payload));
        let first = self.headers.len();
        for (name, value) in message.headers.iter() {
            let name = self.copy(name.as_bytes());
            let value_end = value.map(|value| self.copy(value).end);
            self.headers.push(Place { start: name.start, name_end: name.end, value_end });
        }
        let headers = first..self.headers.len();
        let Message { offset, time, .. } = *message;
        self.entries.push(Entry { start, offset, time, key, payload, headers });
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all keys, payloads and headers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Message `i`, in the order of offsets.
    ///
    /// # Panics
    ///
    /// If there are not as many.
    #[must_use]
    pub fn get(&self, i: usize) -> Message<'_> {
        let Entry { offset, time, key, payload, headers, .. } = &self.entries[i];
        let bytes = |range: &Range<usize>| &self.bytes[range.clone()];
        Message {
            offset: *offset,
            time: *time,
            key: key.as_ref().map(bytes),
            payload: payload.as_ref().map(bytes),
            headers: Headers::in_batch(&self.headers[headers.clone()], &self.bytes),
        }
    }

    /// The offset of message `i`; see [`Batch::get`].
    pub(crate) fn offset(&self, i: usize) -> u64 {
        self.entries[i].offset
    }

    /// All messages.
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// One past the last offset; `None` if there is no message.
    #[must_use]
    pub fn next_offset(&self) -> Option<u64> {
        self.entries.last().map(|last| last.offset + 1)
    }

    /// Takes all messages out, and keeps the room.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Takes all but the first `len` messages out.
    pub fn truncate(&mut self, len: usize) {
        if let Some(first) = self.entries.get(len) {
            self.bytes.truncate(first.start);
            self.headers.truncate(first.headers.start);
            self.entries.truncate(len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let mut batch = Batch::default();
        let headers = [("id", Some(&b"7"[..])), ("empty", Some(&b""[..])), ("none", None)];
        for offset in [3, 4, 4, 2, 9] {
            batch.push(&Message {
                offset,
                time: Some(Timestamp::from_secs(offset)),
                key: (offset % 2 == 0).then_some(b"key"),
                payload: (offset != 9).then_some(b"payload"),
                headers: Headers::new(&headers[..(offset % 4) as usize]),
            });
        }
        assert_eq!(batch.iter().map(|message| message.offset).collect::<Vec<_>>(), [3, 4, 9]);
        assert_eq!(batch.next_offset(), Some(10));
        assert_eq!(batch.get(0).headers.iter().collect::<Vec<_>>(), headers);
        assert_eq!(batch.get(0).headers.last("id"), Some(&b"7"[..]));
        assert_eq!(batch.get(0).headers.last("none"), None);
        assert!(batch.get(1).headers.is_empty());
        assert_eq!((batch.get(0).key, batch.get(1).key), (None, Some(&b"key"[..])));
        assert_eq!(batch.get(2).payload, None);
        assert_eq!(batch.bytes(), batch.iter().map(|message| message.bytes()).sum::<usize>());
        batch.truncate(2);
        assert_eq!((batch.len(), batch.next_offset()), (2, Some(5)));
        assert_eq!(batch.bytes(), batch.iter().map(|message| message.bytes()).sum::<usize>());
        batch.clear();
        assert!(batch.is_empty() && batch.next_offset().is_none() && batch.bytes() == 0);
    }
}
