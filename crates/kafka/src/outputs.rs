//! Records that a transformation makes, until their transaction sends them.

use std::ops::Range;

use firstseen::Timestamp;

use crate::batch::Batch;
use crate::client::OutputRecord;
use crate::history;
use crate::message::{Header, Headers, Message, TopicPartition};

/// All outputs of a batch. Their bytes are kept as those of input messages are.
#[derive(Debug, Default)]
pub(crate) struct OutputBuffer {
    records: Batch,
    places: Vec<Target>,
    topics: Vec<u8>,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Target {
    topic: Range<usize>,
    partition: Option<i32>,
}

impl OutputBuffer {
    /// A door for the outputs of one message. With `history`, the id and the time by which it was judged, they
    /// carry where they come from.
    pub(crate) fn of<'a>(
        &'a mut self,
        partition: &'a TopicPartition,
        message: &'a Message<'a>,
        history: Option<(&'a [u8], Timestamp)>,
    ) -> Outputs<'a> {
        Outputs { buffer: self, partition, message, history }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.truncate(0);
    }

    /// Takes all but the first `len` out.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.places.truncate(len);
        self.records.truncate(len);
        self.topics.truncate(self.places.last().map_or(0, |last| last.topic.end));
    }

    /// All records, in the order in which they were made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = OutputRecord<'_>> {
        self.places.iter().zip(self.records.iter()).map(|(Target { topic, partition }, record)| {
            let topic = std::str::from_utf8(&self.topics[topic.clone()]);
            OutputRecord {
                topic: topic.expect("it was text when it was put there"),
                partition: *partition,
                key: record.key,
                payload: record.payload,
                headers: record.headers,
                time: record.time,
            }
        })
    }
}

/// Where the work on one message puts the records that it makes.
#[derive(Debug)]
pub struct Outputs<'a> {
    buffer: &'a mut OutputBuffer,
    partition: &'a TopicPartition,
    message: &'a Message<'a>,
    history: Option<(&'a [u8], Timestamp)>,
}

impl Outputs<'_> {
    /// Sends a record to a partition of `topic` that its key decides.
    pub fn send(&mut self, topic: &str, key: Option<&[u8]>, payload: Option<&[u8]>) {
        let record = OutputRecord {
            topic,
            partition: None,
            key,
            payload,
            headers: Headers::default(),
            time: self.message.time,
        };
        self.send_record(&record);
    }

    /// Sends a record, with all that can be said of one.
    pub fn send_record(&mut self, record: &OutputRecord<'_>) {
        let OutputRecord { topic, partition, key, payload, headers, time } = *record;
        let start = self.buffer.topics.len();
        self.buffer.topics.extend_from_slice(topic.as_bytes());
        let topic = start..self.buffer.topics.len();
        let mut scratch = std::mem::take(&mut self.buffer.scratch);
        let mut all: Vec<Header<'_>> = headers.iter().collect();
        if let Some((id, at)) = self.history {
            history::write(self.partition, self.message.offset, at, id, &mut scratch, &mut all);
        }
        // Its offset is its place among the outputs: that is what the batch keeps ascending.
        let offset = self.buffer.places.len() as u64;
        let headers = Headers::new(&all);
        self.buffer.records.push(&Message { offset, time, key, payload, headers });
        drop(all);
        self.buffer.scratch = scratch;
        self.buffer.places.push(Target { topic, partition });
    }
}
