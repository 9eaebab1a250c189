//! What is known of each id.
//!
//! An id is *firm* once somebody was told that it is there, *doubtful* if somebody may have brought it in, or
//! taken it out, and never heard of it, and absent otherwise.

use std::collections::{BTreeSet, HashMap};

use crate::case::{Promise, ensure};
use crate::real::Micros;

/// The ids of a store.
#[derive(Debug, Default)]
pub(in crate::real) struct Ids {
    pub(super) known: HashMap<u64, Id>,
    pub(super) window: Micros,
    /// Whether calls of this life are acknowledged when they are on the medium.
    synced: bool,
    /// Ids that a power cut may take.
    pub(super) at_risk: BTreeSet<u64>,
    /// Of those that were found to have survived one, the latest line that began to bring one in.
    pub(super) newest_kept: Option<(u64, u64)>,
    /// Of those that were found to be lost, the first line that acknowledged one, and when.
    pub(super) oldest_lost: Option<(u64, u64, Micros)>,
}

/// One of them.
#[derive(Debug, Default, Clone)]
pub(super) struct Id {
    /// The line since when it is firm; 0 if it is not.
    pub(super) firm: u64,
    pub(super) doubtful: bool,
    /// Whether somebody was told that it is new, in this window.
    pub(super) won: bool,
    /// How many calls are bringing it in just now.
    pub(super) open: u32,
    /// When the first began that may have brought it in.
    pub(super) since: Micros,
    /// Whether it was ever claimed: it may be in flight.
    pub(super) claimed: bool,
    /// Whether a power cut cannot change what it is.
    pub(super) durable: bool,
    /// Whether it was to be forgotten, so that it is no witness of the order of the log.
    pub(super) meddled: bool,
    /// The line that first began to bring it in: of this life, or where it may be there since before, of that one.
    pub(super) begun: u64,
    /// In this life: the line that first acknowledged it, and when.
    pub(super) acked: u64,
    pub(super) acked_at: Micros,
}

/// A call, in lines; since when its ids count, and when it ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) begun: u64,
    pub(super) ended: u64,
    pub(super) since: Micros,
    pub(super) at: Micros,
}

/// What a store says of an id when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::real) enum Answer {
    Known,
    Absent,
}

impl Ids {
    pub(super) fn new(window: Micros) -> Ids {
        Ids { window, ..Ids::default() }
    }

    pub(super) fn begin_life(&mut self, synced: bool) {
        self.synced = synced;
        for id in &self.at_risk {
            self.known.get_mut(id).expect("it is at risk").acked = 0;
        }
        (self.newest_kept, self.oldest_lost) = (None, None);
    }

    /// A call begins to bring these in, which count from a time on.
    pub(super) fn present(&mut self, ids: &[u64], line: u64, since: Micros) {
        for id in distinct(ids) {
            self.at_risk.insert(id);
            let id = self.aged(id, since);
            if id.firm == 0 && !id.doubtful && id.open == 0 {
                (id.since, id.begun, id.acked) = (since, 0, 0);
            }
            if id.begun == 0 {
                id.begun = line;
            }
            id.open += 1;
        }
    }

    /// A call claims these, or something prepared holds them.
    pub(super) fn claim(&mut self, ids: &[u64]) {
        ids.iter().for_each(|id| self.known.entry(*id).or_default().claimed = true);
    }

    /// A call was refused.
    pub(super) fn withdraw(&mut self, ids: &[u64]) {
        distinct(ids).iter().for_each(|id| self.known.entry(*id).or_default().open -= 1);
    }

    pub(super) fn inserted(&mut self, ids: &[u64], letters: &str, span: Span) -> Promise {
        ensure(ids.len() == letters.len(), || "another number of verdicts".to_owned())?;
        for (&id, letter) in ids.iter().zip(letters.chars()) {
            match letter {
                'N' => self.won(id, span)?,
                'D' => self.duplicate(id, 1, span)?,
                'F' => self.in_flight(id)?,
                _ => return Err(format!("verdict {letter} for id {id:#x}")),
            }
        }
        self.withdraw(ids);
        Ok(())
    }

