//! Commits, prepares and what ends what is prepared.

use super::*;

impl Machine {
    /// The changes of a transaction with the progress that it brings by itself.
    pub(super) fn changes(&self, tx: &Tx, left: &[u64]) -> Changes {
        let mut changes = tx.changes.clone();
        if let Some(span) = &tx.span
            && !changes.sources.contains_key(span.source)
        {
            let progress = self.committed.progress(span.source);
            let next = self.sources[span.source].reach(span, tx.token, left, progress);
            if progress < next {
                changes.sources.insert(span.source, (next, None));
            }
        }
        changes
    }

    /// The error that a commit or a prepare must end with, if it must; of several refusals any.
    pub(super) fn assert_refused(
        &self,
        tx: &Tx,
        refusals: &[Refusal],
        error: Option<&Error>,
    ) -> bool {
        let over = self.claims.over_by(tx.token, self.clock.monotonic());
        match (tx.misused, over, error) {
            (true, _, Some(Error::Misuse(_))) => true,
            (false, Some(ended), Some(&Error::LeaseEnded { token, by }))
                if (token, by) == (tx.token, ended) =>
            {
                true
            }
            (false, None, Some(Error::Refused(refusal))) if refusals.contains(refusal) => true,
            (false, None, None) if refusals.is_empty() => false,
            _ => panic!("{error:?}; misused {}, over {over:?}, {refusals:?}", tx.misused),
        }
    }

    pub(super) fn commit(&mut self, which: u8) {
        let Some((claim, tx)) = self.take_open(which) else { return };
        let at = self.now().max(tx.at);
        let (done, left) = tx.split();
        let (kept, changes) = (tx.kept_ids(), self.changes(&tx, &left));
        let refusals = self.committed.refusals(&changes);
        let result = claim.commit();
        self.hear(result.as_ref().err());
        if self.assert_refused(&tx, &refusals, result.as_ref().err()) {
            return self.refused(&tx, at, result.is_err_and(|e| matches!(e, Error::Refused(_))));
        }
        self.claims.give_back(kept.iter().map(|&(n, _)| n), tx.token, self.clock.monotonic());
        self.settle_span(tx.span.as_ref(), tx.token, &done, &left);
        for (&source, &(next, _)) in &tx.changes.sources {
            let before = self.committed.progress(source);
            self.sources.entry(source).or_default().set(next, before);
        }
        let kept_something = tx.ids.iter().any(|item| item.kept != Kept::default());
        let changed = !(changes.sources.is_empty() && changes.writes.is_empty());
        if !kept.is_empty() || changed || kept_something {
            self.committed.commit(at, &kept, &changes);
        }
        self.committed.oracle.advance(at);
        self.acknowledged();
    }

    /// What comes so far that the state refuses it moves store time all the same.
    pub(super) fn refused(&mut self, tx: &Tx, at: Timestamp, by_state: bool) {
        self.roll_back(tx);
        if by_state {
            self.committed.oracle.advance(at);
            self.acknowledged();
        }
    }

    pub(super) fn settle_span(
        &mut self,
        span: Option<&Span>,
        token: u64,
        done: &[u64],
        left: &[u64],
    ) {
        let Some(span) = span else { return };
        let progress = self.committed.progress(span.source);
        let source = self.sources.entry(span.source).or_default();
        source.commit(span, token, left, progress);
        source.unsettled.retain(|position| !done.contains(position));
    }

