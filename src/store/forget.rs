//! Forgetting ids on demand.

use super::call::{Call, Scratch};
use super::core::Core;
use super::transaction::tables;
use crate::error::Result;
use crate::format::frame::{FrameBuffer, FrameKind, call_len_max};
use crate::key::Fingerprint;
use crate::sync::Arc;
use crate::verdict::Verdict;

impl Core {
    /// Forgets those of the ids that are remembered; returns how many.
    ///
    /// The gate is closed while the set and the log learn of it: every call is wholly before or
    /// wholly after, in memory and in the log alike.
    pub(crate) fn forget(&self, ids: &[Fingerprint], scratch: &mut Scratch) -> Result<u64> {
        self.check_usable()?;
        self.sync_if_overdue()?;
        let now = self.clock.now();
        let mut verdicts = Vec::with_capacity(ids.len());
        self.look(Call::at(ids, now), scratch, &mut verdicts)?;
        let known =
            ids.iter().zip(&verdicts).filter(|(_, v)| matches!(v, Verdict::Duplicate { .. }));
        let mut known: Vec<Fingerprint> = known.map(|(&id, _)| id).collect();
        known.sort_unstable();
        known.dedup();
        if known.is_empty() {
            return Ok(0);
        }
        self.forgotten.check_room(known.len())?;
        // No earlier than what is kept with any of them: that is forgotten too.
        let now = self.youngest_value_time(&known)?.map_or(now, |time| now.max(time));
        let mut frame = FrameBuffer::default();
        frame.start();
        known.iter().for_each(|&id| frame.push(id));
        frame.seal(FrameKind::Forget, now, 0, &[]);
        let lsn = loop {
            let room = self.enter_with_room(0, now, call_len_max(known.len()))?;
            let segment = room.inside.segment.clone().expect("room was reserved in it");
            let reserved = room.bytes;
            drop(room);
            let staged = self.gate.update(|view| {
                if !view.segment.as_ref().is_some_and(|now| Arc::ptr_eq(now, &segment)) {
                    return None;
                }
                for &id in &known {
                    self.forgotten.insert(id, now);
                    tables(view).for_each(|mem| mem.values.remove(id));
                }
                Some(self.log.stage(&segment, &mut frame))
            });
            match staged {
                Some(lsn) => {
                    segment.release(reserved - frame.len() as u64);
                    break lsn;
                }
                // The segment was closed in between: what was reserved in it is of no use.
                None => segment.release(reserved),
            }
        };
        // It may be a little ahead, and a reopen goes by the frame.
        self.clock.advance(now);
        self.acknowledge(lsn)?;
        Ok(known.len() as u64)
    }
}
