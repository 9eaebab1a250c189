//! What must hold of a store, by all that its children said of it.
//!
//! A line that begins a call comes before the call, and the one that ends it after. So of two calls whose lines do
//! not overlap it is known which came first. What had begun and not ended when its child died has an unknown
//! fate: either answer is right when it is first asked for, and from then on that one.

mod aftermath;
mod calls;
mod ids;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use firstseen::{Backend, Durability};

pub(super) use self::ids::Answer;
use self::ids::Ids;
use self::tokens::Token;
use super::Micros;
use super::line::{Event, What};
use super::setting::Setting;
use crate::case::{Counts, Promise, ensure};

/// What is known of a store from outside.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(super) ids: Ids,
    pub(super) tokens: BTreeMap<String, Token>,
    /// Calls of this life that have begun.
    calls: HashMap<u64, Call>,
    /// What calls of this life claimed, and found fresh, and when they began.
    claimed: HashMap<u64, (Vec<u64>, Micros)>,
    /// Lines heard so far.
    line: u64,
    durability: Option<Durability>,
    /// When the last call that lets something in and returned was begun.
    last_begun: Micros,
    /// Checkpoints that were made: their names, and the line before which all that was acknowledged is in them.
    copies: Vec<(String, u64)>,
    /// Sources and one past the last position that was presented.
    pub(super) reach: BTreeMap<u64, u64>,
    /// Whether a disk may be full.
    may_be_full: bool,
    /// Whether a child has opened it.
    was_opened: bool,
    /// What was counted in this life.
    heard: Counts,
}

#[derive(Debug)]
struct Call {
    line: u64,
    at: Micros,
    what: What,
    /// The ids that it brings in, if it succeeds.
    brings: Vec<u64>,
    /// When they were first presented: the window counts from there.
    since: Micros,
}

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its process died.
    Death,
    /// The machine died, or its disk, at a moment. What a call returned after that counts for nothing: to a
    /// sync that is under way a file system that stops may well say that all is well.
    Cut(Micros),
}

/// Why a child ended itself.
#[derive(Debug)]
pub(crate) struct Failure {
    at: Micros,
    pub(crate) text: String,
}

impl Failure {
    /// Fails unless this came after a moment.
    pub(crate) fn ensure_after(&self, moment: Micros) -> Promise {
        let early = moment.saturating_sub(self.at);
        ensure(early == 0, || format!("{early} us before anything was done to it: {}", self.text))
    }

    /// Whether a full disk is the reason: the opening is refused for one, and sled is done with after one.
    pub(crate) fn is_of_a_full_disk(&self, setting: &Setting) -> bool {
        let told = ["no room", "No space left"].iter().any(|told| self.text.contains(told));
        told && (self.text.starts_with("open: ") || setting.backend == Backend::Sled)
    }
}

impl Truth {
    /// A store that nobody has opened. Calls may be refused for a full disk only if that is said here.
    pub(crate) fn new(window: Option<Duration>, may_be_full: bool) -> Truth {
        let window = window.map_or(Micros::MAX, |window| window.as_micros() as Micros);
        Truth { ids: Ids::new(window), may_be_full, ..Truth::default() }
    }

    /// A child is about to be started.
    pub(crate) fn begin_life(&mut self, setting: &Setting) {
        self.durability = Some(setting.durability);
        self.calls.clear();
        self.claimed.clear();
        self.copies.clear();
        self.last_begun = 0;
        self.ids.begin_life(setting.durability == Durability::Sync);
    }

