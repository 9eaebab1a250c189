//! What can be said of a claim before it is made.

use std::time::Duration;

use super::super::Store;
use super::super::call::{Call, Moments, PIECE_MAX};
use super::begin::Wanted;
use super::claim::{Claim, Positioned};
use crate::claim::Ticket;
use crate::error::{Error, Result};
use crate::format::commit::KEY_MAX;
use crate::key::Fingerprint;
use crate::sync::Arc;
use crate::time::Timestamp;

/// A claim to be made: made by [`Store::claim`], ended by [`ClaimBuilder::begin`] or
/// [`ClaimBuilder::begin_from`].
///
/// ```
/// use std::time::Duration;
/// use firstseen::{Store, Verdict};
///
/// # let dir = tempfile::tempdir()?;
/// let store = Store::open(dir.path().join("payments.seen"))?;
/// let request = |payload: &str| {
///     store.claim().lease(Duration::from_secs(30)).payloads(&[payload]).begin(&["key-1"])
/// };
/// request("pay 10")?.commit()?;
/// assert!(matches!(request("pay 10")?.verdicts()[0], Verdict::Duplicate { .. }));
/// assert!(matches!(request("pay 99")?.verdicts()[0], Verdict::Mismatch { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is claimed before `begin`"]
pub struct ClaimBuilder<'a> {
    store: &'a Store,
    lease: Option<Duration>,
    happened: Happened<'a>,
    payloads: Option<Vec<Fingerprint>>,
}

/// When the events happened that the ids are those of.
#[derive(Debug, Clone, Copy)]
enum Happened<'a> {
    /// Not said: they are judged at store time.
    Now,
    /// All at one time.
    At(Timestamp),
    /// Each at a time of its own.
    Each(&'a [Timestamp]),
}

impl<'a> ClaimBuilder<'a> {
    pub(super) fn new(store: &'a Store) -> ClaimBuilder<'a> {
        let lease = store.core().options.lease;
        ClaimBuilder { store, lease, happened: Happened::Now, payloads: None }
    }

    /// Ends the claim after this time, if it has not been committed, prepared or
    /// [renewed](Claim::renew) by then; in place of what [`Builder::lease`](crate::Builder::lease) says.
    pub fn lease(self, lease: Duration) -> Self {
        ClaimBuilder { lease: Some(lease), ..self }
    }

    /// Judges the ids as those of events that happened at `time`: those from before the window are
    /// [`Verdict::Late`](crate::Verdict). With [`TimeSource::Event`](crate::TimeSource::Event) the
    /// commit moves store time.
    pub fn at(self, time: Timestamp) -> Self {
        ClaimBuilder { happened: Happened::At(time), ..self }
    }

    /// Like [`ClaimBuilder::at`], for ids of events that happened at `times`, one for each id or record.
    ///
    /// Each is judged at the latest time presented up to it, as in
    /// [`Store::check_and_insert_timed_into`]; so one from before the window is
    /// [`Verdict::Late`](crate::Verdict) beside others that are let in. The commit moves store time to the
    /// latest, and the ids are remembered since then.
    ///
    /// ```
    /// use std::time::Duration;
    /// use firstseen::{Store, TimeSource, Timestamp, Verdict};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let hour = Duration::from_secs(3600);
    /// let builder = Store::builder().time(TimeSource::Event).window(hour);
    /// let store = builder.open(dir.path().join("events.seen"))?;
    /// let noon = Timestamp::from_secs(1_700_000_000);
    ///
    /// let records = [(7, "a"), (8, "b"), (9, "c")];
    /// let times = [noon, noon + hour * 2, noon + hour / 2];
    /// let tx = store.claim().times(&times).begin_from("events/3", &records)?;
    /// assert!(matches!(tx.verdicts(), [Verdict::New, Verdict::New, Verdict::Late { .. }]));
    /// tx.commit()?;
    /// assert_eq!(store.progress("events/3")?, Some(10));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn times(self, times: &'a [Timestamp]) -> Self {
        ClaimBuilder { happened: Happened::Each(times), ..self }
    }

    /// The payloads of the ids, in their order. What is kept of each is a fingerprint; an id that
    /// comes again with another payload is [`Verdict::Mismatch`](crate::Verdict). An id that came
    /// without one before matches any.
    pub fn payloads<P: AsRef<[u8]>>(self, payloads: &[P]) -> Self {
        let mut fingerprints = Vec::with_capacity(payloads.len());
        self.store.core().identity.fingerprint_batch(payloads, &mut fingerprints);
        ClaimBuilder { payloads: Some(fingerprints), ..self }
    }