    /// What a claim was told: gives those that it holds.
    pub(super) fn claimed(&mut self, ids: &[u64], letters: &str, span: Span) -> Promise<Vec<u64>> {
        ensure(ids.len() == letters.len(), || "another number of verdicts".to_owned())?;
        let mut fresh = Vec::new();
        for (&number, letter) in ids.iter().zip(letters.chars()) {
            match letter {
                'N' => {
                    let id = self.aged(number, span.at);
                    ensure(id.firm == 0 || id.firm > span.begun, || {
                        format!("id {number:#x} was forgotten: it can be claimed")
                    })?;
                    fresh.push(number);
                }
                'D' | 'R' => self.duplicate(number, 0, span)?,
                'F' => self.in_flight(number)?,
                _ => return Err(format!("verdict {letter} for id {number:#x}")),
            }
        }
        Ok(fresh)
    }

    pub(super) fn committed(&mut self, ids: &[u64], span: Span) -> Promise {
        ids.iter().try_for_each(|&id| self.won(id, span))?;
        self.withdraw(ids);
        Ok(())
    }

    fn won(&mut self, number: u64, span: Span) -> Promise {
        let synced = self.synced;
        let id = self.aged(number, span.at);
        ensure(!id.won, || format!("id {number:#x} was new twice"))?;
        ensure(id.firm == 0 || id.firm > span.begun, || {
            format!("id {number:#x} was forgotten: it is new")
        })?;
        if id.doubtful {
            (id.since, id.begun) = (span.since, span.begun);
        }
        id.won = true;
        id.confirm(span, synced);
        Ok(())
    }

    /// `own`: how many of the calls that are bringing the id in are the one that was told so.
    fn duplicate(&mut self, number: u64, own: u32, span: Span) -> Promise {
        let synced = self.synced;
        let id = self.aged(number, span.at);
        ensure(id.firm > 0 || id.doubtful || id.open > own, || {
            format!("id {number:#x} was invented: nobody has brought it in")
        })?;
        id.confirm(span, synced);
        Ok(())
    }

    fn in_flight(&mut self, id: u64) -> Promise {
        let claimed = self.known.get(&id).is_some_and(|id| id.claimed);
        ensure(claimed, || format!("id {id:#x} is in flight, and nobody has claimed it"))
    }

    pub(super) fn begin_forgetting(&mut self, ids: &[u64]) {
        for id in distinct(ids) {
            self.at_risk.insert(id);
            let id = self.known.entry(id).or_default();
            (id.meddled, id.doubtful, id.firm, id.won) = (true, true, 0, false);
            id.open += 1;
        }
    }

    /// They were forgotten.
    pub(super) fn forgotten(&mut self, ids: &[u64]) {
        for id in distinct(ids) {
            let synced = self.synced;
            let id = self.known.entry(id).or_default();
            (id.doubtful, id.durable) = (false, synced);
            id.open -= 1;
        }
    }

    /// That was refused: they are as they were, which nobody asked.
    pub(super) fn not_forgotten(&mut self, ids: &[u64]) {
        self.withdraw(ids);
    }

    /// A call that was bringing them in, or forgetting them, never ended.
    pub(super) fn leave_unknown(&mut self, ids: &[u64]) {
        for id in distinct(ids) {
            let id = self.known.entry(id).or_default();
            id.open -= 1;
            id.doubtful |= id.firm == 0;
        }
    }

    /// The id as it is known at a time: what is older than the window may be there or not.
    pub(super) fn aged(&mut self, id: u64, at: Micros) -> &mut Id {
        let window = self.window;
        let id = self.known.entry(id).or_default();
        if (id.firm > 0 || id.doubtful) && id.has_expired(window, at) {
            (id.firm, id.won, id.doubtful) = (0, false, true);
        }
        id
    }
}

impl Id {
    pub(super) fn has_expired(&self, window: Micros, at: Micros) -> bool {
        at >= self.since.saturating_add(window)
    }

    /// Somebody was told that it is there.
    fn confirm(&mut self, span: Span, synced: bool) {
        if self.firm == 0 {
            (self.firm, self.durable) = (span.ended, false);
        }
        if self.acked == 0 {
            (self.acked, self.acked_at) = (span.ended, span.at);
        }
        self.doubtful = false;
        self.durable |= synced;
    }
}

fn distinct(ids: &[u64]) -> BTreeSet<u64> {
    ids.iter().copied().collect()
}
