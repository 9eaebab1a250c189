//! How callers and the upkeep thread wake each other.

use std::time::Duration;

use crate::error::Error;
use crate::sync::{Condvar, Mutex, lock};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
    progressed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    stop: bool,
    rounds: u64,
    failure: Option<Error>,
}

impl Bell {
    /// Tells the upkeep thread that there is something to do.
    pub(crate) fn ring(&self) {
        lock(&self.state).rung = true;
        self.rung.notify_one();
    }

    /// Tells the upkeep thread to end.
    pub(crate) fn stop(&self) {
        lock(&self.state).stop = true;
        self.rung.notify_one();
        self.progressed.notify_all();
    }

    /// Waits until the bell is rung or `timeout` has passed. `false` when it is time to end.
    pub(crate) fn wait_for_work(&self, timeout: Duration) -> bool {
        let mut state = lock(&self.state);
        if !state.rung && !state.stop && !timeout.is_zero() {
            let waited = self.rung.wait_timeout(state, timeout);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        state.rung = false;
        !state.stop
    }

    /// Tells those who wait that upkeep did something, or failed at it.
    pub(crate) fn report(&self, failure: Option<Error>) {
        let mut state = lock(&self.state);
        state.rounds += 1;
        state.failure = failure;
        self.progressed.notify_all();
    }

    /// Forgets an earlier failure and rings; returns the round from which on to wait.
    pub(crate) fn ask(&self) -> u64 {
        let mut state = lock(&self.state);
        state.failure = None;
        state.rung = true;
        self.rung.notify_one();
        state.rounds
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