    /// Claims the new ones of the ids: see [`Store::begin`].
    ///
    /// # Errors
    ///
    /// As [`Store::begin`]; also [`Error::Misuse`] if there are not as many payloads or times as ids.
    pub fn begin<I: AsRef<[u8]>>(self, ids: &[I]) -> Result<Claim> {
        self.begin_records(ids, None)
    }

    /// Claims the new ones of the records: see [`Store::begin_from`].
    ///
    /// # Errors
    ///
    /// As [`Store::begin_from`]; also [`Error::Misuse`] if there are not as many payloads or times as
    /// records.
    pub fn begin_from<I: AsRef<[u8]>>(self, source: &str, records: &[(u64, I)]) -> Result<Claim> {
        let positions: Vec<u64> = records.iter().map(|(position, _)| *position).collect();
        if let Some(i) = positions.windows(2).position(|pair| pair[0] >= pair[1]) {
            let (before, after) = (positions[i], positions[i + 1]);
            return Err(Error::Misuse(format!(
                "position {after} of `{source}` comes after {before}; give records in their order"
            )));
        }
        if source.is_empty() || source.len() > KEY_MAX {
            let len = source.len();
            return Err(Error::Misuse(format!(
                "a source's name has 1 to {KEY_MAX} bytes, not {len}"
            )));
        }
        let ids: Vec<&[u8]> = records.iter().map(|(_, id)| id.as_ref()).collect();
        self.begin_records(&ids, Some((source, &positions)))
    }

    fn begin_records<I: AsRef<[u8]>>(
        self,
        ids: &[I],
        source: Option<(&str, &[u64])>,
    ) -> Result<Claim> {
        let ClaimBuilder { store, lease, happened, payloads } = self;
        let core = store.core();
        core.check_usable()?;
        check_counts(ids.len(), payloads.as_ref().map(Vec::len), happened)?;
        let ticket = Ticket::claiming(core.monotonic(), lease, core.options.lease_end);
        let ticket = Arc::new(ticket);
        // Before anything is claimed: from now on no other commit's progress passes these records.
        let progress = source.map_or(Ok(None), |(source, _)| store.progress(source))?.unwrap_or(0);
        let source = source.map(|(source, positions)| Positioned::new(source, positions, progress));
        let replayed = source.as_ref().map_or(0, |source| source.replayed);
        let mut claim = Claim::start(store.clone(), Arc::clone(&ticket), source);
        store.with_scratch(|scratch| {
            let mut fingerprints = std::mem::take(&mut scratch.fingerprints);
            core.identity.fingerprint_batch(ids, &mut fingerprints);
            let mut each = std::mem::take(&mut scratch.moments);
            let moments = match happened {
                Happened::Now => Moments::Same(core.clock.now()),
                Happened::At(time) => {
                    core.judge_times(&vec![time; ids.len()], &mut each);
                    Moments::Each(&each)
                }
                Happened::Each(times) => {
                    core.judge_times(times, &mut each);
                    Moments::Each(&each)
                }
            };
            let call = Call { ids: &fingerprints, moments };
            let wanted = Wanted { call, payloads: payloads.as_deref(), replayed, progress };
            let claimed = core.claim(wanted, &ticket, scratch);
            let done = claimed.map(|claimed| claim.fill(ids, call, payloads.as_deref(), claimed));
            scratch.fingerprints = fingerprints;
            scratch.moments = each;
            done
        })?;
        ticket.number(core.next_fence()?, core.monotonic(), lease);
        Ok(claim)
    }
}

fn check_counts(ids: usize, payloads: Option<usize>, happened: Happened<'_>) -> Result<()> {
    if ids > PIECE_MAX {
        return Err(Error::Misuse(format!(
            "{ids} ids in one claim; a claim takes at most {PIECE_MAX}, begin several"
        )));
    }
    if let Some(payloads) = payloads.filter(|&payloads| payloads != ids) {
        return Err(Error::Misuse(format!("{payloads} payloads for {ids} ids; give one each")));
    }
    match happened {
        Happened::Each(times) if times.len() != ids => {
            let times = times.len();
            Err(Error::Misuse(format!("{times} event times for {ids} ids; give one each")))
        }
        _ => Ok(()),
    }
}
