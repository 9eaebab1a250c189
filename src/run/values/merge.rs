//! What is kept with ids in several places as one.
//!
//! Of one id that is in several the entry with the latest time stays; of equal times, that of the
//! first file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::Result;
use crate::format::value::Value;
use crate::key::Fingerprint;

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
