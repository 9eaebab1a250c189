//! Fencing tokens: numbers that only ever rise, also across reopening.
//!
//! A later claim of an id has a higher token than an earlier one, so whoever keeps the highest token
//! that it has seen can refuse a claimant whose lease ended. For that a token is drawn when the ids are
//! claimed, not before. Tokens are reserved in the manifest in blocks, before the first of a block is
//! given out.

use crate::error::Result;
use crate::planted::{Bug, planted};
use crate::sync::{AtomicU64, Mutex, Ordering, lock};

use super::super::core::Core;

/// Tokens of a block: as many as can be given out between two writes of the manifest.
const BLOCK: u64 = 1 << 32;

/// Gives out fencing tokens.
#[derive(Debug)]
pub(crate) struct Fences {
    next: AtomicU64,
    /// Tokens below are reserved.
    reserved: AtomicU64,
    /// Held while a block is reserved.
    reserving: Mutex<()>,
}

impl Fences {
    /// Goes on after everything that the manifest says is reserved.
    pub(crate) fn new(reserved: u64) -> Fences {
        let first = reserved.max(1);
        Fences {
            next: AtomicU64::new(first),
            reserved: AtomicU64::new(first),
            reserving: Mutex::new(()),
        }
    }
}

impl Core {
    /// The next fencing token, above all before.
    pub(crate) fn next_fence(&self) -> Result<u64> {
        let fences = &self.fences;
        let token = fences.next.fetch_add(1, Ordering::Relaxed);
        // Partner: the store below. A token is given out only once its block is durable.
        if token < fences.reserved.load(Ordering::Acquire) {
            return Ok(token);
        }
        let _reserving = lock(&fences.reserving);
        let reserved = fences.reserved.load(Ordering::Relaxed);
        if token >= reserved {
            let next = token.saturating_add(BLOCK);
            if !planted(Bug::FenceUnreserved) {
                self.hold_upkeep().install(self, |manifest| manifest.next_fence = next)?;
            }
            fences.reserved.store(next, Ordering::Release);
        }
        Ok(token)
    }
}
