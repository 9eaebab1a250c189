//! What the loop knows of a message, whichever client brought it.

use std::fmt;
use std::sync::Arc;

use firstseen::Timestamp;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The number of the partition.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of `topic`.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }

    /// As in `orders-3`: what is named for it where `/` cannot be. A topic's name has letters, digits, `.`, `_` and
    /// `-` alone.
    pub(crate) fn stem(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }
}

/// As in `orders/3`; the name of the partition as a source of its store.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A message of a partition. It borrows from the batch that it came in.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its position in the partition.
    pub offset: u64,
    /// The record's timestamp; `None` if the broker has none.
    pub time: Option<Timestamp>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its payload; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Its headers, in their order.
    pub headers: Headers<'a>,
}

impl Message<'_> {
    /// The bytes of its key, payload and headers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let headers =
            self.headers.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len));
        self.key.map_or(0, <[u8]>::len)
            + self.payload.map_or(0, <[u8]>::len)
            + headers.sum::<usize>()
    }
}

/// A header: its name, and its value, which may be missing.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// The headers of a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    kept: Kept<'a>,
}

/// Where headers are: as a client gives them, or in a batch.
#[derive(Debug, Clone, Copy)]
enum Kept<'a> {
    Given(&'a [Header<'a>]),
    Batch { places: &'a [Place], bytes: &'a [u8] },
}

impl Default for Kept<'_> {
    fn default() -> Self {
        Kept::Given(&[])
    }
}

/// Where a header's name and value end in the bytes of a batch. The name begins where `start` says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) name_end: usize,
    /// `None` for a header without a value.
    pub(crate) value_end: Option<usize>,
}

impl<'a> Headers<'a> {
    /// Headers that a client gives.
    #[must_use]
    pub fn new(headers: &'a [Header<'a>]) -> Headers<'a> {
        Headers { kept: Kept::Given(headers) }
    }

    /// Headers that a batch keeps.
    pub(crate) fn in_batch(places: &'a [Place], bytes: &'a [u8]) -> Headers<'a> {
        Headers { kept: Kept::Batch { places, bytes } }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.kept {
            Kept::Given(headers) => headers.len(),
            Kept::Batch { places, .. } => places.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All headers, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let kept = self.kept;
        (0..self.len()).map(move |i| match kept {
            Kept::Given(headers) => headers[i],
            Kept::Batch { places, bytes } => {
                let Place { start, name_end, value_end } = places[i];
                let name = std::str::from_utf8(&bytes[start..name_end]);
                let value = value_end.map(|end| &bytes[name_end..end]);
                (name.expect("it was text when it was put there"), value)
            }
        })
    }

    /// The value of the last header of that name: the one that counts where a name comes twice.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().filter(|header| header.0 == name).last().and_then(|header| header.1)
    }
}
