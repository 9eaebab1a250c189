//! Transactions that begin: what they are told of each id.

use super::*;

impl Machine {
    pub(super) fn begin_some(&mut self, a: u8, b: u8, c: u8) {
        let count = u64::from(b % 6);
        let numbers: Vec<u64> =
            (0..count).map(|i| (u64::from(a) + i * u64::from(c % 5)) % UNIVERSE).collect();
        let payload = |i: u64| (b & 1) ^ (c >> 7 & i as u8 & 1);
        let payloads = (b / 6).is_multiple_of(3).then(|| (0..count).map(payload).collect());
        let lease = |part| Some(self.settings.part(1, part));
        let lease = [None, None, lease(64), lease(8)][usize::from(c / 5 % 4)];
        let at = self.event_time(a / 3);
        self.begin(&numbers, How { payloads, lease, at }, None);
    }

    pub(super) fn begin_from(&mut self, a: u8, b: u8, c: u8) {
        let (source, stride) = [("dense", 1), ("sparse", 3)][usize::from(a % 2)];
        let progress = self.committed.progress(source);
        let frontier = self.frontier.get(source).copied().unwrap_or(progress);
        let unsettled = self.sources.get(source).and_then(|s| s.unsettled.first().copied());
        let start = match b % 4 {
            0 => progress,
            1 => progress.saturating_sub(2 * stride),
            2 => frontier.max(progress),
            _ => unsettled.unwrap_or(frontier),
        };
        let start = start.next_multiple_of(stride);
        let positions: Vec<u64> =
            (0..1 + u64::from(b / 4 % 6)).map(|i| start + i * stride).collect();
        let of = |position: u64| 6 + (position / stride + u64::from(a % 2) * 5) % (UNIVERSE - 6);
        let numbers: Vec<u64> = positions.iter().map(|&position| of(position)).collect();
        let end = positions.last().expect("there is one") + 1;
        self.frontier.insert(source, frontier.max(end));
        let payloads = c.is_multiple_of(4).then(|| vec![c / 4 % 2; numbers.len()]);
        let lease = [None, None, None, Some(self.settings.part(1, 32))][usize::from(c / 8 % 4)];
        self.begin(&numbers, How { payloads, lease, at: None }, Some((source, positions)));
    }

