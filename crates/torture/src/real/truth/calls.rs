//! What each call of a child means for what must hold.

use firstseen::Durability;

use super::tokens::Token;
use super::{Call, Truth, ids};
use crate::case::{Promise, ensure};
use crate::real::Micros;
use crate::real::line::{How, What};
use crate::real::number;

impl Truth {
    /// A call has begun.
    pub(super) fn begin(&mut self, op: u64, at: Micros, what: What) -> Promise {
        let line = self.line;
        let (mut brings, mut since) = (Vec::new(), at);
        match &what {
            What::Insert(ids) => brings.clone_from(ids),
            What::Claim(ids) => {
                self.ids.claim(ids);
                for (source, position) in ids.iter().filter_map(|&id| number::position(id)) {
                    let reach = self.reach.entry(source).or_default();
                    *reach = (*reach).max(position + 1);
                }
            }
            What::Commit(claim) => (brings, since) = self.fresh(*claim)?,
            What::Prepare(claim, token) => {
                let (ids, since) = self.fresh(*claim)?;
                self.tokens.insert(token.clone(), Token::begin(ids, since));
            }
            What::Settle(token, commit) => {
                let token = self.tokens.get_mut(token).ok_or("no such token")?;
                token.begin_settling();
                if *commit {
                    (brings, since) = (token.ids.clone(), token.since);
                }
            }
            What::Forget(ids) => self.ids.begin_forgetting(ids),
            What::Sync | What::Copy(_) => {}
        }
        self.ids.present(&brings, line, since);
        self.calls.insert(op, Call { line, at, what, brings, since });
        Ok(())
    }

    /// A call has returned.
    pub(super) fn end(&mut self, op: u64, call: Call, at: Micros, how: How) -> Promise {
        let Call { line, at: begun_at, what, brings, since } = call;
        let span = ids::Span { begun: line, ended: self.line, since, at };
        match how {
            How::Done => {
                if let What::Commit(_) = what {
                    self.last_begun = self.last_begun.max(begun_at);
                }
                self.done(what, &brings, span)?;
            }
            How::Verdicts(letters) => match what {
                What::Insert(ids) => {
                    self.heard.add("acknowledged ids", ids.len() as u64);
                    self.last_begun = self.last_begun.max(begun_at);
                    self.ids.inserted(&ids, &letters, span)?;
                }
                What::Claim(ids) => {
                    let fresh = self.ids.claimed(&ids, &letters, span)?;
                    self.claimed.insert(op, (fresh, begun_at));
                }
                _ => return Err("a call that has no verdicts has some".to_owned()),
            },
            How::Refused => self.refused(what, &brings)?,
            How::Full => {
                self.heard.add("refused for a full disk", 1);
                ensure(self.may_be_full, || "the disk is not full".to_owned())?;
                self.refused(what, &brings)?;
            }
        }
        Ok(())
    }

    fn done(&mut self, what: What, brings: &[u64], span: ids::Span) -> Promise {
        match what {
            What::Commit(_) => {
                self.heard.add("commits", 1);
                self.ids.committed(brings, span)?;
            }
            What::Settle(token, _) => {
                let synced = self.durability == Some(Durability::Sync);
                let token = self.tokens.get_mut(&token).ok_or("no such token")?;
                token.settled(if synced { 0 } else { span.ended });
                self.heard.add("settled", 1);
                self.ids.committed(brings, span)?;
            }
            What::Prepare(_, token) => {
                self.tokens.get_mut(&token).ok_or("no such token")?.prepared();
                // It is synced, and all before it is.
                self.all_durable(span.begun);
                self.heard.add("prepared", 1);
            }
            What::Sync => self.all_durable(span.begun),
            What::Forget(ids) => self.ids.forgotten(&ids),
            What::Copy(name) => self.copies.push((name, span.begun)),
            What::Insert(_) | What::Claim(_) => return Err("a call has no verdicts".to_owned()),
        }
        Ok(())
    }

    /// Nothing of the call is kept.
    fn refused(&mut self, what: What, brings: &[u64]) -> Promise {
        self.ids.withdraw(brings);
        match what {
            What::Settle(token, _) => {
                self.tokens.get_mut(&token).ok_or("no such token")?.prepared();
            }
            What::Prepare(_, token) => _ = self.tokens.remove(&token),
            What::Forget(ids) => self.ids.not_forgotten(&ids),
            What::Insert(_) | What::Claim(_) | What::Commit(_) | What::Sync | What::Copy(_) => {}
        }
        Ok(())
    }

    /// What a call has claimed, as far as is known, and when it began.
    fn fresh(&self, claim: u64) -> Promise<(Vec<u64>, Micros)> {
        match (self.claimed.get(&claim), self.calls.get(&claim)) {
            (Some(claimed), _) => Ok(claimed.clone()),
            (None, Some(Call { what: What::Claim(ids), at, .. })) => Ok((ids.clone(), *at)),
            _ => Err(format!("nothing was claimed by call {claim}")),
        }
    }
}
