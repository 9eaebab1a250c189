//! A batch whose new messages are claimed.

use firstseen::{Claim, Step, Timestamp, Verdict};

use crate::batch::Batch;
use crate::message::Message;
use crate::select::Selected;

/// A batch, the claim on its new messages, and which of them are to be worked on.
#[derive(Debug)]
pub struct Claimed<'a> {
    claim: Claim,
    batch: &'a Batch,
    selected: &'a Selected,
    /// The claimed messages that are dead letters: to be committed, not worked on. Ascending.
    dead: &'a [usize],
    /// The first message that its commit leaves to be read again.
    left: Option<usize>,
}

impl<'a> Claimed<'a> {
    pub(crate) fn new(
        claim: Claim,
        batch: &'a Batch,
        selected: &'a Selected,
        dead: &'a [usize],
    ) -> Claimed<'a> {
        let left = claim.verdicts().iter().position(|verdict| !verdict.is_settled());
        Claimed { claim, batch, selected, dead, left }
    }

    /// The messages to work on, with their indices in the batch. The iterator borrows the batch alone, so
    /// the claim can be changed while it goes on.
    pub fn fresh(&self) -> impl Iterator<Item = (usize, Message<'a>)> + use<'a> {
        let (batch, dead) = (self.batch, self.dead);
        let fresh = self.claim.fresh().filter(move |i| dead.binary_search(i).is_err());
        fresh.map(move |i| (i, batch.get(i)))
    }

    /// The ids of all messages of the batch.
    #[must_use]
    pub fn ids(&self) -> Ids<'a> {
        Ids { selected: self.selected }
    }

    /// The verdicts of all messages of the batch.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        self.claim.verdicts()
    }

    /// Lets `work` do the part of message `i`; see [`Claim::attempt`].
    ///
    /// # Errors
    ///
    /// What `work` says.
    pub fn attempt<E>(
        &mut self,
        i: usize,
        work: impl FnOnce(&mut Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let worked = self.claim.attempt(i, work);
        worked.inspect_err(|_| self.note_left(i))
    }

    /// Gives message `i` back, and all claimed ones behind it: they come again.
    pub fn release_from(&mut self, i: usize) {
        for later in self.claim.fresh().filter(|&later| later >= i) {
            self.claim.release(later);
        }
        self.note_left(i);
    }

    fn note_left(&mut self, i: usize) {
        self.left = Some(self.left.map_or(i, |left| left.min(i)));
    }

    /// The offset from which on messages come again once it is committed.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        match self.left {
            Some(left) => self.batch.get(left).offset,
            None => self.batch.next_offset().unwrap_or(0),
        }
    }

    /// The claim, to be committed.
    pub fn into_claim(self) -> Claim {
        self.claim
    }
}

/// The ids of a batch's messages, and the times by which they are judged.
#[derive(Debug, Clone, Copy)]
pub struct Ids<'a> {
    selected: &'a Selected,
}

impl<'a> Ids<'a> {
    /// The id of message `i`.
    #[must_use]
    pub fn id(&self, i: usize) -> &'a [u8] {
        self.selected.id(i)
    }

    /// The time by which message `i` is judged.
    #[must_use]
    pub fn time(&self, i: usize) -> Timestamp {
        self.selected.times[i]
    }
}
