//! A ticket: one transaction's hold on the ids that it claimed.
//!
//! ```text
//!   Claiming
//!    | number
//!    v     start_settling            settle
//!   Open -----------------> Settling -------> Settled
//!    | |                     |    ^              ^
//!    | |       mark_prepared v    | start_settling
//!    | |                    Prepared ------------+   settle
//!    | +------------ settle (abort) -------------+
//!    +--------------------> Ended
//!       the lease is over
//! ```
//!
//! Phase and deadline share one atomic word. So of a settling, a renewal and the end of the lease
//! that meet, each decides on what the others left, and none is overwritten.

use std::time::Duration;

use super::mono::Mono;
use super::settlement::Waiters;
use crate::config::LeaseEnd;
use crate::planted::{Bug, planted};
use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// Where a ticket is between its begin and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Ids are being claimed, and it has no token yet. Its lease cannot end.
    Claiming,
    /// Work is being done. The only phase in which a lease can end.
    Open,
    /// A commit, a prepare or an abort is being written; nothing but its writer changes it.
    Settling,
    /// In doubt: what was done is durable, and waits for the word to commit or to abort.
    Prepared,
    /// Committed or aborted. Holds nothing.
    Settled,
    /// The lease was over before it was settled. For good.
    Ended,
}

impl Phase {
    const ALL: [Phase; 6] = [
        Phase::Claiming,
        Phase::Open,
        Phase::Settling,
        Phase::Prepared,
        Phase::Settled,
        Phase::Ended,
    ];
}

/// Phase and deadline, as they are packed: the phase in the low three bits, the deadline's
/// microseconds above, all ones for no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    phase: Phase,
    deadline: Mono,
}

impl Word {
    const PHASE_BITS: u32 = 3;
    const DEADLINE_MAX: u64 = u64::MAX >> Word::PHASE_BITS;

    fn pack(self) -> u64 {
        let deadline = self.deadline.as_micros().min(Word::DEADLINE_MAX);
        deadline << Word::PHASE_BITS | self.phase as u64
    }

    fn unpack(bits: u64) -> Word {
        let phase = Phase::ALL[(bits & ((1 << Word::PHASE_BITS) - 1)) as usize];
        let deadline = match bits >> Word::PHASE_BITS {
            Word::DEADLINE_MAX => Mono::NEVER,
            micros => Mono::from_micros(micros),
        };
        Word { phase, deadline }
    }

    fn to(self, phase: Phase) -> Option<Word> {
        Some(Word { phase, ..self })
    }

    /// Whether the lease can end, and has at `now`.
    fn is_over(self, now: Mono) -> bool {
        self.phase == Phase::Open && self.deadline <= now
    }
}

/// Why a ticket cannot be settled or renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its lease ended so long ago. The ids may be another's by now.
    Ended {
        /// How long ago.
        by: Duration,
    },
    /// It is settled, or being settled through another handle.
    Settled,
}

/// What a ticket's entry in the table means to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The id is held.
    Holds,
    /// The lease ended and the id is barred until it is resolved.
    Blocks,
    /// The lease ended and the id is free for the next.
    Lapsed,
    /// Settled: the entry means nothing any more.
    Settled,
}

/// One transaction's hold on its ids. See the module documentation.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Zero before the ticket is numbered.
    token: AtomicU64,
    begun: Mono,
    on_end: LeaseEnd,
    word: AtomicU64,
    pub(super) waiters: Mutex<Waiters>,
}

impl Ticket {
    /// A ticket to claim ids with. It is open once it has its token: see [`Ticket::number`].
    pub(crate) fn claiming(begun: Mono, lease: Option<Duration>, on_end: LeaseEnd) -> Ticket {
        let deadline = lease.map_or(Mono::NEVER, |lease| begun.after(lease));
        Ticket::with(0, begun, on_end, Word { phase: Phase::Claiming, deadline })
    }

    /// An open ticket with the fencing token `token`. Without a lease it is open until it is settled.
    pub(crate) fn new(
        token: u64,
        begun: Mono,
        lease: Option<Duration>,
        on_end: LeaseEnd,
    ) -> Ticket {
        let deadline = lease.map_or(Mono::NEVER, |lease| begun.after(lease));
        Ticket::with(token, begun, on_end, Word { phase: Phase::Open, deadline })
    }