    pub(super) fn begin(
        &mut self,
        numbers: &[u64],
        how: How,
        records: Option<(&'static str, Vec<u64>)>,
    ) {
        if self.open.len() == OPEN_MAX {
            let (claim, tx) = self.open.remove(0);
            drop(claim);
            self.roll_back(&tx);
        }
        // Not an id that is remembered now and new at the later moment: where its record lies would
        // decide which of the two verdicts others get.
        let (now, later) = (self.now(), self.moment(how.at));
        let both = |n: &u64| {
            let oracle = &self.committed.oracle;
            oracle.expected(*n, now) != Expected::New
                && !matches!(oracle.expected(*n, later), Expected::Duplicate(_))
        };
        let how =
            if now < later && numbers.iter().any(both) { How { at: None, ..how } } else { how };
        let (moment, mono) = (self.moment(how.at), self.clock.monotonic());
        let mut builder = self.store.claim();
        if let Some(lease) = how.lease {
            builder = builder.lease(lease);
        }
        if let Some(at) = how.at {
            builder = builder.at(at);
        }
        if let Some(payloads) = &how.payloads {
            let payloads: Vec<[u8; 1]> = payloads.iter().map(|&payload| [payload]).collect();
            builder = builder.payloads(&payloads);
        }
        let all = ids(numbers);
        let claim = match &records {
            None => builder.begin(&all),
            Some((source, positions)) => {
                let pairs: Vec<_> = positions.iter().copied().zip(&all).collect();
                builder.begin_from(source, &pairs)
            }
        };
        let claim = claim.unwrap();
        self.hear((claim.token(), claim.verdicts()));
        assert!(claim.token() > self.last_token, "token {} is not the highest", claim.token());
        self.last_token = claim.token();
        assert_eq!(claim.verdicts().len(), numbers.len());
        let (source, positions) = records.unwrap_or(("", Vec::new()));
        let progress = self.committed.progress(source);
        let replayed = positions.partition_point(|&position| position < progress);
        let mut tx = Tx {
            token: claim.token(),
            ids: Vec::new(),
            len: numbers.len(),
            span: (replayed < positions.len())
                .then(|| Span { source, positions: positions[replayed..].to_vec() }),
            records: positions.iter().copied().zip(0..).skip(replayed).collect(),
            verdicts: claim.verdicts().to_vec(),
            changes: Changes::default(),
            misused: false,
            at: if numbers.is_empty() { Timestamp::MIN } else { moment },
        };
        self.claims.begin(tx.token, mono, how.lease.or(self.settings.lease));
        let mut after = Vec::new();
        for (i, &n) in numbers.iter().enumerate() {
            let verdict = claim.verdicts()[i];
            if i < replayed {
                assert_eq!(verdict, Verdict::Replay { progress }, "record {i}");
                continue;
            }
            let payload = how.payloads.as_ref().map(|payloads| payloads[i]);
            let taken = self.judge_claim(&mut tx, (n, verdict), (moment, how.at), payload);
            if taken {
                tx.ids.push(Item {
                    index: i,
                    n,
                    kept: Kept { payload, outcome: None },
                    released: false,
                });
                after.extend(self.claims.meet(n).map(|token| (i, token)));
                self.claims.take(n, tx.token, payload);
            }
        }
        assert_eq!(claim.attempted_before().collect::<Vec<_>>(), after, "attempted before");
        let fresh: Vec<usize> = tx.ids.iter().map(|item| item.index).collect();
        assert_eq!(claim.fresh().collect::<Vec<_>>(), fresh);
        if let Some(span) = &tx.span {
            let source = self.sources.entry(span.source).or_default();
            source.begin(span, tx.token, |other| self.claims.is_over(other, mono));
            for &(position, i) in &tx.records {
                let own = tx.ids.iter().any(|item| item.n == numbers[i]);
                if own || !tx.verdicts[i].is_settled() {
                    source.unsettled.insert(position);
                } else {
                    source.unsettled.remove(&position);
                }
            }
        }
        self.open.push((claim, tx));
    }

    /// Judges the verdict on an id that is to be claimed. Whether it was.
    pub(super) fn judge_claim(
        &mut self,
        tx: &mut Tx,
        (n, verdict): (u64, Verdict),
        (moment, event): (Timestamp, Option<Timestamp>),
        payload: Option<u8>,
    ) -> bool {
        let differ = |other: Option<u8>| matches!((other, payload), (Some(a), Some(b)) if a != b);
        if let Some(own) = tx.ids.iter().find(|item| item.n == n) {
            let expected = match differ(own.kept.payload) {
                true => Verdict::Mismatch { first_seen: moment },
                false => Verdict::Duplicate { first_seen: moment },
            };
            assert_eq!(verdict, expected, "id {n} is twice in the batch");
            return false;
        }
        let held = self.claims.held(n, self.clock.monotonic());
        let verdict = match (verdict, held) {
            (Verdict::Mismatch { first_seen }, Some(Held::InFlight { payload, .. }))
                if differ(payload) && first_seen == moment =>
            {
                let judged = self.committed.oracle.judge(n, moment, event, false, Verdict::New);
                judged.unwrap_or_else(|wrong| panic!("{wrong}"));
                return false;
            }
            (Verdict::InFlight(_), Some(Held::InFlight { payload, .. })) => {
                assert!(!differ(payload), "id {n} is in flight with another payload");
                verdict
            }
            (Verdict::Mismatch { first_seen }, _) => {
                let known = self.committed.kept.get(&n).and_then(|kept| kept.payload);
                assert!(differ(known), "id {n}: {payload:?} is no mismatch to {known:?}");
                Verdict::Duplicate { first_seen }
            }
            (Verdict::Duplicate { .. }, _) => {
                let known = self.committed.kept.get(&n).and_then(|kept| kept.payload);
                assert!(!differ(known), "id {n}: {payload:?} is a mismatch to {known:?}");
                verdict
            }
            _ => verdict,
        };
        self.judge(n, verdict, (moment, event), false);
        verdict.is_new()
    }

    pub(super) fn event_time(&self, choice: u8) -> Option<Timestamp> {
        let (wall, part) = (self.clock.wall(), |of| self.settings.part(choice.into(), of));
        match choice % 8 {
            0..4 => None,
            4 => Some(wall),
            5 => Some(wall - part(200)),
            6 => Some(wall + part(512)),
            _ => Some(wall - self.settings.window * 2),
        }
    }

    /// A time of an event, and the moment at which it is judged.
    pub(super) fn moment(&mut self, at: Option<Timestamp>) -> Timestamp {
        let now = self.now();
        match (at, self.settings.time) {
            (Some(at), TimeSource::Event) => now.max(at.min(self.clock.wall() + SKEW)),
            _ => now,
        }
    }
}
