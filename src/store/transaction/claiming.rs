//! Who may hold ids, as everybody inside the gate knows it: nobody, one transaction alone, or many.
//!
//! A store with one owner has one transaction at a time, and nobody else presents ids; it is spared the table
//! of claims.
//!
//! | the view says | a claim | an insertion |
//! |---|---|---|
//! | `Nobody` | makes it `Alone` | asks nothing |
//! | `Alone` | takes [`Claims::alone`]; where somebody holds ids makes it `Many` | makes it `Many` |
//! | `Many` | asks the table | asks the table |
//!
//! Whoever makes it `Many` closes the gate, and so waits until the one that claims has left it, and spreads
//! what that one holds over the table. So of a claim and an insertion, or of two claims, either one has left
//! before the other enters, or both ask the table. Upkeep makes it `Nobody` where nothing is held.

use super::super::core::Core;
use crate::claim::{Claims, LoneClaim, Ticket};
use crate::error::Result;
use crate::sync::Arc;
use crate::sync::gate::Inside;
use crate::window::{Claiming, View};

impl Core {
    /// Enters the gate to claim up to `most` ids: alone, or, where that is `None`, out of the table.
    pub(super) fn enter_to_claim(
        &self,
        ticket: &Arc<Ticket>,
        most: usize,
    ) -> Result<(Inside<'_, View>, Option<LoneClaim<'_>>)> {
        loop {
            let inside = self.gate.enter();
            self.check_usable()?;
            match inside.claiming {
                Claiming::Many => return Ok((inside, None)),
                Claiming::Alone => {
                    if let Some(alone) = self.claims.alone(ticket, most) {
                        return Ok((inside, Some(alone)));
                    }
                }
                Claiming::Nobody => {}
            }
            drop(inside);
            self.gate.update(|view| view.claiming = for_a_claim(view.claiming, &self.claims));
        }
    }

    /// For an insertion, outside of the gate: from now on the table has all that is held.
    pub(in crate::store) fn stop_being_alone(&self) {
        self.gate.update(|view| view.claiming = for_an_insertion(view.claiming, &self.claims));
    }

    /// Lets calls go without asking for claims, if nothing is held.
    pub(crate) fn retire_claims(&self) {
        if self.gate.enter().claiming != Claiming::Nobody && self.claims.is_empty() {
            self.gate.update(|view| view.claiming = at_rest(view.claiming, &self.claims));
        }
    }
}

/// What whoever claims, and cannot as it is, makes of it while the gate is closed.
pub(super) fn for_a_claim(now: Claiming, claims: &Claims) -> Claiming {
    match now {
        Claiming::Nobody => Claiming::Alone,
        Claiming::Alone | Claiming::Many => for_an_insertion(now, claims),
    }
}

/// What whoever inserts, and may not beside a claim that is alone, makes of it.
pub(super) fn for_an_insertion(now: Claiming, claims: &Claims) -> Claiming {
    match now {
        Claiming::Nobody => Claiming::Nobody,
        Claiming::Alone | Claiming::Many => {
            claims.spread();
            Claiming::Many
        }
    }
}

/// What upkeep makes of it now and then.
pub(super) fn at_rest(now: Claiming, claims: &Claims) -> Claiming {
    if !claims.is_empty() {
        return now;
    }
    claims.shrink();
    Claiming::Nobody
}