    /// A ticket that was found prepared at recovery. Its age counts from `begun` of this process.
    pub(crate) fn recovered(token: u64, begun: Mono) -> Ticket {
        let word = Word { phase: Phase::Prepared, deadline: Mono::NEVER };
        Ticket::with(token, begun, LeaseEnd::default(), word)
    }

    fn with(token: u64, begun: Mono, on_end: LeaseEnd, word: Word) -> Ticket {
        let (word, waiters) = (AtomicU64::new(word.pack()), Mutex::new(Waiters::default()));
        Ticket { token: AtomicU64::new(token), begun, on_end, word, waiters }
    }

    /// Gives it its fencing token, and opens it: the lease counts from `now`.
    ///
    /// The token is drawn when all ids are claimed, and no lease ends before. So whoever claims one of
    /// them afterwards draws a higher one, whichever of the two began first.
    pub(crate) fn number(&self, token: u64, now: Mono, lease: Option<Duration>) {
        // Partner: the load in `token`.
        self.token.store(token, Ordering::Release);
        let deadline = lease.map_or(Mono::NEVER, |lease| now.after(lease));
        let claiming = |word: Word| word.phase == Phase::Claiming;
        let opened = Word { phase: Phase::Open, deadline };
        // Not if the store was closed meanwhile, which has settled it.
        let _before = self.change(|word| claiming(word).then_some(opened));
    }

    /// The fencing token.
    pub(crate) fn token(&self) -> u64 {
        // Partner: the store in `number`.
        self.token.load(Ordering::Acquire)
    }

    /// How long ago it began.
    pub(crate) fn age(&self, now: Mono) -> Duration {
        now.since(self.begun)
    }

