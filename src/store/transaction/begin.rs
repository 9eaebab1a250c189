//! Claiming: which ids of a batch are free, and taking them.
//!
//! A call that claims goes the way of one that inserts, up to the decision: it is inside the gate, has
//! looked ids up in all that is older than the active table, and decides each id while it holds what
//! decides it. That is the stripe of the claim table, which an insertion holds too while claims are in
//! use; or all of it, where nobody else is there (`claiming`). Nothing is written.

use super::super::call::{Call, Scratch};
use super::super::core::Core;
use super::super::counters::Tally;
use crate::claim::{Held, Take, Ticket};
use crate::error::Result;
use crate::index::AHEAD;
use crate::key::Fingerprint;
use crate::planted::{Bug, pause, planted};
use crate::sync::Arc;
use crate::verdict::{InFlight, Verdict};
use crate::window::{Again, View};

/// What a call wants to claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) call: Call<'a>,
    /// Fingerprints of the payloads, one for each id, or none.
    pub(crate) payloads: Option<&'a [Fingerprint]>,
    /// The ids before this one are not claimed: they are read again.
    pub(crate) replayed: usize,
    /// The progress that they lie below.
    pub(crate) progress: u64,
}

/// What a call got.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) verdicts: Vec<Verdict>,
    /// Indices of the ids that were claimed, ascending.
    pub(crate) fresh: Vec<u32>,
    /// Those of them whose earlier claim outlived its lease, and its token.
    pub(crate) after: Vec<(u32, u64)>,
}

impl From<Held> for Verdict {
    fn from(held: Held) -> Verdict {
        match held {
            Held::InFlight { age, left, .. } => Verdict::InFlight(InFlight::new(age, left)),
            Held::Unknown { token, .. } => Verdict::Unknown { token },
        }
    }
}

impl Core {
    /// Claims the ids that are free. On an error nothing is claimed.
    pub(crate) fn claim(
        &self,
        wanted: Wanted<'_>,
        ticket: &Arc<Ticket>,
        scratch: &mut Scratch,
    ) -> Result<Claimed> {
        let mut claimed = Claimed::default();
        let done = self.claim_into(wanted, ticket, scratch, &mut claimed);
        if let Err(error) = done {
            let ids = wanted.call.ids;
            let taken: Vec<_> = claimed.fresh.iter().map(|&i| ids[i as usize]).collect();
            self.claims.give_back(&taken, ticket);
            return Err(error);
        }
        Ok(claimed)
    }

    fn claim_into(
        &self,
        wanted: Wanted<'_>,
        ticket: &Arc<Ticket>,
        scratch: &mut Scratch,
        claimed: &mut Claimed,
    ) -> Result<()> {
        let Wanted { call, payloads, replayed, progress } = wanted;
        let (inside, mut alone) = self.enter_to_claim(ticket, call.ids.len())?;
        let mut tally = Tally::default();
        let forgotten = (!self.forgotten.is_empty()).then(|| self.forgotten.open());
        let decided = |id| forgotten.as_ref().is_some_and(|f| f.decides(id));
        let verdicts = &mut claimed.verdicts;
        self.classify(&inside, call, &decided, scratch, verdicts, &mut tally)?;
        verdicts[..replayed].fill(Verdict::Replay { progress });
        let (mem, now) = (&*inside.active, self.monotonic());
        call.ids.iter().take(AHEAD).for_each(|&id| mem.table.prefetch(id));
        for (i, &id) in call.ids.iter().enumerate() {
            if let Some(&ahead) = call.ids.get(i + AHEAD) {
                mem.table.prefetch(ahead);
            }
            if verdicts[i] != Verdict::New {
                continue;
            }
            let at = call.moments.at(i).now;
            let known = || {
                let again = forgotten.as_ref().map(|f| f.look(id, at, self.window));
                match again.unwrap_or(Again::NotForgotten) {
                    Again::Since(first_seen) => Some(first_seen),
                    Again::Free => None,
                    // Claiming does not start a generation, so the active one may be long over.
                    Again::NotForgotten => mem
                        .sighting(id)
                        .filter(|&found| self.counts(found, at))
                        .map(|found| found.first_seen()),
                }
            };
            let payload = payloads.map(|payloads| payloads[i]);
            let known_early = planted(Bug::TableAskedFirst).then(known);
            known_early.inspect(|_| pause());
            let known = || known_early.unwrap_or_else(known);
            let take = match &mut alone {
                Some(alone) => alone.take(id, payload, known),
                None => self.claims.take(id, ticket, payload, now, known),
            };
            verdicts[i] = match take {
                Take::Claimed { after } => {
                    let i = u32::try_from(i).expect("claims are bounded");
                    claimed.fresh.push(i);
                    claimed.after.extend(after.map(|token| (i, token)));
                    continue;
                }
                Take::Own { payload: before } if differ(before, payload) => {
                    Verdict::Mismatch { first_seen: at }
                }
                Take::Own { .. } => Verdict::Duplicate { first_seen: at },
                Take::Known(first_seen) => {
                    tally.rests_on_log = true;
                    Verdict::Duplicate { first_seen }
                }
                Take::Held(Held::InFlight { payload: before, .. }) if differ(before, payload) => {
                    Verdict::Mismatch { first_seen: at }
                }
                Take::Held(held) => held.into(),
            };
        }
        drop(forgotten);
        drop(alone);
        if let Some(payloads) = payloads {
            self.compare_payloads(&inside, call, payloads, verdicts)?;
        }
        self.counters.add_claims(verdicts, &tally);
        self.leave(inside, None, &tally)
    }

    /// Marks duplicates whose first one had another payload.
    fn compare_payloads(
        &self,
        view: &View,
        call: Call<'_>,
        payloads: &[Fingerprint],
        verdicts: &mut [Verdict],
    ) -> Result<()> {
        for (i, verdict) in verdicts.iter_mut().enumerate() {
            let Verdict::Duplicate { first_seen } = *verdict else { continue };
            let value = self.value_in(view, call.ids[i], call.moments.at(i).now)?;
            if differ(value.and_then(|value| value.payload), Some(payloads[i])) {
                *verdict = Verdict::Mismatch { first_seen };
            }
        }
        Ok(())
    }
}

/// Whether both are known and are not the same.
fn differ(before: Option<Fingerprint>, now: Option<Fingerprint>) -> bool {
    matches!((before, now), (Some(before), Some(now)) if before != now)
}
