//! Calls beside a transaction, and of one that is open.

use super::*;

impl Machine {
    pub(super) fn read(&mut self, which: u8, key: &[u8]) {
        let count = self.open.len();
        if count == 0 {
            return;
        }
        let (claim, tx) = &mut self.open[usize::from(which) % count];
        let said = claim.state(key).unwrap();
        if let Some(own) = tx.changes.writes.get(key) {
            assert_eq!(said, *own, "a transaction's own write of {key:?}");
            return;
        }
        let known = self.committed.state.get(key);
        assert_eq!(said.as_ref(), known.map(|(value, _)| value));
        tx.changes.reads.entry(key.to_vec()).or_insert(known.map(|&(_, version)| version));
    }

    pub(super) fn renew(&mut self, which: u8, lease: u8) {
        let (lease, mono) = (self.settings.part(lease.into(), 1_024), self.clock.monotonic());
        if self.open.is_empty() {
            return;
        }
        let (claim, tx) = &self.open[usize::from(which) % self.open.len()];
        let done = claim.renew(lease);
        match self.claims.over_by(tx.token, mono) {
            None => {
                done.unwrap();
                self.claims.renew(tx.token, mono, lease);
            }
            Some(over) => assert!(
                matches!(done, Err(Error::LeaseEnded { token, by }) if (token, by) == (tx.token, over))
            ),
        }
    }

    pub(super) fn resolve(&mut self, from: u8, how: u8) {
        let now = self.now();
        let numbers: Vec<u64> = (0..5).map(|i| (u64::from(from) + i) % UNIVERSE).collect();
        let mono = self.clock.monotonic();
        let unknown = |n: &u64| matches!(self.claims.held(*n, mono), Some(Held::Unknown { .. }));
        let unknown: Vec<u64> = numbers.iter().copied().filter(unknown).collect();
        // An id that was claimed for a later time may be known still.
        let known = self.store.contains(&ids(&unknown)).unwrap().contains(&true);
        let done = how.is_multiple_of(2) && !known;
        let resolution = if done { Resolution::Done } else { Resolution::Retry };
        let resolved = self.store.resolve(&ids(&numbers), resolution).unwrap();
        self.hear(resolved);
        assert_eq!(resolved, unknown.len() as u64, "resolved of {numbers:?}");
        for &n in &unknown {
            self.claims.meet(n);
        }
        if done && resolved > 0 {
            let unknown: Vec<_> = unknown.into_iter().map(|n| (n, Kept::default())).collect();
            self.committed.commit(now, &unknown, &Changes::default());
        }
        self.acknowledged();
    }

    pub(super) fn insert(&mut self, a: u8, b: u8, c: u8) {
        let numbers: Vec<u64> = if c.is_multiple_of(5) {
            let first = 1_000 + self.serial * BULK;
            self.tracked = vec![first, first + BULK - 1];
            (first..first + BULK).collect()
        } else {
            (0..u64::from(b % 7))
                .map(|i| (u64::from(a) + i * u64::from(c % 3)) % UNIVERSE)
                .collect()
        };
        let event = self.event_time(b);
        let moment = self.moment(event);
        let verdicts = match event {
            Some(time) => self.store.check_and_insert_at(&ids(&numbers), time),
            None => self.store.check_and_insert(&ids(&numbers)),
        };
        let verdicts = verdicts.unwrap();
        self.hear(&verdicts);
        assert_eq!(verdicts.len(), numbers.len());
        if !numbers.is_empty() {
            self.committed.oracle.advance(moment);
        }
        for (&n, verdict) in numbers.iter().zip(verdicts) {
            self.inserted(n, verdict, (moment, event));
        }
        self.acknowledged();
    }

    /// Ids with a time each.
    pub(super) fn insert_timed(&mut self, a: u8, b: u8, c: u8) {
        let numbers: Vec<u64> = (0..u64::from(b % 9))
            .map(|i| (u64::from(a) + i * u64::from(c % 4)) % UNIVERSE)
            .collect();
        let wall = self.clock.wall();
        let time = |i: usize| self.event_time(c.wrapping_mul(i as u8 | 1).rotate_left(i as u32));
        let times: Vec<_> = (0..numbers.len()).map(|i| time(i).unwrap_or(wall)).collect();
        let mut verdicts = Vec::new();
        let moments: Vec<_> = times
            .iter()
            .scan(self.now(), |now, &time| {
                *now = (*now).max(self.moment(Some(time)));
                Some(*now)
            })
            .collect();
        self.store.check_and_insert_timed_into(&ids(&numbers), &times, &mut verdicts).unwrap();
        self.hear(&verdicts);
        assert_eq!(verdicts.len(), numbers.len());
        for (i, &n) in numbers.iter().enumerate() {
            self.committed.oracle.advance(moments[i]);
            self.inserted(n, verdicts[i], (moments[i], Some(times[i])));
        }
        self.acknowledged();
    }

    /// An insertion was told this of an id.
    fn inserted(&mut self, n: u64, verdict: Verdict, when: (Timestamp, Option<Timestamp>)) {
        self.judge(n, verdict, when, true);
        if verdict.is_new() {
            self.claims.meet(n);
            self.committed.kept.remove(&n);
        }
    }

    pub(super) fn forget(&mut self, a: u8, b: u8) {
        self.now();
        let numbers: BTreeSet<u64> =
            (0..1 + u64::from(b % 3)).map(|i| (u64::from(a) + i * 7) % UNIVERSE).collect();
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let forgotten = self.store.forget(&ids(&numbers)).unwrap();
        self.hear(forgotten);
        let (least, most) = self.committed.oracle.forget(&numbers);
        assert!((least..=most).contains(&forgotten), "forgot {forgotten}, not {least}..={most}");
        // Later than what was kept with an id that was let in again, which is later than the forgetting
        // before: each by a microsecond, if no time has passed.
        let (before, now) = (self.committed.oracle.now(), self.store.stats().now);
        assert!(now - before <= Duration::from_micros(1) && (now == before || forgotten > 0));
        self.committed.oracle.advance(now);
        for n in numbers {
            if self.committed.oracle.expected(n, now) == Expected::New {
                self.committed.kept.remove(&n);
            }
        }
        self.acknowledged();
    }
}
