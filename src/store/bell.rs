//! How callers and upkeep wake each other.

use super::crew::{Call, Seat};
use super::pool::Upkeeping;
use crate::error::Error;
use crate::sync::{Condvar, Mutex, OnceLock, lock};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    /// Who hears it; nobody where upkeep runs on no thread.
    seat: OnceLock<Seat<Upkeeping>>,
    state: Mutex<State>,
    progressed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    rounds: u64,
    failure: Option<Error>,
}

impl Bell {
    /// From now on those hear it who have the store at `seat`.
    pub(crate) fn connect(&self, seat: Seat<Upkeeping>) {
        let seat = self.seat.get_or_init(|| seat);
        seat.ring(Call::Rung);
    }

    /// Nobody hears it from now on, and upkeep's step in progress is over.
    pub(crate) fn disconnect(&self) {
        if let Some(seat) = self.seat.get() {
            seat.leave();
        }
    }

    /// Tells upkeep that there is something to do.
    pub(crate) fn ring(&self) {
        if let Some(seat) = self.seat.get() {
            seat.ring(Call::Rung);
        }
    }

    /// Like [`Bell::ring`], where somebody may wait for it.
    pub(crate) fn ring_urgently(&self) {
        if let Some(seat) = self.seat.get() {
            seat.ring(Call::Asked);
        }
    }

    /// Tells those who wait that upkeep will do nothing more.
    pub(crate) fn stop(&self) {
        lock(&self.state).stop = true;
        self.progressed.notify_all();
    }

    /// Tells those who wait that upkeep did something, or failed at it.
    pub(crate) fn report(&self, failure: Option<Error>) {
        let mut state = lock(&self.state);
        state.rounds += 1;
        state.failure = failure;
        self.progressed.notify_all();
    }

    /// Forgets an earlier failure and rings, for one who waits; returns the round from which on to wait.
    pub(crate) fn ask(&self) -> u64 {
        let rounds = {
            let mut state = lock(&self.state);
            state.failure = None;
            state.rounds
        };
        self.ring_urgently();
        rounds
    }

    /// Waits until upkeep has done something since `round`; returns the round, or why it failed.
    pub(crate) fn wait_for_progress(&self, round: u64) -> Result<u64, Error> {
        let mut state = lock(&self.state);
        loop {
            if let Some(failure) = state.failure.take() {
                return Err(failure);
            }
            if state.rounds > round || state.stop {
                return Ok(state.rounds);
            }
            state = self.progressed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}
