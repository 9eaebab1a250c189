//! What is known of ids when a life has ended: what a power cut may have taken, and what a look at the store says.

use super::ids::{Answer, Id, Ids};
use crate::case::{Promise, ensure};
use crate::real::Micros;

impl Ids {
    /// The power was cut: what was not synced may be there or not.
    pub(super) fn cut(&mut self) {
        for id in &self.at_risk {
            let id = self.known.get_mut(id).expect("it is at risk");
            if !id.durable {
                (id.firm, id.won, id.doubtful) = (0, false, true);
            }
        }
    }

    /// Everything acknowledged before a line is on the medium.
    pub(super) fn all_durable(&mut self, line: u64) {
        let known = &mut self.known;
        self.at_risk.retain(|id| {
            let id = known.get_mut(id).expect("it is at risk");
            id.durable |= id.firm > 0 && id.firm < line;
            if line == u64::MAX {
                // What was forgotten is, too.
                id.durable = true;
                return false;
            }
            !id.durable || id.meddled || id.open > 0
        });
    }

    /// Those that are firm since before a line.
    pub(super) fn known_before(&self, line: u64) -> Vec<u64> {
        let firm = |id: &Id| id.firm > 0 && id.firm < line && !id.meddled;
        self.known.iter().filter(|(_, id)| firm(id)).map(|(&id, _)| id).collect()
    }

    /// Those to be looked at: all that were presented in lives since the last look, and some of the others.
    pub(in crate::real) fn to_look_at(&self, is_due: impl Fn(u64) -> bool) -> Vec<u64> {
        let due = |id: u64| self.at_risk.contains(&id) || is_due(id);
        self.known.keys().copied().filter(|&id| due(id)).collect()
    }

    /// Whether it must be there.
    pub(in crate::real) fn is_firm(&self, id: u64, at: Micros) -> bool {
        self.known.get(&id).is_some_and(|id| id.firm > 0 && !id.has_expired(self.window, at))
    }

    /// A store that was opened anew says this of an id. It is so from now on.
    pub(in crate::real) fn found(
        &mut self,
        number: u64,
        said: Answer,
        line: u64,
        at: Micros,
    ) -> Promise {
        let risked = self.at_risk.contains(&number);
        let window = self.window;
        let id = self.aged(number, at);
        let witness = risked && !id.durable && !id.meddled && window == Micros::MAX;
        match said {
            Answer::Known => {
                ensure(id.firm > 0 || id.doubtful, || {
                    format!("id {number:#x} was invented: nobody has brought it in")
                })?;
                (id.firm, id.won, id.doubtful, id.durable) = (line, true, false, true);
            }
            Answer::Absent => {
                ensure(id.firm == 0, || {
                    format!("id {number:#x} was forgotten, acknowledged in line {}", id.firm)
                })?;
                (id.won, id.doubtful, id.durable) = (false, false, true);
            }
        }
        let (begun, acked, acked_at) = (id.begun, id.acked, id.acked_at);
        (id.begun, id.acked) = (0, 0);
        if witness && said == Answer::Known && begun > 0 {
            self.newest_kept = self.newest_kept.max(Some((begun, number)));
        }
        if witness && said == Answer::Absent && acked > 0 {
            let lost = (acked, number, acked_at);
            self.oldest_lost = Some(self.oldest_lost.map_or(lost, |oldest| oldest.min(lost)));
        }
        Ok(())
    }

    /// What is left after a power cut is a prefix: no id is there that was presented after one was
    /// acknowledged that is not.
    pub(super) fn ensure_prefix(&self) -> Promise {
        let (Some((begun, kept)), Some((acked, lost, _))) = (self.newest_kept, self.oldest_lost)
        else {
            return Ok(());
        };
        ensure(begun <= acked, || {
            format!(
                "there is a hole: id {lost:#x}, acknowledged in line {acked}, is lost, and id {kept:#x}, \
                 presented in line {begun}, is there"
            )
        })
    }

    /// The id that was lost first, and when it was acknowledged.
    pub(super) fn lost(&self) -> Option<(u64, Micros)> {
        self.oldest_lost.map(|(_, id, at)| (id, at))
    }
}