    /// Hears all that a child said, and how it ended. Gives the failure that the child ended itself for.
    pub(crate) fn end_life(
        &mut self,
        said: &[String],
        end: End,
        counts: &mut Counts,
    ) -> Promise<Option<Failure>> {
        let mut failed = None;
        let cut = if let End::Cut(at) = end { at } else { Micros::MAX };
        for line in said {
            self.line += 1;
            let event = Event::of_line(line).ok_or_else(|| format!("a child said `{line}`"))?;
            match event {
                Event::Open { at, tokens } if at < cut => self.opened(&tokens)?,
                Event::Begin { op, at, what } => self.begin(op, at, what)?,
                Event::End { op, at, how } if at < cut => {
                    let call = self.calls.remove(&op).ok_or_else(|| format!("no call {op}"))?;
                    let said = format!("{how:?} for {:?}", call.what);
                    self.end(op, call, at, how).map_err(|wrong| format!("{wrong}: {said}"))?;
                }
                Event::Failed { at, text } => _ = failed.get_or_insert(Failure { at, text }),
                Event::Open { .. } | Event::End { .. } => {}
            }
        }
        for (_, call) in std::mem::take(&mut self.calls) {
            let forgets = if let What::Forget(ids) = call.what { ids } else { Vec::new() };
            self.ids.leave_unknown(&forgets);
            self.ids.leave_unknown(&call.brings);
            self.heard.add("calls of unknown fate", 1);
        }
        if cut < Micros::MAX {
            self.ids.cut();
            self.tokens.values_mut().for_each(Token::cut);
        }
        counts.merge(&std::mem::take(&mut self.heard));
        Ok(failed)
    }

    /// Whether a child has opened it: before that there may be half a store.
    pub(super) fn was_opened(&self) -> bool {
        self.was_opened
    }

    /// The checkpoints that the last life made, each with the ids that must be in it.
    pub(super) fn copies(&self) -> Vec<(String, Vec<u64>)> {
        let each = |(name, line): &(String, u64)| (name.clone(), self.ids.known_before(*line));
        self.copies.iter().map(each).collect()
    }

    /// What a power cut took is the end of what was acknowledged, and no more than the durability allows.
    pub(super) fn judge_cut(&mut self) -> Promise {
        let lost = self.ids.lost();
        let Some(durability) = self.durability else { return Ok(()) };
        self.ids.ensure_prefix()?;
        if let (Some((id, at)), Durability::Interval(most)) = (lost, durability) {
            let later = self.last_begun.saturating_sub(at);
            // Clock readings of two calls are compared, so a little is granted.
            ensure(u128::from(later) < most.as_micros() + 2_000, || {
                format!(
                    "id {id:#x} was lost, and {later} us later another call was begun and acknowledged"
                )
            })?;
        }
        Ok(())
    }

    /// All that the store has told is on the medium: it was closed, or opened again.
    pub(super) fn is_durable(&mut self) {
        self.all_durable(u64::MAX);
    }

    /// All that was acknowledged before a line is on the medium.
    fn all_durable(&mut self, line: u64) {
        self.ids.all_durable(line);
        self.tokens.values_mut().for_each(|token| token.all_durable(line));
    }

    /// The next number of a line, for what a verification does.
    pub(super) fn next_line(&mut self) -> u64 {
        self.line += 1;
        self.line
    }

    /// A verification has settled it.
    pub(super) fn settled(&mut self, token: &str, commit: bool) -> Promise {
        let (line, at) = (self.next_line(), super::now());
        let token = self.tokens.get_mut(token).ok_or("no such token")?;
        token.settled(0);
        let (ids, since) = (token.ids.clone(), token.since);
        if !commit {
            return Ok(());
        }
        self.ids.present(&ids, line, since);
        self.ids.committed(&ids, ids::Span { begun: line, ended: line + 1, since, at })
    }

    /// A verification has let ids in.
    pub(super) fn inserted(&mut self, ids: &[u64], letters: &str, since: Micros) -> Promise {
        let (line, at) = (self.next_line(), super::now());
        self.ids.present(ids, line, since);
        self.ids.inserted(ids, letters, ids::Span { begun: line, ended: line + 1, since, at })
    }

    fn opened(&mut self, tokens: &[String]) -> Promise {
        self.in_doubt(tokens)?;
        // Opening syncs what it found in the log.
        self.is_durable();
        self.heard.add("opened", 1);
        self.was_opened = true;
        Ok(())
    }

    /// These are in doubt, and no others.
    pub(super) fn in_doubt(&mut self, tokens: &[String]) -> Promise {
        for token in tokens {
            ensure(self.tokens.contains_key(token), || format!("`{token}` was never prepared"))?;
        }
        for (name, token) in &mut self.tokens {
            token.found(tokens.contains(name)).map_err(|wrong| format!("`{name}` {wrong}"))?;
            if token.is_in_doubt() {
                self.ids.claim(&token.ids);
            }
        }
        self.heard.add("in doubt", tokens.len() as u64);
        Ok(())
    }
}
