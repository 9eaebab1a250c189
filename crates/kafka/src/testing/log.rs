//! A partition: what is written to it, and what a reader sees of that.

use std::collections::BTreeSet;

use firstseen::Timestamp;

use crate::client::{Bounds, OutputRecord};
use crate::message::{Header, Headers, Message};

/// What a reader sees of transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// All records, as soon as they are written.
    ReadUncommitted,
    /// Records below the last stable offset, without those of aborted transactions.
    ReadCommitted,
}

/// A record to be written without a transaction: see
/// [`Cluster::produce`](crate::testing::Cluster::produce).
#[derive(Debug, Clone, Default)]
pub struct Produce {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its payload.
    pub payload: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Its timestamp; `None`: the cluster's.
    pub time: Option<Timestamp>,
}

impl Produce {
    /// A record with a key and a payload.
    #[must_use]
    pub fn new(key: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Produce {
        let (key, payload) = (Some(key.as_ref().to_vec()), Some(payload.as_ref().to_vec()));
        Produce { key, payload, ..Produce::default() }
    }

    /// With another header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Produce {
        self.headers.push((name.to_owned(), Some(value.as_ref().to_vec())));
        self
    }

    /// At a time.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Produce {
        self.time = Some(time);
        self
    }

    pub(super) fn of(record: &OutputRecord<'_>) -> Produce {
        let headers = record.headers.iter();
        Produce {
            key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.map(<[u8]>::to_vec),
            headers: headers
                .map(|(name, value)| (name.into(), value.map(<[u8]>::to_vec)))
                .collect(),
            time: record.time,
        }
    }
}

/// A record as it stands in a partition.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its offset.
    pub offset: u64,
    /// Its timestamp.
    pub time: Timestamp,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its payload.
    pub payload: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// Lets `see` see it as a message.
    pub fn as_message<R>(&self, see: impl FnOnce(&Message<'_>) -> R) -> R {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
        see(&Message {
            offset: self.offset,
            time: Some(self.time),
            key: self.key.as_deref(),
            payload: self.payload.as_deref(),
            headers: Headers::new(&headers),
        })
    }
}

/// The number of a transaction, in the order in which they were begun.
pub(super) type TransactionId = u64;

/// What takes up an offset.
#[derive(Debug)]
enum Entry {
    Record {
        record: Record,
        transaction: Option<TransactionId>,
    },
    /// The end of a transaction.
    Marker,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// All that was ever written; retention only moves `first`.
    entries: Vec<Entry>,
    first: u64,
    open: BTreeSet<TransactionId>,
    aborted: BTreeSet<TransactionId>,
}

impl Log {
    pub(super) fn append(
        &mut self,
        produce: Produce,
        now: Timestamp,
        transaction: Option<TransactionId>,
    ) -> u64 {
        let offset = self.entries.len() as u64;
        let Produce { key, payload, headers, time } = produce;
        let record = Record { offset, time: time.unwrap_or(now), key, payload, headers };
        self.open.extend(transaction);
        self.entries.push(Entry::Record { record, transaction });
        offset
    }

    /// Writes the marker that ends a transaction.
    pub(super) fn end(&mut self, transaction: TransactionId, committed: bool) {
        if self.open.remove(&transaction) {
            self.entries.push(Entry::Marker);
            if !committed {
                self.aborted.insert(transaction);
            }
        }
    }

    /// Drops what lies below `first`.
    pub(super) fn trim(&mut self, first: u64) {
        self.first = self.first.max(first.min(self.entries.len() as u64));
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds { first: self.first, end: self.entries.len() as u64 }
    }

    /// The first offset of a transaction that is open.
    fn last_stable_offset(&self) -> u64 {
        let is_open = |entry: &Entry| match entry {
            Entry::Record { transaction: Some(id), .. } => self.open.contains(id),
            _ => false,
        };
        self.entries.iter().position(is_open).unwrap_or(self.entries.len()) as u64
    }

    /// The next record that a reader at `next` sees; `None` if there is none yet.
    pub(super) fn read(&self, next: u64, isolation: Isolation) -> Option<&Record> {
        let end = match isolation {
            Isolation::ReadUncommitted => self.entries.len() as u64,
            Isolation::ReadCommitted => self.last_stable_offset(),
        };
        let range = next.max(self.first)..end;
        range.into_iter().find_map(|offset| match &self.entries[offset as usize] {
            Entry::Record { transaction: Some(id), .. }
                if isolation == Isolation::ReadCommitted && self.aborted.contains(id) =>
            {
                None
            }
            Entry::Record { record, .. } => Some(record),
            Entry::Marker => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(log: &Log, isolation: Isolation) -> Vec<u64> {
        let mut next = 0;
        let read = std::iter::from_fn(|| {
            let record = log.read(next, isolation)?;
            next = record.offset + 1;
            Some(record.offset)
        });
        read.collect()
    }

    #[test]
    fn readers_see_what_their_isolation_says() {
        let (now, mut log) = (Timestamp::from_secs(1), Log::default());
        let some = || Produce::new("k", "v");
        for transaction in [None, Some(1), Some(2), None] {
            log.append(some(), now, transaction);
        }
        assert_eq!(offsets(&log, Isolation::ReadCommitted), [0]);
        assert_eq!(offsets(&log, Isolation::ReadUncommitted), [0, 1, 2, 3]);
        log.end(1, false);
        assert_eq!(offsets(&log, Isolation::ReadCommitted), [0], "2 is open and comes before 3");
        log.end(2, true);
        log.end(2, true);
        assert_eq!(offsets(&log, Isolation::ReadCommitted), [0, 2, 3]);
        assert_eq!(log.append(some(), now, None), 6, "two markers took an offset each");
        log.trim(3);
        assert_eq!(log.bounds(), Bounds { first: 3, end: 7 });
        assert_eq!(offsets(&log, Isolation::ReadUncommitted), [3, 6]);
    }
}
