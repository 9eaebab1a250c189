//! Ascending records in, one durable run out.

use std::sync::Arc;

use sled::{Batch, Tree};

use super::super::{RunSink, RunTarget, Sealed};
use super::block::{self, END, RECORDS};
use super::database::Database;
use super::filter::RunFilter;
use super::header::Header;
use super::keys;
use super::piece::{self, SUM};
use super::sealed::SledRun;
use crate::error::Result;
use crate::format::StoreId;
use crate::format::checksum::Salt;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::Record;

/// Bytes that go into sled at once. While a batch is applied sled answers nobody, so it is short.
const BATCH: usize = 64 << 10;
/// Bytes of values that are gathered under one key.
const VALUES: usize = 2 << 10;
/// Bytes of a piece of what is longer.
const PIECE: usize = 4 << 10;

/// A run under construction.
pub(super) struct SledSink {
    /// Before the database: what is dropped last closes it.
    tree: Tree,
    database: Arc<Database>,
    salt: Salt,
    header: Header,
    /// Taken by the finished run.
    filter: Option<RunFilter>,
    batch: Batch,
    batch_bytes: usize,
    /// Records of the block under way.
    records: Vec<Record>,
    /// Entries of the values under way, and the id of the first.
    values: Vec<u8>,
    first_value: Fingerprint,
}

impl std::fmt::Debug for SledSink {
    /// Sled's own would print every record.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledSink").field("header", &self.header).finish_non_exhaustive()
    }
}

impl SledSink {
    /// Starts a run in the tree of its generation.
    pub(super) fn start(
        database: Arc<Database>,
        tree: Tree,
        store: &StoreId,
        target: RunTarget,
    ) -> Result<SledSink> {
        let RunTarget { number, generation, ticks, expected } = target;
        // What is there of this number was left by a step that failed: no list names it.
        remove_run(&database, &tree, number)?;
        let filter = RunFilter::for_records(expected)?;
        let header = Header {
            number,
            generation,
            ticks,
            records: 0,
            values: 0,
            record_bytes: 0,
            value_bytes: 0,
            tick_range: (u8::MAX, 0),
            filter_blocks: filter.blocks(),
            first: END,
            first_value: END,
        };
        Ok(SledSink {
            database,
            tree,
            salt: piece::salt(store, number),
            header,
            filter: Some(filter),
            batch: Batch::default(),
            batch_bytes: 0,
            records: Vec::with_capacity(RECORDS),
            values: Vec::new(),
            first_value: Fingerprint::default(),
        })
    }

    /// Adds a piece to the batch; returns the bytes of key and value.
    fn put(&mut self, key: Vec<u8>, mut content: Vec<u8>) -> Result<u64> {
        piece::seal(self.salt, &key, &mut content);
        debug_assert!(content.len() <= piece::MAX);
        let bytes = key.len() + content.len();
        self.batch.insert(key, content);
        self.batch_bytes += bytes;
        if self.batch_bytes >= BATCH {
            self.apply()?;
        }
        Ok(bytes as u64)
    }

    fn apply(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.database.ask("write", || self.tree.apply_batch(batch))
    }

    fn close_block(&mut self, next: Fingerprint) -> Result<()> {
        let Some(&(first, _)) = self.records.first() else {
            return Ok(());
        };
        let content = block::encode(&self.records, next);
        self.records.clear();
        self.header.record_bytes += self.put(keys::records(self.header.number, first), content)?;
        Ok(())
    }

    fn close_values(&mut self, next: Fingerprint) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let entries = std::mem::take(&mut self.values);
        let bytes = [&next.as_u128().to_be_bytes()[..], &entries].concat();
        for (index, content) in (0..).zip(bytes.chunks(PIECE)) {
            let mut piece = Vec::with_capacity(content.len() + SUM);
            piece.extend_from_slice(content);
            let key = keys::values(self.header.number, self.first_value, index);
            self.header.value_bytes += self.put(key, piece)?;
        }
        Ok(())
    }

    fn close_filter(&mut self) -> Result<()> {
        for index in 0.. {
            let filter = self.filter.as_ref().expect("a run is finished once");
            let Some(piece) = filter.piece(index as usize) else { break };
            self.header.record_bytes += self.put(keys::filter(self.header.number, index), piece)?;
        }
        Ok(())
    }
}

impl RunSink for SledSink {
    fn push(&mut self, records: &[Record]) -> Result<()> {
        for &(id, tick) in records {
            if self.records.len() == RECORDS {
                self.close_block(id)?;
            }
            if self.header.records == 0 {
                self.header.first = id;
            }
            self.filter.as_mut().expect("a run is finished once").insert(id);
            let (earliest, latest) = self.header.tick_range;
            self.header.tick_range = (earliest.min(tick), latest.max(tick));
            self.header.records += 1;
            self.records.push((id, tick));
        }
        Ok(())
    }

    fn push_value(&mut self, id: Fingerprint, value: &Value) -> Result<()> {
        if !self.values.is_empty() && self.values.len() + value.entry_len() > VALUES {
            self.close_values(id)?;
        }
        if self.values.is_empty() {
            self.first_value = id;
        }
        if self.header.values == 0 {
            self.header.first_value = id;
        }
        value.encode(id, &mut self.values);
        self.header.values += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Arc<dyn Sealed>> {
        self.close_block(END)?;
        self.close_values(END)?;
        self.close_filter()?;
        self.apply()?;
        // The header last: whoever finds it finds the rest.
        self.put(keys::header(self.header.number), self.header.encode())?;
        self.apply()?;
        self.database.sync()?;
        let filter = self.filter.take().expect("a run is finished once");
        let (database, tree) = (Arc::clone(&self.database), self.tree.clone());
        Ok(Arc::new(SledRun { database, tree, salt: self.salt, header: self.header, filter }))
    }
}

impl Drop for SledSink {
    fn drop(&mut self) {
        // A finished run has taken the filter.
        if self.filter.is_some()
            && let Err(error) = remove_run(&self.database, &self.tree, self.header.number)
        {
            tracing::warn!(run = self.header.number, %error, "cannot remove what was begun of a run");
        }
    }
}

/// Removes all keys of a run.
pub(super) fn remove_run(database: &Database, tree: &Tree, number: u64) -> Result<bool> {
    let mut removed = false;
    loop {
        let keys: Vec<_> = database.ask("read", || {
            tree.range(keys::run(number)).keys().take(BATCH / PIECE).collect::<sled::Result<_>>()
        })?;
        if keys.is_empty() {
            return Ok(removed);
        }
        removed = true;
        let mut batch = Batch::default();
        keys.into_iter().for_each(|key| batch.remove(key));
        database.ask("remove from", || tree.apply_batch(batch))?;
    }
}