    /// What is left of the lease, if there is one that can still end.
    pub(crate) fn left(&self, now: Mono) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.since(now))
    }

    /// When the lease ends, if there is one that can still end.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let word = self.load();
        let can_end = matches!(word.phase, Phase::Claiming | Phase::Open);
        (can_end && word.deadline != Mono::NEVER).then_some(word.deadline)
    }

    /// Takes an open or prepared ticket for settling. From here on its lease cannot end. One
    /// compare-and-swap decides against [`Ticket::end_if_over`] and against other handles; a ticket
    /// whose lease is over at `now` ends here, for good, and whoever waits is woken.
    pub(crate) fn start_settling(&self, now: Mono) -> Result<(), Refusal> {
        if planted(Bug::LeaseUnfenced) && self.end_if_over(now) {
            return Ok(());
        }
        let before = self.change(|word| match word.phase {
            Phase::Open if word.is_over(now) => word.to(Phase::Ended),
            Phase::Open | Phase::Prepared => word.to(Phase::Settling),
            Phase::Claiming | Phase::Settling | Phase::Settled | Phase::Ended => None,
        });
        self.judge(before, now)
    }

    /// Ends an open ticket whose lease is over at `now`. Whether it is ended now, by whomever. Whoever
    /// waits is not woken: that runs foreign code, and the caller may hold a lock.
    pub(crate) fn end_if_over(&self, now: Mono) -> bool {
        let ended = |word: Word| if word.is_over(now) { word.to(Phase::Ended) } else { None };
        self.change(ended).map_or_else(|word| word.phase == Phase::Ended, |_| true)
    }

    /// Like [`Ticket::end_if_over`], and whoever waits is woken: no lock may be held. For an owner that
    /// gives ids back, so that what that means does not hang on whether somebody has looked before.
    pub(crate) fn notice_end(&self, now: Mono) {
        if self.end_if_over(now) {
            self.wake();
        }
    }

    /// Lets the lease last for `lease` from `now`; it is never shortened, and a ticket without one
    /// stays without. A lease that is over is not renewed: the ticket ends.
    pub(crate) fn renew(&self, now: Mono, lease: Duration) -> Result<(), Refusal> {
        let before = self.change(|word| match word.phase {
            Phase::Open if word.is_over(now) => word.to(Phase::Ended),
            Phase::Open => Some(Word { deadline: word.deadline.max(now.after(lease)), ..word }),
            // Its lease cannot end any more.
            Phase::Claiming | Phase::Settling | Phase::Prepared => Some(word),
            Phase::Settled | Phase::Ended => None,
        });
        self.judge(before, now)
    }

    /// What came of a change that ends the ticket if its lease is over.
    fn judge(&self, before: Result<Word, Word>, now: Mono) -> Result<(), Refusal> {
        match before {
            Ok(word) if word.is_over(now) => {
                self.wake();
                Err(Refusal::Ended { by: now.since(word.deadline) })
            }
            Ok(_) => Ok(()),
            Err(word) if word.phase == Phase::Ended => {
                Err(Refusal::Ended { by: now.since(word.deadline) })
            }
            Err(_) => Err(Refusal::Settled),
        }
    }

    /// What was being written says that the ticket is prepared; or the word to commit or to abort a
    /// prepared one could not be written, and it is in doubt again.
    pub(crate) fn mark_prepared(&self) {
        let before = self.change(|word| {
            let settling = word.phase == Phase::Settling;
            settling.then_some(Word { phase: Phase::Prepared, deadline: Mono::NEVER })
        });
        assert!(before.is_ok(), "a ticket is prepared by its settler: {before:?}");
    }

    /// Committed or aborted: from here on it holds nothing. What was committed must have been
    /// inserted before. A ticket whose lease has ended stays ended. Wakes all who wait.
    pub(crate) fn settle(&self) {
        // Whoever sees the ticket settled sees what was inserted.
        let _ended = self.change(|word| {
            let ended = word.phase == Phase::Ended;
            if ended { None } else { word.to(Phase::Settled) }
        });
        self.wake();
    }

    /// Settles what is open or prepared, with nothing committed: the store is closed. What is being
    /// settled ends by itself.
    pub(super) fn close(&self) {
        let closed = self.change(|word| match word.phase {
            Phase::Claiming | Phase::Open | Phase::Prepared => word.to(Phase::Settled),
            Phase::Settling | Phase::Settled | Phase::Ended => None,
        });
        if closed.is_ok() {
            self.wake();
        }
    }

    /// Whether it is settled or ended, so that there is nothing to wait for.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.load().phase, Phase::Settled | Phase::Ended)
    }

    /// What its entries mean at `now`. Changes nothing: a lease that is over counts as ended.
    pub(super) fn standing(&self, now: Mono) -> Standing {
        let word = self.load();
        match word.phase {
            Phase::Settled => Standing::Settled,
            Phase::Ended => self.standing_when_ended(),
            _ if word.is_over(now) => self.standing_when_ended(),
            Phase::Claiming | Phase::Open | Phase::Settling | Phase::Prepared => Standing::Holds,
        }
    }

    fn standing_when_ended(&self) -> Standing {
        match self.on_end {
            LeaseEnd::Rerun => Standing::Lapsed,
            LeaseEnd::Block => Standing::Blocks,
        }
    }

    /// Whether its ids are barred until they are resolved.
    pub(super) fn blocks(&self) -> bool {
        self.on_end == LeaseEnd::Block && self.load().phase == Phase::Ended
    }

    /// Wakes all who wait for a ticket that is over. Runs foreign code: no lock may be held.
    pub(super) fn wake(&self) {
        debug_assert!(self.is_over());
        let waiting = std::mem::take(&mut *lock(&self.waiters));
        waiting.wake();
    }

    fn load(&self) -> Word {
        // Partner: the release in `change`.
        Word::unpack(self.word.load(Ordering::Acquire))
    }

    /// Replaces the word by what `next` makes of it. The word before; an error if `next` had none.
    fn change(&self, next: impl Fn(Word) -> Option<Word>) -> Result<Word, Word> {
        let packed = |bits| next(Word::unpack(bits)).map(Word::pack);
        // Released for `load`; acquired from the changes before.
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, packed);
        before.map(Word::unpack).map_err(Word::unpack)
    }
}
