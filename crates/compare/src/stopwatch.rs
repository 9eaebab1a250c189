//! Time by the clock on the wall, and time of the processors: the latter suffers less from whoever
//! else uses the machine.

use std::time::{Duration, Instant};

use crate::machine::processor;

/// What has passed since the start.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    /// Of all threads of this process. `None` where the system does not tell.
    pub(crate) processors: Option<Duration>,
}

pub(crate) struct Stopwatch {
    wall: Instant,
    processors: Option<Duration>,
}

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch { processors: processor(), wall: Instant::now() }
    }

    pub(crate) fn spent(&self) -> Spent {
        let wall = self.wall.elapsed();
        let both = processor().zip(self.processors);
        Spent { wall, processors: both.map(|(now, then)| now.saturating_sub(then)) }
    }
}
