//! What a child does in transactions. Ids, progress, a tally in the state, and outcomes come in one step.

use std::thread;

use firstseen::{Claim, Prepared, Result};

use super::line::{How, What};
use super::number;
use super::number::{has_outcome, outcome, paid, record};
use super::setting::{paid_key, source, tally_key};
use super::worker::{Hand, letters, text};

/// How often a transaction is tried that others get ahead of.
const TRIES: u64 = 20;

/// A transaction, by the number of the call that claimed its ids.
struct Work {
    op: u64,
    claim: Claim,
    ids: Vec<u64>,
}

impl Hand<'_> {
    /// Settles what an earlier life left in doubt.
    pub(super) fn settle_all(&mut self) {
        for prepared in self.store().in_doubt() {
            self.settle(prepared);
        }
    }

    /// Reads on in the source that is its own, where all that lies below the progress is committed and nothing
    /// else is.
    pub(super) fn read_own_source(&mut self) {
        let Some(from) = self.position else { return };
        let to = from + 1 + self.random.below(20);
        let Some(mut work) = self.claim_records(self.thread, from, to) else { return };
        if self.random.one_in(6) {
            return;
        }
        let noted = self.note_tally(&mut work, self.thread);
        self.or_fail("state", noted);
        if self.random.one_in(6) && !self.setting().quiet {
            self.position = None;
            let token = self.token();
            let prepared = self.prepare(work, token);
            let left = prepared.is_some() && self.random.one_in(8);
            let committed = match prepared {
                Some(prepared) if !left => self.settle(prepared),
                _ => false,
            };
            if !left {
                self.position = Some(if committed { to } else { from });
            }
        } else if self.commit(work).is_some() {
            self.position = Some(to);
        }
    }

    /// Reads on in a source that others read, too: who comes too late with the tally tries again.
    pub(super) fn read_shared_source(&mut self) {
        let count = 1 + self.random.below(10);
        let shared = self.setting().threads;
        let mut position = self.shared_position();
        let (from, to) = (*position, *position + count);
        let mut claimed = self.claim_records(shared, from, to);
        *position = to;
        drop(position);
        for _ in 0..TRIES {
            let again = claimed.take().or_else(|| self.claim_records(shared, from, to));
            let Some(mut work) = again else { continue };
            let noted = self.note_tally(&mut work, shared);
            self.or_fail("state", noted);
            if self.random.one_in(10) {
                drop(work);
            } else if self.commit(work).is_some() {
                return;
            }
            thread::yield_now();
        }
    }

    pub(super) fn claim_contended(&mut self) {
        let ids = self.contended(12);
        let Some(mut work) = self.claim(ids, None) else { return };
        set_outcomes(&mut work);
        if self.random.one_in(2) {
            thread::yield_now();
        }
        if !self.random.one_in(3) {
            self.commit(work);
        }
    }

    /// A transaction in two halves; some are left in doubt.
    pub(super) fn pay(&mut self) {
        let token = self.token();
        let first = 8 * self.tokens;
        let ids = (first..first + 1 + self.random.below(5))
            .map(|n| paid(self.setting().life, self.thread, n))
            .collect();
        let Some(mut work) = self.claim(ids, None) else { return };
        set_outcomes(&mut work);
        work.claim.put_state(paid_key(&token), "1");
        if let Some(prepared) = self.prepare(work, token)
            && !self.random.one_in(5)
        {
            self.settle(prepared);
        }
    }

    fn token(&mut self) -> String {
        self.tokens += 1;
        format!("{}-{}-{}", self.setting().life, self.thread, self.tokens)
    }

    fn claim_records(&self, of: u64, from: u64, to: u64) -> Option<Work> {
        let ids = (from..to).map(|position| record(of, position)).collect();
        let mut work = self.claim(ids, Some((of, from)))?;
        set_outcomes(&mut work);
        Some(work)
    }

    /// Claims ids, or records of a source from a position on.
    fn claim(&self, ids: Vec<u64>, records: Option<(u64, u64)>) -> Option<Work> {
        let bytes = number::all_bytes(&ids);
        let op = self.begin(What::Claim(ids.clone()));
        let claim = match records {
            None => self.store().begin(&bytes),
            Some((of, from)) => {
                let records: Vec<(u64, Vec<u8>)> = (from..).zip(bytes).collect();
                self.store().begin_from(&source(of), &records)
            }
        };
        let letters = |claim: &Claim| How::Verdicts(letters(claim.verdicts()));
        self.end(op, claim, letters).map(|claim| Work { op, claim, ids })
    }

    /// Adds the fresh records to the tally of their source.
    fn note_tally(&self, work: &mut Work, of: u64) -> Result<()> {
        let key = tally_key(of);
        let mut tally = Tally::of_value(work.claim.state(&key)?.as_deref());
        for i in work.claim.fresh() {
            tally.add(work.ids[i]);
        }
        work.claim.put_state(&key, tally.value());
        Ok(())
    }

    fn commit(&self, work: Work) -> Option<()> {
        self.call(What::Commit(work.op), |_| work.claim.commit())
    }

    fn prepare(&self, work: Work, token: String) -> Option<Prepared> {
        let what = What::Prepare(work.op, token.clone());
        self.call(what, |_| work.claim.prepare(&token))
    }

    /// Commits what is prepared, or aborts it: whether it was committed. A full disk is waited out.
    fn settle(&mut self, prepared: Prepared) -> bool {
        let (token, commit) = (text(prepared.token()), !self.random.one_in(3));
        loop {
            let again = prepared.clone();
            let what = What::Settle(token.clone(), commit);
            let done = self.call(what, |_| if commit { again.commit() } else { again.abort() });
            if done.is_some() {
                return commit;
            }
        }
    }
}

fn set_outcomes(work: &mut Work) {
    for i in work.claim.fresh().filter(|&i| has_outcome(work.ids[i])) {
        work.claim.set_outcome(i, outcome(work.ids[i]));
    }
}

/// How many records of a source were committed, and the sum of their numbers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    sum: u64,
}

impl Tally {
    pub(super) fn add(&mut self, id: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(id);
    }

    pub(super) fn of_value(value: Option<&[u8]>) -> Tally {
        let number = |at: usize| {
            let bytes = value.and_then(|value| value.get(at..at + 8)?.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        Tally { count: number(0), sum: number(8) }
    }

    fn value(self) -> Vec<u8> {
        [self.count, self.sum].map(u64::to_le_bytes).concat()
    }
}
