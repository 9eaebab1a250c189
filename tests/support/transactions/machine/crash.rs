//! The ends of a store, and what the next opening finds.

use super::*;

impl Machine {
    pub(super) fn reopen(&mut self, kind: Kind, seed: [u8; 3]) {
        self.now();
        let ground = self.ground.after(&self.store, kind, seed, &mut self.heard);
        // They go on for a moment, on a disk that nobody reads again.
        self.open.clear();
        self.handles.clear();
        self.in_doubt.clear();
        self.sources.clear();
        self.frontier.clear();
        self.store = self.settings.open(&ground, &self.clock);
        self.ground = ground;
        if kind == Kind::Transfer {
            self.committed.keep_ids_only();
            self.last_token = 0;
        }
        if kind == Kind::PowerCut {
            self.find_past();
        } else {
            self.committed.oracle.resume_at(self.store.stats().now);
            self.recover();
        }
        self.past = vec![self.committed.clone()];
    }

    pub(super) fn recover(&mut self) {
        let (mono, end) = (self.clock.monotonic(), self.settings.lease_end);
        self.claims = Claims::recover(end, &self.committed, mono);
    }

    /// After a power cut everything is as it was at one moment since the last sync.
    pub(super) fn find_past(&mut self) {
        let now = self.store.stats().now;
        let mut wrong = Vec::new();
        let latest = self.committed.oracle.now();
        for mut candidate in std::mem::take(&mut self.past).into_iter().rev() {
            // What a seal has written of store time may be ahead of what was synced of the log.
            let possible = candidate.oracle.now()..=latest;
            if self.settings.time == TimeSource::Event && !possible.contains(&now) {
                wrong.push(format!("store time {now}, not {possible:?}"));
                continue;
            }
            candidate.oracle.resume_at(now);
            self.committed = candidate;
            self.recover();
            let mono = self.clock.monotonic();
            let Machine { store, committed, claims, tracked, .. } = self;
            match compare(store, committed, claims, mono, tracked, true) {
                Ok(()) => return,
                Err(error) => wrong.push(error),
            }
        }
        panic!("what a power cut left is no moment of the past: {}", wrong.join("\n or "));
    }
}
