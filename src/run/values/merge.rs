//! Several values files as one, a bounded amount a step.
//!
//! Of one id that is in several the entry with the latest time stays; of equal times, that of the
//! first file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Values, ValuesWriter};
use crate::error::Result;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::sync::Arc;

/// Bytes of entries that a step writes, about: some tens of milliseconds.
pub(super) const STEP: usize = 8 << 20;

/// A merge under way.
#[derive(Debug)]
pub(crate) struct ValuesMerge {
    inputs: Vec<Arc<Values>>,
    writer: Option<ValuesWriter>,
    /// The last id that was written.
    last: Option<Fingerprint>,
}

impl ValuesMerge {
    /// Starts to merge `inputs` into the file of `writer`.
    pub(crate) fn start(inputs: Vec<Arc<Values>>, writer: ValuesWriter) -> ValuesMerge {
        ValuesMerge { inputs, writer: Some(writer), last: None }
    }

    /// Writes some more entries; the length of the durable file once all are written. After an error
    /// the merge cannot go on; remove the file.
    pub(crate) fn step(&mut self) -> Result<Option<u64>> {
        let writer = self.writer.as_mut().expect("a finished merge takes no steps");
        let cursors = self.inputs.iter().map(|values| values.cursor_after(self.last)).collect();
        let mut written = 0;
        for entry in LatestValues::new(cursors)? {
            let (id, value) = entry?;
            writer.push(id, &value)?;
            self.last = Some(id);
            written += value.entry_len();
            if written >= STEP {
                return Ok(None);
            }
        }
        self.writer.take().expect("checked above").finish().map(Some)
    }
}

/// The entries of several cursors, or of others that ascend, as one: ascending, the latest of each id.
/// Ends after the first error.
pub(crate) struct LatestValues<I> {
    cursors: Vec<I>,
    /// The next value of each cursor; its id is in the heap.
    values: Vec<Option<Value>>,
    heap: BinaryHeap<Reverse<(Fingerprint, usize)>>,
}

impl<I: Iterator<Item = Result<(Fingerprint, Value)>>> LatestValues<I> {
    /// Takes the first entry of each cursor.
    pub(crate) fn new(cursors: Vec<I>) -> Result<LatestValues<I>> {
        let count = cursors.len();
        let values = vec![None; count];
        let mut latest = LatestValues { cursors, values, heap: BinaryHeap::with_capacity(count) };
        (0..count).try_for_each(|index| latest.advance(index))?;
        Ok(latest)
    }

    fn advance(&mut self, index: usize) -> Result<()> {
        if let Some((id, value)) = self.cursors[index].next().transpose()? {
            self.values[index] = Some(value);
            self.heap.push(Reverse((id, index)));
        }
        Ok(())
    }

    fn take(&mut self, id: Fingerprint) -> Result<Value> {
        let mut kept: Option<Value> = None;
        while let Some(&Reverse((_, index))) = self.heap.peek().filter(|head| head.0.0 == id) {
            self.heap.pop();
            let value = self.values[index].take();
            if value.as_ref().map(|value| value.time) > kept.as_ref().map(|kept| kept.time) {
                kept = value;
            }
            self.advance(index)?;
        }
        Ok(kept.expect("an id in the heap has a value"))
    }
}

impl<I: Iterator<Item = Result<(Fingerprint, Value)>>> Iterator for LatestValues<I> {
    type Item = Result<(Fingerprint, Value)>;

    fn next(&mut self) -> Option<Result<(Fingerprint, Value)>> {
        let &Reverse((id, _)) = self.heap.peek()?;
        let taken = self.take(id);
        if taken.is_err() {
            self.heap.clear();
        }
        Some(taken.map(|value| (id, value)))
    }
}