    pub(super) fn prepare(&mut self, which: u8, name: u8) {
        let Some((claim, tx)) = self.take_open(which) else { return };
        let time = self.now().max(tx.at);
        let token = format!("token {}", name % 3).into_bytes();
        let (done, left) = tx.split();
        let (kept, changes) = (tx.kept_ids(), self.changes(&tx, &left));
        let refusals = match self.committed.prepared.contains_key(&token) {
            true => vec![Refusal::AlreadyPrepared { token: token.clone() }],
            false => self.committed.refusals(&changes),
        };
        let result = claim.prepare(&token);
        self.hear(result.as_ref().err());
        if self.assert_refused(&tx, &refusals, result.as_ref().err()) {
            let by_state = matches!(result, Err(Error::Refused(_)));
            return self.refused(&tx, time, by_state);
        }
        let handle = result.expect("it was not refused");
        assert_eq!((handle.token(), handle.fence()), (&token[..], tx.token));
        self.handles.push((handle, tx.token));
        self.claims.prepare(tx.token);
        let named = tx.changes.sources.iter().map(|(&source, &(next, _))| (source, next)).collect();
        let known = InDoubt { fence: tx.token, span: tx.span, done, left, named };
        self.in_doubt.insert(token.clone(), known);
        let prepared = PreparedTx { fence: tx.token, time, ids: kept, changes };
        self.committed.oracle.advance(time);
        self.committed.prepared.insert(token, prepared);
        self.past = vec![self.committed.clone()];
    }

    pub(super) fn settle(&mut self, which: u8, through: u8, commit: bool) {
        let mut in_doubt = self.store.in_doubt();
        if in_doubt.is_empty() {
            return;
        }
        let at = usize::from(which) % in_doubt.len();
        let mut handle = in_doubt.swap_remove(at);
        let token = handle.token().to_vec();
        let fence = self.committed.prepared[&token].fence;
        if let Some((own, _)) = self.handles.iter().find(|(_, other)| *other == fence)
            && through.is_multiple_of(2)
        {
            handle = own.clone();
        }
        self.handles.push((handle.clone(), fence));
        let now = self.now();
        if commit { handle.commit() } else { handle.abort() }.unwrap();
        let tx = self.committed.prepared.remove(&token).expect("it was in doubt");
        self.claims.give_back(tx.ids.iter().map(|&(n, _)| n), fence, self.clock.monotonic());
        let known = self.in_doubt.remove(&token).unwrap_or_else(|| {
            let named = tx.changes.sources.iter().map(|(&source, &(next, _))| (source, next));
            let named = named.collect();
            InDoubt { fence, span: None, done: Vec::new(), left: Vec::new(), named }
        });
        assert_eq!(known.fence, fence);
        if commit {
            self.settle_span(known.span.as_ref(), fence, &known.done, &known.left);
            for (source, next) in known.named {
                let before = self.committed.progress(source);
                self.sources.entry(source).or_default().set(next, before);
            }
            self.committed.commit(now.max(tx.time), &tx.ids, &tx.changes);
        } else if let Some(span) = &known.span {
            self.sources.entry(span.source).or_default().give_back(fence);
        }
        self.acknowledged();
    }

    /// A handle of what is settled can do nothing, also if its token is in use again.
    pub(super) fn settle_again(&mut self, which: u8, how: u8) {
        let live: BTreeSet<u64> = self.committed.prepared.values().map(|tx| tx.fence).collect();
        self.handles.retain(|(_, fence)| !live.contains(fence) || *fence + 50 > self.last_token);
        let settled: Vec<_> =
            self.handles.iter().filter(|(_, fence)| !live.contains(fence)).collect();
        if settled.is_empty() {
            return;
        }
        let handle = settled[usize::from(which) % settled.len()].0.clone();
        assert!(handle.ids().is_empty() && handle.since().is_none());
        let token = handle.token().to_vec();
        let done = if how.is_multiple_of(2) { handle.commit() } else { handle.abort() };
        assert!(matches!(done, Err(Error::NotPrepared { token: said }) if said == token));
    }

    pub(super) fn roll_back(&mut self, tx: &Tx) {
        let mono = self.clock.monotonic();
        let held = tx.ids.iter().filter(|item| !item.released).map(|item| item.n);
        self.claims.give_back(held, tx.token, mono);
        if let Some(span) = &tx.span {
            self.sources.entry(span.source).or_default().give_back(tx.token);
        }
    }
}
